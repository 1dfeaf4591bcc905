"""The simulated hub: the real desk, feeds and connections on a simulated disk and wires, killed at any time."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic_core import to_json

from opsconsole.domain.run import FENCED, HELD, TERMINAL
from opsconsole.domain.tool_call import Outcome
from opsconsole.domain.usage import Usage
from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.desk.effects import Changed, Close, Effects, Record, Reply, Send, Store
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.hub.subscriptions import RowFeed, RowSubscriber
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision, Limits, Proposal, Quorum, Verdict
from opsconsole.policy.redaction import masker
from opsconsole.protocol.connection import Connection, Phase
from opsconsole.protocol.frames import Ack, Bye, Command, Frame, Hello, PointCommand, Sub, Welcome
from tests.simulation.disk import Disk
from tests.simulation.stage import Stage, Violated
from tests.simulation.wire import End, Wire

SETTINGS = DeskSettings(
    approval_ttl_seconds=15.0, takeover_lease_seconds=10.0, command_ttl_seconds=20.0, kill_unconfirmed_seconds=5.0
)
PAIR = frozenset({"ana", "ben"})


class PairPolicy(DefaultPolicy):
    """The default, but that every third call needs two people."""

    def judge(self, proposal: Proposal) -> Verdict:
        """The default's word, asked of two where it is so."""
        verdict = super().judge(proposal)
        if verdict.decision is not Decision.ASK or not needs_two(proposal.call):
            return verdict
        return replace(verdict, quorums=(Quorum(approvers=2, group="pair", people=PAIR),))


def needs_two(call: str) -> bool:
    """Whether a call is one of those that two people decide on."""
    return call.endswith(("1", "4", "7"))


POLICY = PairPolicy(run_limits=Limits(turns=6))
OTHER_POLICY = PairPolicy(run_limits=Limits(turns=6), ask_ttl_seconds=14.0)
FLUSH_SECONDS = {"board": 0.05, "approvals": 0.0}
SAVE_SECONDS = 4.0
SAVE_CHUNK = 3
"""Records of one chunk: few, so that a crash falls between two of one pass."""


def price(_provider: str, _model: str, usage: Usage) -> float:
    """A cent a thousand tokens."""
    return usage.tokens * 1e-5


class Hub:
    """What stays the same over the lives of a hub: its disk, and the promises it has made."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.disk = Disk(stage, needs_two)
        self.lives = 0
        self.life: Life | None = None
        self.killed: set[str] = set()
        """Runs of which some operator was told that their kill is on record."""
        self.ended: set[str] = set()
        """Runs whose end was on record once."""
        self.unkept: set[str] = set()
        """Commands that storage refused, and whose refusal is on record as soon as it takes entries again."""

    def start(self) -> None:
        """Start the hub."""
        self.lives += 1
        self.stage.tell(f"hub starts (life {self.lives})")
        self.life = Life(self, self.lives)

    def kill(self) -> None:
        """Kill the hub with -9."""
        if self.life is None:
            return
        self.stage.tell("hub is killed")
        life, self.life = self.life, None
        life.is_over = True
        self.disk.crash()
        self.unkept &= self.disk.commands  # what only memory held is gone with it
        for end in list(life.ends.values()):
            end.wire.cut()

    def accept(self, kind: Literal["agent", "operator"], who: Principal, client: End) -> Wire | None:
        """A new connection; None while nothing listens."""
        return self.life.accept(kind, who, client) if self.life else None


class HubEnd:
    """The hub's end of one wire."""

    def __init__(self, life: Life, conn: str, kind: Literal["agent", "operator"], who: Principal) -> None:
        self.life = life
        self.conn = conn
        self.kind = kind
        self.who = who
        stage = life.stage
        self.connection = Connection("hub_agent" if kind == "agent" else "hub_operator", now=stage.now)
        self.subscribers: dict[str, RowSubscriber] = {}
        self.wire: Wire
        stage.after(self.connection.next_wake(now=stage.now), self._wake)

    def arrive(self, data: bytes) -> None:
        """A frame of the peer."""
        if self.life.is_over or self.connection.phase is Phase.CLOSED:
            return
        frame = self.connection.receive(data, now=self.life.stage.now)
        if frame is not None:
            self.life.take(self, frame, data)

    def closed(self, code: int) -> None:
        """The wire is gone."""
        self.connection.close()
        if not self.life.is_over and self.life.ends.pop(self.conn, None) and self.kind == "agent":
            self.life.step(lambda now: self.life.desk.agent_gone(self.conn, f"closed {code}", False, now))

    def send(self, frame: Frame) -> None:
        """Send one frame."""
        if self.connection.phase is not Phase.CLOSED:
            self.wire.send(self.connection.send(frame, now=self.life.stage.now), to_hub=False)

    def send_text(self, text: str) -> None:
        """Send a frame that is already encoded."""
        self.connection.sent_raw(now=self.life.stage.now)
        self.wire.send(text.encode(), to_hub=False)

    def close(self, code: int) -> None:
        """Say bye and close."""
        self.send(Bye(code=code))
        self.wire.close(code, by_hub=True)
        self.closed(code)

    def _wake(self) -> None:
        if self.life.is_over or self.connection.phase is Phase.CLOSED:
            return
        stage = self.life.stage
        code = self.connection.overdue(now=stage.now)
        if code:
            self.close(code)
            return
        beat = self.connection.beat(now=stage.now, wall=stage.clock)
        if beat:
            self.wire.send(beat, to_hub=False)
        stage.after(self.connection.next_wake(now=stage.now), self._wake)


class Life:
    """The hub from one start to the next crash."""

    def __init__(self, hub: Hub, number: int) -> None:
        self.hub = hub
        self.stage = hub.stage
        self.disk = hub.disk
        self.is_over = False
        self.ends: dict[str, HubEnd] = {}
        self.desk = Desk(epoch=f"life{number}", policy=POLICY, price=price, mask=masker(b"k"), settings=SETTINGS)
        self.epoch = f"life{number}"
        self.feeds = {
            "board": RowFeed(self.epoch, self._render_run),
            "approvals": RowFeed(self.epoch, self._render_approval),
        }
        self._flushing: set[str] = set()
        self._armed: float | None = None
        self._conns = 0
        self._recorded = hub.disk.marks
        hub.disk.told = self._told
        self._recover()
        for run in self.desk.run_ids():
            self.feeds["board"].change(run, self.stage.clock)
        for approval in self.desk.approval_ids():
            self.feeds["approvals"].change(approval, self.stage.clock)
        self.step(self.desk.finish_recovery)
        self.stage.after(SAVE_SECONDS, self._save)

    def _recover(self) -> None:
        disk = self.disk
        self.desk.load(list(disk.records.values()))
        for entry in disk.entries[disk.marks[0] :]:
            self.desk.foresee_entry(entry.body)
        items = [(one.at, 1, one.seq, one) for one in disk.entries[disk.marks[0] :]]
        items += [(one.at, 0, one.position, one) for one in disk.batches[disk.marks[1] :]]  # type: ignore[misc]
        for _at, kind, _number, item in sorted(items, key=lambda one: one[:3]):
            if kind:
                self.desk.replay_entry(item.seq, item.key, item.at, item.body)
            else:
                store = item.store  # type: ignore[attr-defined]
                self.desk.replay_batch(
                    run=store.run,
                    gen=store.gen,
                    first_seq=store.first_seq,
                    count=store.count,
                    at=item.at,
                    body=store.body,
                )
        self._recorded = (len(disk.entries), len(disk.batches))

    # -- connections -----------------------------------------------------------------------------------------------

    def accept(self, kind: Literal["agent", "operator"], who: Principal, client: End) -> Wire:
        """A new connection."""
        self._conns += 1
        conn = f"{self.epoch}.{kind}{self._conns}"
        end = self.ends[conn] = HubEnd(self, conn, kind, who)
        end.wire = Wire(self.stage, client, end)
        return end.wire

    def take(self, end: HubEnd, frame: Frame, data: bytes) -> None:
        """A frame of a peer."""
        if end.kind == "agent":
            if isinstance(frame, Hello):
                self.step(lambda now: self.desk.agent_hello(end.conn, end.who, frame, now))
            else:
                self.step(lambda now: self.desk.agent_frame(end.conn, frame, data, now))
            if isinstance(frame, Bye):
                end.closed(frame.code)
        elif isinstance(frame, Hello):
            welcome = Welcome(
                epoch=self.epoch,
                conn=end.conn,
                principal=end.who.name,
                role="operator",
                beat_seconds=SETTINGS.beat_seconds,
                time=self.stage.clock,
            )
            end.send(welcome)
        elif isinstance(frame, Sub):
            subscriber = end.subscribers[frame.sub] = RowSubscriber(self.feeds[frame.view], frame.sub)
            subscriber.start(frame.epoch, frame.rev)
            self._flush_one(end, subscriber)
        elif isinstance(frame, Ack) and frame.sub and frame.rev is not None:
            subscriber = end.subscribers[frame.sub]
            subscriber.ack(frame.rev)
            self._flush_one(end, subscriber)
        elif isinstance(frame, Command):
            self.step(lambda now: self.desk.command(frame, end.who, end.conn, now))

    # -- effects ---------------------------------------------------------------------------------------------------

    def step(self, work: object) -> None:
        """One input of the desk and its effects."""
        self._perform(work(self.stage.clock))  # type: ignore[operator]
        due = self.desk.next_due()
        if due is not None and (self._armed is None or due < self._armed):
            self._armed = due
            self.stage.after(max(0.0, due - self.stage.clock), self._tick)

    def _tick(self) -> None:
        self._armed = None
        if not self.is_over:
            self.step(self.desk.tick)

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Store() | Record():
                    self.disk.put(effect, self.stage.clock)
                case Send():
                    self._send(effect)
                case Close():
                    if effect.conn in self.ends:
                        self.ends[effect.conn].close(effect.code)
                case Reply():
                    self._reply(effect)
                case Changed():
                    self._changed(effect)

    def _told(self, item: Store | Record, number: int, problem: str) -> None:
        if problem:
            self.step(lambda now: self.desk.record_failed(item.token, problem, now))
            return
        if isinstance(item, Store):
            self._recorded = (self._recorded[0], number)
            self.step(lambda now: self.desk.stored(item.token, number, now))
        else:
            self._recorded = (number, self._recorded[1])
            self.step(lambda now: self.desk.recorded(item.token, number, now))

    def _send(self, effect: Send) -> None:
        frame = effect.frame
        if isinstance(frame, PointCommand) and frame.outcome in (Outcome.ALLOW, Outcome.ANSWER):
            row = self.desk.run_row(frame.run)
            self.stage.demand(row.state not in HELD, f"{frame.run}: no permission is told while it is {row.state}")
            is_killed = row.kill is not None and row.state in FENCED
            self.stage.demand(not is_killed, f"{frame.run}: no permission after the fence")
            self.stage.demand(frame.run not in self.hub.killed, f"{frame.run}: no permission after a recorded kill")
            call = str(frame.call)
            is_on_record = frame.digest in self.disk.permits.get((frame.run, call), ())
            if frame.outcome is Outcome.ALLOW and not call.startswith("m"):
                self.stage.demand(is_on_record, f"{frame.run} {call}: an allow is on record before it is sent")
        end = self.ends.get(effect.conn)
        if end:
            end.send(frame)

    def _reply(self, effect: Reply) -> None:
        res = effect.res
        if res.ok and res.status in ("recorded", "voted"):
            self.stage.demand(res.cmd in self.disk.commands, f"{res.cmd}: what is called recorded is on the disk")
            if res.cmd.startswith("kill_"):
                self.hub.killed.add(res.cmd.split("-")[1])
        if res.code == "storage_failed":
            self.hub.unkept.add(res.cmd)
        end = self.ends.get(effect.to)
        if end:
            end.send(res)

    # -- rows ------------------------------------------------------------------------------------------------------

    def _render_run(self, key: str, _rev: int) -> bytes | None:
        row = self.desk.run_row(key)
        return None if row is None else to_json(row.model_copy(update={"cost_per_minute_usd": 0.0}), exclude_none=True)

    def _render_approval(self, key: str, _rev: int) -> bytes | None:
        row = self.desk.approval_row(key)
        return None if row is None else to_json(row, exclude_none=True)

    def rows(self, view: str) -> dict[str, bytes]:
        """The rows as they are now."""
        keys = self.desk.run_ids() if view == "board" else self.desk.approval_ids()
        render = self._render_run if view == "board" else self._render_approval
        return {key: render(key, 0) or b"" for key in keys}

    def _changed(self, effect: Changed) -> None:
        if effect.view not in self.feeds:
            return
        self.feeds[effect.view].change(effect.key, self.stage.clock)
        if effect.view == "board" and effect.key in self.disk.ends:
            state = self.desk.run_row(effect.key).state
            self.stage.demand(state in TERMINAL, f"{effect.key}: an end on record is final, and it is {state}")
        if effect.view not in self._flushing:
            self._flushing.add(effect.view)
            self.stage.after(FLUSH_SECONDS[effect.view], lambda: self._flush(effect.view))

    def _flush(self, view: str) -> None:
        self._flushing.discard(view)
        if self.is_over:
            return
        for end in list(self.ends.values()):
            for subscriber in end.subscribers.values():
                if subscriber.feed is self.feeds[view]:
                    self._flush_one(end, subscriber)

    def _flush_one(self, end: HubEnd, subscriber: RowSubscriber) -> None:
        while end.connection.phase is Phase.OPEN and (text := subscriber.next_text()) is not None:
            end.send_text(text)

    # -- records ---------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """A pass over the changed records, in chunks with time between; its marks come with the last."""
        if not self.is_over:
            self._save_chunk(self._recorded)

    def _save_chunk(self, marks: tuple[int, int]) -> None:
        if self.is_over:
            return
        taken = self.desk.take_dirty(SAVE_CHUNK)
        for record in taken:
            self.disk.records[record.kind, record.id] = record
        if len(taken) < SAVE_CHUNK:
            self.disk.marks = marks
            self.stage.after(SAVE_SECONDS, self._save)
        else:
            self.stage.soon(0.001, 0.05, lambda: self._save_chunk(marks))


__all__ = ["Hub", "HubEnd", "Life", "Violated"]
