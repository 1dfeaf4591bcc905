"""Simulated enforcement points: an agent with its SDK, and a supervisor; their journals outlive them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from opsconsole.domain.command import Do, Role
from opsconsole.domain.digest import call_digest
from opsconsole.hub.desk.principal import Principal
from opsconsole.protocol.connection import Connection, Phase
from opsconsole.protocol.frames import Ack, Bye, Err, Frame, Hello, HelloRun, PointCommand, Proc, Res, Welcome
from opsconsole.protocol.limits import is_final
from opsconsole.protocol.outbox import Outbox
from tests.simulation.hub import Hub
from tests.simulation.stage import Stage
from tests.simulation.wire import Wire

BOT = Principal(name="bot", role=Role.AGENT)
BATCH_MAX = 5
RETRY_SECONDS = (0.1, 1.5)
HOST = "box"


@dataclass(slots=True)
class Journal:
    """What a point keeps on its disk."""

    gen: str
    events: list[bytes] = field(default_factory=list)
    acked: int = 0
    cseq: int = 0
    orders: dict[str, PointCommand] = field(default_factory=dict)
    answers: dict[str, Res] = field(default_factory=dict)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_paused: bool = False
    is_finished: bool = False
    """The run's end has been journalled: nothing of it may follow."""


KEY = "a supervisor's"
"""What simulated run ids commit to; only supervisors say it."""


class Link:
    """A point's end of one wire."""

    def __init__(self, point: Point, wire_of: Hub) -> None:
        self.point = point
        self.connection = Connection("agent", now=point.stage.now)
        self.wire: Wire | None = wire_of.accept("agent", BOT, self)

    def arrive(self, data: bytes) -> None:
        """A frame of the hub."""
        if self.point.link is self and self.connection.phase is not Phase.CLOSED:
            frame = self.connection.receive(data, now=self.point.stage.now)
            if frame is not None:
                self.point.hear(frame)

    def closed(self, code: int) -> None:
        """The wire is gone."""
        self.connection.close()
        if self.point.link is self:
            self.point.stage.demand(not is_final(code), f"{self.point.title}: closed for good with {code}")
            self.point.lose_link()

    def send(self, frame: Frame) -> None:
        """Send one frame."""
        if self.wire and self.connection.phase is not Phase.CLOSED:
            self.wire.send(self.connection.send(frame, now=self.point.stage.now), to_hub=True)

    def send_raw(self, data: bytes) -> None:
        """Send an encoded frame."""
        if self.wire and self.connection.phase is Phase.OPEN:
            self.connection.sent_raw(now=self.point.stage.now)
            self.wire.send(data, to_hub=True)


class Point:
    """One enforcement point: it delivers its journal and obeys commands, each once."""

    name = "sdk"
    caps: tuple[str, ...] = ()

    def __init__(self, stage: Stage, hub: Hub, run: str, *, parent: str | None = None, pid: int = 1) -> None:
        self.stage, self.hub, self.run, self.parent, self.pid = stage, hub, run, parent, pid
        self.title = f"{self.name}@{run}"
        self.journal = Journal(gen="g1")
        self.link: Link | None = None
        self.is_alive = False
        self.outbox = Outbox()

    # -- the process -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The process starts, on whatever journal there is."""
        self.is_alive = True
        acked = self.journal.acked
        self.outbox = Outbox(journalled=len(self.journal.events), sent=acked, acked=acked)
        self._describe()
        self._connect()

    def _describe(self) -> None:
        if not self.journal.events:
            described = {"type": "run", "agent": "worker", "parent": self.parent, "caps": list(self.caps)}
            self.say({key: value for key, value in described.items() if value is not None})

    def die(self) -> None:
        """The process is killed with -9."""
        self.is_alive = False
        link, self.link = self.link, None
        if link and link.wire:
            link.connection.close()
            link.wire.cut()

    def leave(self) -> None:
        """The process says goodbye and ends."""
        self.is_alive = False
        link, self.link = self.link, None
        if link and link.wire:
            link.send(Bye(code=1000))
            link.wire.close(1000, by_hub=False)
            link.connection.close()

    # -- the link --------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        if not self.is_alive or self.link is not None:
            return
        link = Link(self, self.hub)
        if link.wire is None:
            self.stage.soon(*RETRY_SECONDS, self._connect)
            return
        self.link = link
        journal = self.journal
        key = KEY if self.name == "supervisor" else None
        item = HelloRun(run=self.run, gen=journal.gen, seq=len(journal.events), cseq=journal.cseq, key=key)
        link.send(Hello(client="sim", point=self.name, proc=Proc(host=HOST, pid=self.pid), runs=[item]))
        self._watch(link)

    def _watch(self, link: Link) -> None:
        if self.link is not link:
            return
        now = self.stage.now
        if link.connection.overdue(now=now):
            link.connection.close()
            if link.wire:
                link.wire.close(4001, by_hub=False)
            self.lose_link()
            return
        beat = link.connection.beat(now=now, wall=self.stage.clock)
        if beat and link.wire:
            link.wire.send(beat, to_hub=True)
        self.stage.after(link.connection.next_wake(now=now), lambda: self._watch(link))

    def lose_link(self) -> None:
        """The connection is gone; another is tried soon."""
        self.link = None
        self.stage.soon(*RETRY_SECONDS, self._connect)

    def hear(self, frame: Frame) -> None:
        """A frame of the hub."""
        if isinstance(frame, Welcome):
            self.outbox.reconnect(frame.acked.get(self.run, 0))
            for res in list(self.journal.answers.values())[-20:]:
                self._send(res)
            self.pump()
        elif isinstance(frame, Ack):
            self._heard_ack(frame)
        elif isinstance(frame, PointCommand):
            self._heard_command(frame)
        elif isinstance(frame, Err):
            self.stage.demand(False, f"{self.title}: {frame.code}: {frame.message}")

    def _heard_ack(self, frame: Ack) -> None:
        if frame.run != self.run or frame.seq is None:
            return
        self.journal.acked = self.outbox.acknowledge(frame.seq, frame.want)
        self.pump()
        self.after_ack()

    def _heard_command(self, frame: PointCommand) -> None:
        journal = self.journal
        is_new = frame.cmd not in journal.orders
        if is_new:
            journal.orders[frame.cmd] = frame
        journal.cseq = max(journal.cseq, frame.cseq)
        self._send(Ack(run=self.run, cseq=journal.cseq))
        if is_new:
            self.obey(frame)
        elif frame.cmd in journal.answers:
            self._send(journal.answers[frame.cmd])

    def _send(self, frame: Frame) -> None:
        if self.link and self.link.connection.phase is Phase.OPEN:
            self.link.send(frame)

    # -- what it says ----------------------------------------------------------------------------------------------

    def say(self, event: dict[str, Any]) -> None:
        """Journal one event and send what may be sent."""
        seq = self.outbox.emit()
        self.journal.events.append(json.dumps({"seq": seq, "ts": 1.0, **event}, separators=(",", ":")).encode())
        self.stage.after(0.005, self.pump)

    def pump(self) -> None:
        """Send what is due."""
        while self.link and self.link.connection.phase is Phase.OPEN and (due := self.outbox.due(batch_max=BATCH_MAX)):
            head = f'{{"t":"event","run":"{self.run}","gen":"{self.journal.gen}","events":['.encode()
            self.link.send_raw(head + b",".join(self.journal.events[seq - 1] for seq in due) + b"]}")
            self.outbox.mark_sent(due[-1])

    def answer(self, cmd: str, *, ok: bool = True, **about: Any) -> None:
        """Report what became of a command; kept until the end."""
        res = Res(cmd=cmd, run=self.run, ok=ok, status="applied" if ok else "void", **about)
        self.journal.answers[cmd] = res
        self._send(res)

    # -- what differs ----------------------------------------------------------------------------------------------

    def obey(self, order: PointCommand) -> None:
        """A command, seen for the first time."""

    def after_ack(self) -> None:
        """The hub has stored more."""


class Agent(Point):
    """An agent: a few calls through the gate, one after another, then the end."""

    name = "sdk"
    caps = ("hold", "pause", "inject", "takeover", "kill_cooperative")

    def __init__(self, stage: Stage, hub: Hub, run: str, *, parent: str | None = None, pid: int = 1) -> None:
        super().__init__(stage, hub, run, parent=parent, pid=pid)
        self.steps = stage.chance.randint(2, 6)
        self.supervisor: Supervisor | None = None
        self.ran: Counter[str] = Counter()
        """Call -> how often its function ran, over all lives."""
        self.decided: Counter[str] = Counter()
        """Call -> how many verdicts were applied, over all lives."""
        self.waiting_since: dict[str, float] = {}
        self.life = 0
        self._parked: list[PointCommand] = []

    def start(self) -> None:
        """As a process that may have lived before."""
        self.life += 1
        is_first = not self.journal.events
        super().start()
        if self.journal.is_finished:
            return
        if is_first:
            self.say({"type": "state", "state": "working"})
        for order in list(self.journal.orders.values()):
            if order.cmd not in self.journal.answers:
                self.obey(order)
        if not self.journal.is_finished:
            self._take_up()

    def _take_up(self) -> None:
        """What a former life left open: calls that ran are not run again, those that waited are proposed again."""
        waits = False
        for call, known in self.journal.calls.items():
            if known["status"] == "running":
                self._end_call(call, "failed", error="interrupted")
            elif known["status"] == "proposed":
                waits = True
                self._propose(call)
        if not waits:
            self._later()

    def die(self) -> None:
        """Killed with -9."""
        self.life += 1
        self.waiting_since.clear()
        self._parked.clear()
        super().die()

    # -- the body --------------------------------------------------------------------------------------------------

    def _later(self) -> None:
        life = self.life
        self.stage.soon(0.1, 1.5, lambda: self._step(life))

    def _step(self, life: int) -> None:
        if life != self.life or self.journal.is_finished or not self.is_alive:
            return
        if len(self.journal.calls) >= self.steps:
            self._finish("completed")
            return
        number = len(self.journal.calls) + 1
        kind = self.stage.chance.choice(["sql", "sql", "read_file", "model"])
        call = f"{'m' if kind == 'model' else 'c'}{number}"
        tool, args = (
            ("gpt", {"model": "gpt", "messages": []}) if kind == "model" else (kind, {"query": f"{self.run} {number}"})
        )
        self.journal.calls[call] = {"status": "proposed", "tool": tool, "args": args}
        if self.stage.chance.random() < 0.4:
            turns = number if kind == "model" else 0
            self.say({"type": "usage", "model": "gpt", "turns": turns, "input_tokens": number * 100})
        self._propose(call)

    def _propose(self, call: str) -> None:
        known = self.journal.calls[call]
        self.waiting_since[call] = self.stage.now
        self.say(
            {
                "type": "tool",
                "id": call,
                "kind": "model_call" if call.startswith("m") else "tool_call",
                "status": "proposed",
                "gate": True,
                "name": known["tool"],
                "args": known["args"],
                "digest": call_digest(known["tool"], known["args"]),
            }
        )
        if self.journal.is_paused:
            self.say({"type": "state", "state": "paused"})

    def _end_call(self, call: str, status: str, **about: Any) -> None:
        self.journal.calls[call]["status"] = status
        self.waiting_since.pop(call, None)
        self.say({"type": "tool", "id": call, "status": status, **about})

    def _finish(self, state: str) -> None:
        self.stage.tell(f"{self.title} is {state}")
        self.journal.is_finished = True
        self.say({"type": "state", "state": state})

    def after_ack(self) -> None:
        """A finished agent whose journal is delivered ends."""
        if self.journal.is_finished and self.outbox.unacked == 0:
            self.leave()
            if self.supervisor:
                self.supervisor.saw_exit(code=0)

    # -- commands --------------------------------------------------------------------------------------------------

    def obey(self, order: PointCommand) -> None:
        """A command, seen for the first time or left open by a former life."""
        if order.do is Do.KILL:
            self._killed(order)
        elif self.journal.is_finished:
            self.answer(order.cmd, ok=False)
        elif order.do is Do.VERDICT:
            self._verdict(order)
        else:
            self.answer(order.cmd)
            if order.do is Do.PAUSE:
                self.journal.is_paused = True
                if self.waiting_since:
                    self.say({"type": "state", "state": "paused"})
            elif order.do is Do.RESUME:
                self._resume()

    def _resume(self) -> None:
        self.journal.is_paused = False
        self.say({"type": "state", "state": "working"})
        parked, self._parked = self._parked, []
        for order in parked:
            self._verdict(order)

    def _verdict(self, order: PointCommand) -> None:
        call = str(order.call)
        known = self.journal.calls.get(call)
        if known is None or known["status"] != "proposed":
            self.answer(order.cmd, ok=False)
            return
        if order.outcome == "allow" and self.journal.is_paused:
            self._parked.append(order)
            return
        self.decided[call] += 1
        self.stage.demand(self.decided[call] == 1, f"{self.run} {call}: one verdict is applied, once")
        self.stage.tell(f"{self.title} {call}: {order.outcome} by {order.by}")
        if order.outcome == "allow":
            self._run(call, order)
        elif order.outcome == "deny":
            self._end_call(call, "denied", error=order.text or "")
            self._later()
        else:
            self._end_call(call, "completed", result=order.text or "")
            self._later()
        self.answer(order.cmd)

    def _run(self, call: str, order: PointCommand) -> None:
        known = self.journal.calls[call]
        args = known["args"] if order.args is None else order.args
        self.stage.demand(order.digest == call_digest(known["tool"], args), f"{call}: the verdict is over what runs")
        self.ran[call] += 1
        self.stage.demand(self.ran[call] == 1, f"{self.run} {call}: a call runs at most once")
        known["status"] = "running"
        self.waiting_since.pop(call, None)
        self.say({"type": "tool", "id": call, "status": "running", "verdict": order.cmd})
        life = self.life
        self.stage.soon(0.02, 0.6, lambda: self._ran(call, life))

    def _ran(self, call: str, life: int) -> None:
        if life == self.life and self.is_alive and not self.journal.is_finished:
            self._end_call(call, "completed", result="ok")
            self._later()

    def _killed(self, order: PointCommand) -> None:
        self.stage.tell(f"{self.title} hears the kill {order.cmd}")
        if not self.journal.is_finished:
            for call, known in self.journal.calls.items():
                if known["status"] in ("proposed", "running"):
                    self._end_call(call, "killed")
            self._finish("killed")
        self.answer(order.cmd, proof="cooperative", points=[{"name": "sdk", "ms": 1.0, "outcome": "cancelled"}])


class Supervisor(Point):
    """The agent's parent process: it kills for certain, and reports the exit."""

    name = "supervisor"
    caps = ("kill_process",)

    def __init__(self, stage: Stage, hub: Hub, agent: Agent) -> None:
        super().__init__(stage, hub, agent.run, parent=agent.parent, pid=agent.pid - 1)
        self.agent = agent
        agent.supervisor = self
        self._kills: list[str] = []

    def obey(self, order: PointCommand) -> None:
        """It knows the kill and nothing else."""
        if order.do is not Do.KILL:
            self.answer(order.cmd, ok=False)
        elif self.journal.is_finished:
            self._prove(order.cmd)
        else:
            self._kills.append(order.cmd)
            self.stage.soon(0.05, 0.8, self._kill)

    def _kill(self) -> None:
        if not self.journal.is_finished:
            self.stage.tell(f"{self.title} kills the process")
            self.agent.die()
            self.saw_exit(code=None)

    def saw_exit(self, code: int | None) -> None:
        """The process is gone."""
        if self.journal.is_finished:
            return
        self._describe()
        self.journal.is_finished = True
        state = "completed" if code == 0 else "failed"
        about = {"code": code, "signal": None if code == 0 else "SIGKILL", "survivors": 0}
        self.say({"type": "state", "state": state, "exit": about})
        for cmd in self._kills:
            self._prove(cmd)
        if self.agent.outbox.unacked:
            self.stage.soon(0.1, 2.0, self._drain)

    def _drain(self) -> None:
        """Deliver what the dead process had journalled."""
        self.agent.journal.is_finished = True
        self.agent.start()

    def _prove(self, cmd: str) -> None:
        points = [{"name": "supervisor.kill", "ms": 5.0, "outcome": "empty"}]
        self.answer(cmd, proof="process", points=points, killed=[self.agent.pid])
