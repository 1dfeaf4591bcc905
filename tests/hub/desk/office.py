"""An office in which the desk's rules are tried: a desk, a storage that can be held or broken, and scripted peers."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opsconsole.domain.command import Role
from opsconsole.domain.digest import call_digest
from opsconsole.domain.ids import approval_id, sealed_run_id
from opsconsole.domain.usage import Usage
from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.desk.effects import Changed, Close, Effects, Record, Reply, Send, Store
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.records import DeskRecord
from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Policy
from opsconsole.policy.redaction import masker
from opsconsole.protocol.coding import decode, encode
from opsconsole.protocol.frames import Ack, Command, Err, Frame, PointCommand, Res, Welcome
from opsconsole.protocol.rows import ApprovalRow, RunRow

BOT = Principal(name="bot", role=Role.AGENT, origin="127.0.0.1:1")
GATE = Principal(name="gate", role=Role.GATEWAY, origin="127.0.0.1:5")
ANA = Principal(name="ana", role=Role.OPERATOR, origin="127.0.0.1:2")
BEN = Principal(name="ben", role=Role.OPERATOR, origin="127.0.0.1:3")
EYE = Principal(name="eye", role=Role.OBSERVER, origin="127.0.0.1:4")
SDK_CAPS = ["hold", "pause", "inject", "takeover", "kill_cooperative"]
KEY = "the supervisor's"
RUN = "run_1"
"""The run most tests are about; nobody supervises it."""
SEALED = sealed_run_id("run_1", KEY)
"""A run that a supervisor holds; who says hello as its supervisor has the key."""
SUPERVISOR_CAPS = ["kill_process", "freeze"]
START = 1_000_000.0
STEP_SECONDS = 0.001
"""The clock moves this much with everything that happens."""


def price(_provider: str, model: str, usage: Usage) -> float | None:
    """One cent a thousand tokens; models named `secret-…` have no known price."""
    return None if model.startswith("secret-") else usage.tokens * 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One audit entry as committed."""

    seq: int
    key: str
    at: float
    body: bytes

    @property
    def fact(self) -> dict[str, Any]:
        """What it says."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch of events as committed."""

    position: int
    at: float
    store: Store


@dataclass(slots=True)
class Storage:
    """What is durable, and what waits to be. Held, it commits nothing by itself; broken, it refuses every entry."""

    entries: list[Entry] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    waiting: deque[tuple[Store | Record, float]] = field(default_factory=deque)
    is_held: bool = False
    problem: str = ""

    def kinds(self, prefix: str = "") -> list[str]:
        """The kinds of the committed entries, in order."""
        return [kind for entry in self.entries if (kind := entry.fact["kind"]).startswith(prefix)]

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """The committed entries of one kind."""
        return [entry.fact for entry in self.entries if entry.fact["kind"] == kind]

    def events(self, run: str, gen: str | None = None) -> list[dict[str, Any]]:
        """The committed events of a run, as their readers see them."""
        return [
            event
            for batch in self.batches
            if batch.store.run == run and gen in (None, batch.store.gen)
            for event in json.loads(batch.store.body)
        ]

    def take(self, effect: Store | Record, at: float) -> tuple[int, str]:
        """Commit one item: its number, or 0 and the problem."""
        if isinstance(effect, Store):
            self.batches.append(Batch(position=len(self.batches) + 1, at=at, store=effect))
            return len(self.batches), ""
        if self.problem:
            return 0, self.problem
        last = max((entry.seq for entry in self.entries if entry.key == effect.key), default=0)
        if effect.expect is not None and effect.expect != last:
            return 0, f"conflict: expected {effect.expect}, found {last}"
        self.entries.append(Entry(seq=len(self.entries) + 1, key=effect.key, at=at, body=effect.body))
        return len(self.entries), ""


class Office:
    """A desk with everything around it that it needs, driven step by step."""

    def __init__(self, *, policy: Policy | None = None, settings: DeskSettings | None = None) -> None:
        self.now = START
        self.run = RUN
        """The run meant where none is named."""
        self.policy = policy or DefaultPolicy()
        self.settings = settings or DeskSettings()
        self.storage = Storage()
        self.epoch = 0
        self.changed: list[tuple[str, str]] = []
        self.peers: dict[str, Agent] = {}
        self.operators: dict[str, Operator] = {}
        self.replies: dict[str, list[Res]] = {}
        self.saved: dict[tuple[str, str], DeskRecord] = {}
        self.marks = (0, 0)
        self.desk = self._desk()

    def _desk(self) -> Desk:
        self.epoch += 1
        return Desk(
            epoch=f"epoch{self.epoch}", policy=self.policy, price=price, mask=masker(b"key"), settings=self.settings
        )

    # -- time and effects ------------------------------------------------------------------------------------------

    def step(self, work: Callable[[float], Effects]) -> None:
        """One input of the desk, its effects, and all that follows from what becomes durable."""
        self.now += STEP_SECONDS
        self._perform(work(self.now))
        if not self.storage.is_held:
            self.commit()

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Store() | Record():
                    self.storage.waiting.append((effect, self.now))
                case Send():
                    if effect.conn in self.peers:
                        self.peers[effect.conn].hear(effect.frame)
                case Close():
                    if effect.conn in self.peers:
                        self.peers[effect.conn].hear_close(effect.code)
                case Reply():
                    self.replies.setdefault(effect.to, []).append(effect.res)
                case Changed():
                    self.changed.append((effect.view, effect.key))

    def hold(self) -> None:
        """The disk is slow: nothing becomes durable until `commit`."""
        self.storage.is_held = True

    def commit(self, count: int = 1_000_000) -> None:
        """The next `count` waiting items become durable (or fail), each with all that follows."""
        while count > 0 and self.storage.waiting:
            effect, at = self.storage.waiting.popleft()
            number, problem = self.storage.take(effect, at)
            self.now += STEP_SECONDS
            if problem:
                self._perform(self.desk.record_failed(effect.token, problem, self.now))
            elif isinstance(effect, Store):
                self._perform(self.desk.stored(effect.token, number, self.now))
            else:
                self._perform(self.desk.recorded(effect.token, number, self.now))
            count -= 1

    def release(self) -> None:
        """The disk is as fast as ever."""
        self.storage.is_held = False
        self.commit()

    def pass_time(self, seconds: float) -> None:
        """Time goes by, deadline after deadline."""
        end = self.now + seconds
        while (due := self.desk.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.step(self.desk.tick)
        self.now = max(self.now, end)

    # -- restarts --------------------------------------------------------------------------------------------------

    def save_records(self) -> None:
        """What the hub does now and then: the desk's records, and up to where they reach."""
        marks = (len(self.storage.entries), len(self.storage.batches))
        for record in self.desk.take_dirty(1_000_000):
            self.saved[record.kind, record.id] = record
        self.marks = marks

    def recovered(self) -> Desk:
        """A new desk as far as replay brings it."""
        desk = self._desk()
        desk.load(list(self.saved.values()))
        entries = [(one.at, 1, one.seq, one) for one in self.storage.entries[self.marks[0] :]]
        for foreseen in self.storage.entries[self.marks[0] :]:
            desk.foresee_entry(foreseen.body)
        batches = [(one.at, 0, one.position, one) for one in self.storage.batches[self.marks[1] :]]
        for _at, _kind, _number, item in sorted(entries + batches, key=lambda one: one[:3]):
            if isinstance(item, Entry):
                desk.replay_entry(item.seq, item.key, item.at, item.body)
            else:
                store = item.store
                desk.replay_batch(
                    run=store.run,
                    gen=store.gen,
                    first_seq=store.first_seq,
                    count=store.count,
                    at=item.at,
                    body=store.body,
                )
        return desk

    def restart(self) -> None:
        """The hub is killed with -9 and started again; what was not committed is lost, every connection is cut."""
        self.storage.waiting.clear()
        self.storage.is_held = False
        for peer in list(self.peers.values()):
            peer.conn = ""
        self.peers.clear()
        self.desk = self.recovered()
        self.step(self.desk.finish_recovery)

    # -- peers and rows --------------------------------------------------------------------------------------------

    def agent(self, run: str | None = None, **about: Any) -> Agent:
        """A connected point whose run is described and at work."""
        agent = Agent(self, run=run or self.run, **about)
        agent.connect()
        agent.start()
        return agent

    def supervised(self, run: str = SEALED) -> tuple[Agent, Agent]:
        """A run with two points: the SDK in its process, and a supervisor above it."""
        self.run = run
        supervisor = self.agent(run, point="supervisor", caps=SUPERVISOR_CAPS, state=None)
        return self.agent(run), supervisor

    def operator(self, who: Principal = ANA) -> Operator:
        """Someone at a console."""
        return self.operators.setdefault(who.name, Operator(self, who))

    def row(self, run: str | None = None) -> RunRow:
        """The row of a run."""
        return self.desk.run_row(run or self.run, self.now)

    def approval(self, call: str = "c1", run: str | None = None) -> ApprovalRow | None:
        """The row of the approval of a call, None when there is none."""
        return self.desk.approval_row(approval_id(run or self.run, call))

    def alerts(self, run: str | None = None) -> list[str]:
        """The kinds of alert on a run's row."""
        return [alert.kind for alert in self.row(run).alerts]


class Agent:
    """One enforcement point: it journals, sends, and keeps what it hears; a command is acknowledged when told to."""

    def __init__(
        self,
        office: Office,
        *,
        run: str | None = None,
        point: str = "sdk",
        gen: str = "g1",
        who: Principal | None = None,
        agent: str = "worker",
        parent: str | None = None,
        caps: list[str] | None = None,
        state: str | None = "working",
        host: str = "box",
        pid: int = 100,
        lease_seconds: float | None = None,
    ) -> None:
        self.office = office
        self.run, self.point, self.gen, self.who = (
            run or office.run,
            point,
            gen,
            who or (GATE if point == "gateway" else BOT),
        )
        self.host, self.pid = host, pid
        self.described = {"agent": agent, "parent": parent, "caps": SDK_CAPS if caps is None else caps}
        if lease_seconds is not None:
            self.described["on_hub_lost"] = {"run": "stop", "lease_seconds": lease_seconds}
        self.first_state = state
        self.conn = ""
        self.connections = 0
        self.journal: list[dict[str, Any]] = []
        self.acked = 0
        self.cseq = 0
        self.heard: list[Frame] = []
        self.closes: list[int] = []

    # -- the link --------------------------------------------------------------------------------------------------

    def connect(self, **hello: Any) -> Agent:
        """Connect and say hello."""
        self.connections += 1
        self.conn = f"{self.point}@{self.run}/{self.gen}#{self.connections}"
        self.office.peers[self.conn] = self
        run = {"run": self.run, "gen": self.gen, "seq": len(self.journal), "cseq": self.cseq} | hello
        if self.point == "supervisor" and "key" not in hello:
            run["key"] = KEY
        proc = {"host": self.host, "pid": self.pid}
        greeting = decode(
            json.dumps({"t": "hello", "client": "test", "point": self.point, "proc": proc, "runs": [run]}),
            "agent_to_hub",
        )
        self.office.step(lambda now: self.office.desk.agent_hello(self.conn, self.who, greeting, now))
        return self

    def drop(self, clean: bool = False) -> None:
        """The connection is gone."""
        conn, self.conn = self.conn, ""
        self.office.peers.pop(conn, None)
        self.office.step(lambda now: self.office.desk.agent_gone(conn, "cut", clean, now))

    def send(self, frame: dict[str, Any] | bytes) -> None:
        """Send one frame, if connected."""
        data = frame if isinstance(frame, bytes) else json.dumps(frame, separators=(",", ":")).encode()
        read = decode(data, "agent_to_hub")
        if self.conn and read is not None:
            self.office.step(lambda now: self.office.desk.agent_frame(self.conn, read, data, now))

    def hear(self, frame: Frame) -> None:
        """A frame of the hub arrives."""
        frame = decode(encode(frame), "hub_to_agent")
        self.heard.append(frame)
        if isinstance(frame, Welcome):
            self.acked = max(self.acked, frame.acked.get(self.run, 0))
        elif isinstance(frame, Ack) and frame.seq is not None:
            self.acked = max(self.acked, frame.seq)
        elif isinstance(frame, PointCommand):
            self.cseq = max(self.cseq, frame.cseq)

    def hear_close(self, code: int) -> None:
        """The hub closes the connection."""
        self.closes.append(code)

    def acknowledge(self) -> None:
        """Tell the hub what is journalled."""
        self.send({"t": "ack", "run": self.run, "cseq": self.cseq})

    # -- what it says ----------------------------------------------------------------------------------------------

    def journalled(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        """Number events and keep them."""
        numbered = [{"seq": len(self.journal) + place, "ts": 1.0, **event} for place, event in enumerate(events, 1)]
        self.journal += numbered
        return numbered

    def frame(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """An event frame."""
        return {"t": "event", "run": self.run, "gen": self.gen, "events": events}

    def say(self, *events: dict[str, Any]) -> None:
        """Journal events and send them as one frame."""
        self.send(self.frame(self.journalled(*events)))

    def start(self) -> None:
        """Describe the run and say that it works."""
        described = {"type": "run"} | {key: value for key, value in self.described.items() if value is not None}
        states = [{"type": "state", "state": self.first_state}] if self.first_state else []
        self.say(described, *states)

    def state(self, state: str, **about: Any) -> None:
        """Say what the run does."""
        self.say({"type": "state", "state": state, **about})

    def propose(self, call: str = "c1", tool: str = "sql", args: dict[str, Any] | None = None, **about: Any) -> None:
        """Put a call before the gate."""
        args = {"query": "DELETE"} if args is None else args
        proposed = {"type": "tool", "id": call, "status": "proposed", "gate": True, "name": tool, "args": args}
        self.say(proposed | about | {"digest": about["digest"] if "digest" in about else call_digest(tool, args)})

    def turn(self, call: str = "m1", **about: Any) -> None:
        """Put a turn of the model before the gate."""
        self.propose(call, "gpt", {"model": "gpt", "messages": []}, kind="model_call", **about)

    def tool(self, call: str, status: str, **about: Any) -> None:
        """Report how a call goes."""
        self.say({"type": "tool", "id": call, "status": status, **about})

    def usage(self, **counts: Any) -> None:
        """Report what a model has used in all."""
        self.say({"type": "usage", "model": "gpt", **counts})

    def beat(self, **about: Any) -> None:
        """Show that the process is alive."""
        self.send({"t": "beat", "n": 1, "now": 1.0, **about})

    def answer(self, cmd: str, status: str = "applied", **about: Any) -> None:
        """Report what became of a command."""
        self.send({"t": "res", "cmd": cmd, "run": self.run, "ok": status == "applied", "status": status, **about})

    # -- what it heard ---------------------------------------------------------------------------------------------

    @property
    def commands(self) -> list[PointCommand]:
        """Every command heard, repeated ones too."""
        return [frame for frame in self.heard if isinstance(frame, PointCommand)]

    def told(self, do: str) -> list[PointCommand]:
        """The commands of one kind."""
        return [command for command in self.commands if command.do == do]

    def verdicts(self, call: str = "c1") -> list[str]:
        """The outcomes heard for a call, in order."""
        return [str(one.outcome) for one in self.told("verdict") if one.call == call]

    def verdict(self, call: str = "c1") -> PointCommand:
        """The one verdict on a call."""
        (verdict,) = [one for one in self.told("verdict") if one.call == call]
        return verdict

    @property
    def problems(self) -> list[str]:
        """The codes of the errors heard."""
        return [frame.code for frame in self.heard if isinstance(frame, Err)]


class Operator:
    """Someone who gives commands and keeps the answers."""

    def __init__(self, office: Office, who: Principal) -> None:
        self.office = office
        self.who = who
        self.given = 0

    def ask(self, do: str, *, cmd: str | None = None, **about: Any) -> Res | None:
        """Give a command; the answer, or None while it is not given."""
        self.given += 1
        body = {"t": "cmd", "cmd": cmd or f"cmd_{self.who.name.replace('@', '_')}{self.given}", "do": do, **about}
        command = decode(json.dumps(body), "operator_to_hub")
        assert isinstance(command, Command)
        to = f"{self.who.name}#{self.given}"
        self.office.step(lambda now: self.office.desk.command(command, self.who, to, now))
        return self.answer_to(self.given)

    def answer_to(self, number: int) -> Res | None:
        """The answer to the n-th command, None while there is none."""
        answers = self.office.replies.get(f"{self.who.name}#{number}", [])
        return answers[-1] if answers else None

    @property
    def answers(self) -> list[str]:
        """The latest command's answers, as codes and states."""
        return [res.code or res.status for res in self.office.replies.get(f"{self.who.name}#{self.given}", [])]

    def decide(self, answer: str, call: str = "c1", run: str | None = None, **about: Any) -> Res | None:
        """Decide a held call, quoting what is shown."""
        approval = self.office.approval(call, run)
        assert approval is not None
        return self.ask(
            "decide", **{"approval": approval.approval, "answer": answer, "digest": approval.digest} | about
        )
