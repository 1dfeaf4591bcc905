"""Simulated operators: consoles that follow the rows, and people who decide, pause, take over and kill by them."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.approval import Answer
from opsconsole.domain.command import Role
from opsconsole.hub.desk.principal import Principal
from opsconsole.protocol.connection import Connection, Phase
from opsconsole.protocol.frames import Ack, Command, Delta, Frame, Hello, Res, Snap, Sub, Welcome
from opsconsole.protocol.limits import is_final
from tests.simulation.hub import Hub
from tests.simulation.points import RETRY_SECONDS
from tests.simulation.stage import Stage
from tests.simulation.wire import Wire

VIEWS = ("board", "approvals")
PAUSED = ("pausing", "paused")
WILD = ("decide", "decide", "decide", "decide", "pause", "resume", "resume", "inject", "takeover", "release", "kill")
CALM = ("decide", "decide", "resume", "release")
RESEND_SECONDS = 3.0


class View:
    """The rows of one view as a console holds them."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.epoch: str | None = None
        self.rev: int | None = None
        self._parts: dict[str, dict[str, Any]] = {}

    def take_snap(self, snap: Snap) -> None:
        """One part of a whole view."""
        if snap.part == 0:
            self._parts = {}
        self._parts |= {row["key"]: row for row in snap.rows}
        if snap.end:
            self.rows, self.epoch, self.rev = self._parts, snap.epoch, snap.rev

    def take_delta(self, delta: Delta) -> bool:
        """What changed; False when it does not follow what is here."""
        if delta.from_rev != self.rev:
            return False
        self.rows |= {row["key"]: row for row in delta.rows}
        for key in delta.gone:
            self.rows.pop(key, None)
        self.rev = delta.rev
        return True


class Operator:
    """One person at one console; each command is sent again until it is answered."""

    def __init__(self, stage: Stage, hub: Hub, name: str) -> None:
        self.stage, self.hub, self.name = stage, hub, name
        self.who = Principal(name=name, role=Role.OPERATOR)
        self.views = {view: View() for view in VIEWS}
        self.unanswered: dict[str, Command] = {}
        self.decided: dict[str, str] = {}
        """Approval -> the answer that the hub called recorded."""
        self.is_calm = False
        self._connection: Connection | None = None
        self._wire: Wire | None = None
        self._given = 0

    def start(self) -> None:
        """Sit down."""
        self._connect()
        self.stage.soon(0.5, 2.0, self._act)

    # -- the link --------------------------------------------------------------------------------------------------

    @property
    def wire(self) -> Wire | None:
        """The wire in use."""
        return self._wire

    def _connect(self) -> None:
        console = _Console(self)
        wire = self.hub.accept("operator", self.who, console)
        if wire is None:
            self.stage.soon(*RETRY_SECONDS, self._connect)
            return
        console.wire = self._wire = wire
        self._connection = console.connection
        self._send(Hello(client="sim"))
        self._watch(console)

    def _watch(self, console: _Console) -> None:
        if self._wire is not console.wire:
            return
        now, connection = self.stage.now, console.connection
        if connection.overdue(now=now):
            self._wire.close(4001, by_hub=False)
            self.lose()
            return
        beat = connection.beat(now=now, wall=self.stage.clock)
        if beat:
            self._wire.send(beat, to_hub=True)
        self.stage.after(connection.next_wake(now=now), lambda: self._watch(console))

    def lose(self) -> None:
        """The connection is gone."""
        if self._connection:
            self._connection.close()
        self._wire = self._connection = None
        self.stage.soon(*RETRY_SECONDS, self._connect)

    def _send(self, frame: Frame) -> None:
        if self._wire and self._connection and self._connection.phase is not Phase.CLOSED:
            self._wire.send(self._connection.send(frame, now=self.stage.now), to_hub=True)

    def hear(self, frame: Frame) -> None:
        """A frame of the hub."""
        if isinstance(frame, Welcome):
            for name, view in self.views.items():
                self._send(Sub(sub=name, view=name, epoch=view.epoch, rev=view.rev))  # type: ignore[arg-type]
            for command in self.unanswered.values():
                self._send(command)
        elif isinstance(frame, Snap):
            self.views[frame.sub].take_snap(frame)
            self._send(Ack(sub=frame.sub, rev=frame.rev))
        elif isinstance(frame, Delta):
            if self.views[frame.sub].take_delta(frame):
                self._send(Ack(sub=frame.sub, rev=frame.rev))
            else:
                self._send(Sub(sub=frame.sub, view=frame.sub))  # type: ignore[arg-type]
        elif isinstance(frame, Res):
            self._answered(frame)

    def _answered(self, res: Res) -> None:
        command = self.unanswered.pop(res.cmd, None)
        if command is None:
            return
        self.stage.tell(f"{self.name} hears of {res.cmd}: {res.code or res.status}")
        self.stage.demand(res.code != "idempotency_conflict", f"{res.cmd}: a command repeated is the same command")
        if res.code == "storage_failed":
            return
        if command.do == "decide" and res.ok and res.status == "recorded":
            self.decided[str(command.approval)] = str(command.answer)

    # -- the person ------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        chance = self.stage.chance
        what = chance.choice(CALM if self.is_calm else WILD)
        if what == "decide":
            self._decide()
        elif what == "kill":
            if chance.random() < 0.35:
                self._command_run("kill", lambda row: True, mode=chance.choice(["ladder", "now"]))
        elif what == "resume":
            self._command_run("resume", lambda row: row["state"] in PAUSED, caps={"turns": 1_000})
        elif what == "release":
            self._command_run("release", lambda row: row.get("baton", {}).get("by") == self.name, text="here")
        elif what == "inject":
            self._command_run("inject", lambda row: True, text="look")
        elif what == "takeover":
            self._command_run("takeover", lambda row: True, note="mine")
        else:
            self._command_run("pause", lambda row: True)
        self.stage.soon(0.2, 1.5, self._act)

    def _decide(self) -> None:
        pending = [row for row in self.views["approvals"].rows.values() if row["status"] == "pending"]
        if not pending:
            return
        row = self.stage.chance.choice(pending)
        about: dict[str, Any] = {"approval": row["approval"], "digest": row["digest"]}
        if row["rule"] == "takeover":
            calls = [{"id": "k1", "name": "sql", "args": {"query": "composed"}}]
            about |= {"answer": "respond", "text": "so be it", "calls": self.stage.chance.choice([None, calls])}
        else:
            answer = self.stage.chance.choice(["approve", "approve", "edit", "reject", "respond"])
            about |= {"answer": answer}
            about |= {"args": {"query": "edited", "limit": None}} if answer == "edit" else {}
            about |= {"text": "an answer"} if answer == "respond" else {}
        self._give("decide", f"{row['run']}/{row['call']}", **about)

    def _command_run(self, do: str, fits: Any, **about: Any) -> None:
        rows = [row for row in self.views["board"].rows.values() if row.get("ended_at") is None and fits(row)]
        if rows:
            run = self.stage.chance.choice(rows)["run"]
            self._give(do, run, run=run, **about)

    def _give(self, do: str, what: str, **about: Any) -> None:
        self._given += 1
        subject = about.get("run", "approval")
        cmd = f"{do}_{self.name}{self._given}-{subject}"
        command = Command.model_validate({"cmd": cmd, "do": do, **about})
        self.unanswered[cmd] = command
        self.stage.tell(f"{self.name} gives {cmd} ({about.get('answer', what)})")
        self._send_until_answered(cmd)

    def _send_until_answered(self, cmd: str) -> None:
        command = self.unanswered.get(cmd)
        if command:
            if self._connection and self._connection.phase is Phase.OPEN:
                self._send(command)
            self.stage.after(RESEND_SECONDS, lambda: self._send_until_answered(cmd))


class _Console:
    """An operator's end of one wire."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.connection = Connection("operator", now=operator.stage.now)
        self.wire: Wire | None = None

    def arrive(self, data: bytes) -> None:
        """A frame of the hub."""
        if self.operator.wire is self.wire and self.connection.phase is not Phase.CLOSED:
            frame = self.connection.receive(data, now=self.operator.stage.now)
            if frame is not None:
                self.operator.hear(frame)

    def closed(self, code: int) -> None:
        """The wire is gone."""
        self.connection.close()
        if self.operator.wire is self.wire:
            self.operator.stage.demand(not is_final(code), f"{self.operator.name}: closed for good with {code}")
            self.operator.lose()


__all__ = ["Answer", "Operator"]
