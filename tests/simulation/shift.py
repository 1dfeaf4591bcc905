"""One simulated shift from its seed: a wild part full of accidents, a calm part in which all must come to its end."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.domain.approval import ANSWERED, Answer
from opsconsole.domain.ids import sealed_run_id
from opsconsole.domain.run import TERMINAL
from tests.simulation.hub import OTHER_POLICY, POLICY, Hub
from tests.simulation.operators import Operator
from tests.simulation.points import KEY, Agent, Point, Supervisor
from tests.simulation.stage import Stage
from tests.simulation.wire import Wire

WILD_SECONDS = 25.0
CALM_SECONDS = 110.0
LAST_SECONDS = 12.0
"""After a last restart of the hub, for consoles to catch up."""


class Shift:
    """The cast of one shift and what befalls it."""

    def __init__(self, seed: int) -> None:
        self.stage = stage = Stage(seed)
        self.hub = Hub(stage)
        self.agents: list[Agent] = []
        self.supervisors: list[Supervisor] = []
        for number in range(stage.chance.randint(1, 3)):
            parent = self.agents[0].run if number and stage.chance.random() < 0.4 else None
            run, is_held = f"run{number + 1}", stage.chance.random() < 0.4
            run = sealed_run_id(run, KEY) if is_held else run
            agent = Agent(stage, self.hub, run, parent=parent, pid=10 * (number + 1))
            self.agents.append(agent)
            if is_held:
                self.supervisors.append(Supervisor(stage, self.hub, agent))
        self.operators = [Operator(stage, self.hub, name) for name in ("ana", "ben")]

    def play(self) -> None:
        """Play it. Raises: Violated."""
        stage = self.stage
        self.hub.start()
        for actor in (*self.operators, *self.supervisors, *self.agents):
            stage.soon(0.0, 2.0, actor.start)
        for _ in range(stage.chance.randint(3, 9)):
            stage.soon(1.0, WILD_SECONDS, self._accident)
        stage.play(WILD_SECONDS)
        self._calm_down()
        stage.play(WILD_SECONDS + CALM_SECONDS)
        self._check_ends()
        lost = self.hub.unkept - self.hub.disk.commands
        stage.demand(not lost, f"what storage refused is on record once it takes entries again: {lost}")
        self.hub.kill()
        self.hub.start()
        stage.play(stage.now + LAST_SECONDS)
        self._check_ends()
        self._check_decisions()
        self._check_journals()
        self._check_consoles()

    # -- accidents -------------------------------------------------------------------------------------------------

    def _accident(self) -> None:
        happen = {
            "a wire is cut": lambda: self._some_wire("cut"),
            "a wire goes black": lambda: self._some_wire("black"),
            "the hub": self._kill_hub,
            "an agent": self._kill_agent,
            "the disk is full": lambda: self._trouble("is_full", 0.5, 3.0),
            "another policy": self._change_policy,
            "the disk is slow": lambda: self._trouble("is_slow", 1.0, 5.0),
        }
        what = self.stage.chance.choice(sorted(happen))
        self.stage.tell(f"accident: {what}")
        happen[what]()

    def _wires(self) -> list[Wire]:
        points: list[Point] = [*self.agents, *self.supervisors]
        wires = [point.link.wire for point in points if point.link]
        wires += [operator.wire for operator in self.operators]
        return [wire for wire in wires if wire]

    def _some_wire(self, how: str) -> None:
        wires = self._wires()
        if not wires:
            return
        wire = self.stage.chance.choice(wires)
        if how == "cut":
            wire.cut()
        else:
            wire.is_black = True

    def _kill_hub(self) -> None:
        if self.hub.life:
            self.hub.kill()
            self.stage.soon(0.1, 4.0, self.hub.start)

    def _change_policy(self) -> None:
        life = self.hub.life
        if life:
            other = OTHER_POLICY if life.desk.policy is POLICY else POLICY
            life.step(lambda now: life.desk.change_policy(other, "", now))

    def _kill_agent(self) -> None:
        alive = [agent for agent in self.agents if agent.is_alive]
        if not alive:
            return
        agent = self.stage.chance.choice(alive)
        self.stage.tell(f"{agent.title} is killed by accident")
        agent.die()
        if agent.supervisor and not agent.journal.is_finished:
            agent.supervisor.saw_exit(code=None)
        else:
            self.stage.soon(0.2, 3.0, lambda: None if agent.is_alive else agent.start())

    def _trouble(self, what: str, least: float, most: float) -> None:
        setattr(self.hub.disk, what, True)
        self.stage.soon(least, most, lambda: setattr(self.hub.disk, what, False))

    def _calm_down(self) -> None:
        self.stage.tell("calm: no accident from here on, and nobody pauses, takes over or kills")
        self.hub.disk.is_full = self.hub.disk.is_slow = False
        for operator in self.operators:
            operator.is_calm = True

    # -- promises --------------------------------------------------------------------------------------------------

    def _check_ends(self) -> None:
        demand, life = self.stage.demand, self.hub.life
        demand(life is not None, "the hub is up")
        assert life is not None
        for agent in self.agents:
            demand(not agent.waiting_since, f"{agent.run}: every call got its answer, not {agent.waiting_since}")
            row = life.desk.run_row(agent.run)
            demand(
                row is not None and row.state in TERMINAL, f"{agent.run}: it came to its end, not {row and row.state}"
            )
            demand(row.pending_approvals == 0, f"{agent.run}: nothing of it waits")
        for operator in self.operators:
            demand(not operator.unanswered, f"{operator.name}: every command was answered: {operator.unanswered}")

    def _check_decisions(self) -> None:
        assert self.hub.life is not None
        for operator in self.operators:
            for approval, answer in operator.decided.items():
                row = self.hub.life.desk.approval_row(approval)
                wanted = "edited" if answer == "approve" and row and row.edited_by else ANSWERED[Answer(answer)]
                is_kept = row is not None and row.status == wanted
                self.stage.demand(is_kept, f"{approval}: {answer} by {operator.name} stands, not {row and row.status}")

    def _check_journals(self) -> None:
        points: list[Point] = [*self.agents, *self.supervisors]
        for point in points:
            told = b"[" + b",".join(point.journal.events) + b"]"
            gen = f"{point.name}/{point.journal.gen}"
            bodies = [
                one.store.body for one in self.hub.disk.batches if (one.store.run, one.store.gen) == (point.run, gen)
            ]
            kept = [event for body in bodies for event in json.loads(body)]
            self.stage.demand(kept == json.loads(told), f"{point.title}: the log holds its journal, each event once")

    def _check_consoles(self) -> None:
        assert self.hub.life is not None
        for operator in self.operators:
            for name, view in operator.views.items():
                rows = {key: json.loads(row) for key, row in self.hub.life.rows(name).items()}
                for key in rows.keys() | view.rows.keys():
                    truth, seen = _timeless(rows.get(key)), _timeless(view.rows.get(key))
                    self.stage.demand(truth == seen, f"{operator.name} sees {key} of {name} as {truth}, not {seen}")


def _timeless(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """A row without what changes by itself: a beat is heard, but it is no news."""
    points = [
        {key: value for key, value in point.items() if key != "heard_at"} for point in (row or {}).get("points", [])
    ]
    return None if row is None else row | {"points": points}


def play(seed: int) -> Shift:
    """Play the shift of one seed. Raises: Violated."""
    shift = Shift(seed)
    shift.play()
    return shift
