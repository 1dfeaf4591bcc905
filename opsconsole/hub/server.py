"""The hub itself: feeds every input to the desk and carries its effects out, in order; it judges nothing.

Everything here runs on one loop and never waits: sockets and the disk are reached through queues that call back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pydantic_core import to_json

from opsconsole.domain.command import Do
from opsconsole.hub.admission import Fact
from opsconsole.hub.claims import claim_refusal
from opsconsole.hub.clock import HubClock
from opsconsole.hub.decoys import Decoys, Part
from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.desk.effects import Changed, Close, Effects, Record, Reply, Send, Store
from opsconsole.hub.desk.policies import HUB_KEY
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.feeds import Follow
from opsconsole.hub.gathering import Gathering
from opsconsole.hub.metrics import Counts, Gauges, Metrics
from opsconsole.hub.presence import Presence
from opsconsole.hub.recorder import Recorder
from opsconsole.hub.records import Marks
from opsconsole.hub.settings import ShellLimits
from opsconsole.hub.subscriptions import RowFeed
from opsconsole.hub.tails import Tails
from opsconsole.hub.waiters import Waiters
from opsconsole.policy.interface import Policy
from opsconsole.protocol.frames import Command, Frame, Hello, Res
from opsconsole.protocol.limits import Close as CloseCode
from opsconsole.protocol.quick import EVENT_FRAMES
from opsconsole.protocol.rows import ApprovalRow
from opsconsole_storage import Store as Storage

ASKED_MAX = 10_000
"""Commands whose answer is timed at once."""

log = logging.getLogger(__name__)


class Peer(Protocol):
    """An agent's end, however it is connected."""

    def put(self, frame: Frame) -> None:
        """Send it a frame soon."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say bye and close it."""
        ...


class NotRecorded(Exception):
    """Storage did not take an entry that had to come first."""


class Hub:
    """One hub, open. Made by `opened` in serve; `desk` has recovered."""

    def __init__(
        self,
        *,
        desk: Desk,
        storage: Storage,
        clock: HubClock,
        epoch: str,
        limits: ShellLimits,
        marks: Marks,
        decoys_per_day: float = 0.0,
    ) -> None:
        self.desk = desk
        self.storage = storage
        self.events = storage.events
        self.clock = clock
        self.epoch = epoch
        self.limits = limits
        self.peers: dict[str, Peer] = {}
        """Agents, by connection."""
        self.repliers: dict[str, Callable[[Res], None]] = {}
        """Who gave a command, by the `reply_to` that went with it."""
        self.tails = Tails()
        self.gathering = Gathering()
        self.follows = {
            "board": Follow(RowFeed(epoch, self._render_run), limits.board_tick_seconds),
            "approvals": Follow(RowFeed(epoch, self._render_approval), limits.approvals_tick_seconds),
            "hub": Follow(RowFeed(epoch, self._render_hub), limits.board_tick_seconds),
        }
        self.audit_seq = marks.audit_seq
        self.position = marks.position
        self.counts = Counts()
        self.metrics = Metrics(self.counts, self._gauges)
        self.operators: set[str] = set()
        self.deciders: set[str] = set()
        self.names: Callable[[], list[str]] | None = None
        """Those who may decide, by their accounts; None: not known, and any name is taken."""
        self.waiters = Waiters()
        self.presence = Presence()
        self.decoys = Decoys(per_day=decoys_per_day, ask=self._ask_made_up, tell=self.fact, show=self._show_approval)
        self.recorder = self._writer(storage, limits)
        self._carry: dict[type, Callable[[Any, float], None]] = {
            Store: self._store,
            Record: self._record,
            Send: self._send,
            Close: self._close,
            Reply: self._reply,
            Changed: self._changed,
        }
        self._facts: dict[int, asyncio.Future[None]] = {}
        self._timer: tuple[float, asyncio.TimerHandle] | None = None
        self._asked: dict[tuple[str, str], tuple[Do, float]] = {}
        self._killing: set[str] = set()
        self._dropped: set[str] = set()
        self._states: dict[str, str] = {}
        self._states_rev = 0

    def _writer(self, storage: Storage, limits: ShellLimits) -> Recorder:
        return Recorder(
            storage,
            stored=self._stored,
            recorded=self._recorded,
            failed=self._failed,
            missing=self._missing,
            batches_max=limits.storage_batches_max,
            bytes_max=limits.storage_bytes_max,
            retry_seconds=limits.storage_retry_seconds,
        )

    # -- inputs ----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The hub's clock."""
        return self.clock.now()

    def begin(self) -> None:
        """The desk has recovered: show what it knows, and let it go on from there."""
        now = self.now()
        for run in self.desk.run_ids():
            self.follows["board"].change(run, now)
        for approval in self.desk.approval_ids():
            self.follows["approvals"].change(approval, now)
        self.follows["hub"].change(HUB_KEY, now)
        self.perform(self.desk.finish_recovery(now), now)

    def agent_hello(self, conn: str, principal: Principal, hello: Hello) -> None:
        """A point introduces itself."""
        self.counts.frames["hello"] += 1
        now = self.now()
        self.perform(self.desk.agent_hello(conn, principal, hello, now), now)

    def agent_frame(self, conn: str, frame: Frame, data: bytes) -> None:
        """A point says something. While the disk refuses events they are left in its journal."""
        self.counts.frames[frame.t] += 1
        if isinstance(frame, EVENT_FRAMES):
            if self.recorder.events_problem:
                self.counts.frames_dropped += 1
                self._dropped.add(conn)
                return
            self.counts.events += len(frame.events)
        now = self.now()
        self.perform(self.desk.agent_frame(conn, frame, data, now), now)

    def agent_gone(self, conn: str, why: str, clean: bool) -> None:
        """A point's connection is over."""
        self._dropped.discard(conn)
        now = self.now()
        self.perform(self.desk.agent_gone(conn, why, clean, now), now)

    def command(self, command: Command, principal: Principal, reply_to: str) -> None:
        """An operator asks for something."""
        self.counts.frames["cmd"] += 1
        if len(self._asked) >= ASKED_MAX:
            self._asked.clear()
        self._asked[reply_to, command.cmd] = (command.do, time.monotonic())
        if command.do is Do.KILL:
            live = set(self.desk.run_ids(live_only=True))
            self._killing |= live if command.all else live & {*(command.runs or ()), command.run or ""}
        now = self.now()
        is_known = self.desk.command_report(command.cmd) is not None
        if not is_known and (refusal := claim_refusal(command, principal, self.names)) is not None:
            self.perform(self.desk.refuse(command, principal, reply_to, refusal, now), now)
            return
        made_up = None if is_known else self.decoys.answer(command, principal, now)
        if made_up is not None:
            self.perform([Reply(to=reply_to, res=made_up)], now)
            return
        self.perform(self.desk.command(command, principal, reply_to, now), now)
        self.follows["board"].hurry()  # who acts sees it at once
        if command.do is Do.DECIDE and command.approval:
            self._watch_decision(command.approval)

    def fact(self, fact: Fact) -> None:
        """Something for the audit that the shell saw."""
        now = self.now()
        self.perform(self.desk.fact(fact.kind, fact.principal, fact.details, now), now)

    @property
    def policy_hash(self) -> str:
        """Of the policy in force."""
        return self.desk.policy.hash

    @property
    def policy_name(self) -> str:
        """What the policy in force calls itself."""
        return self.desk.policy_name

    def change_policy(self, policy: Policy, diff: str) -> None:
        """Judge by another policy from now on."""
        now = self.now()
        self.perform(self.desk.change_policy(policy, diff, now), now)

    def reject_policy(self, problems: Sequence[str]) -> None:
        """The policy file cannot be used; the policy in force stays."""
        now = self.now()
        self.perform(self.desk.reject_policy(problems, now), now)

    async def recorded_fact(self, fact: Fact) -> None:
        """As `fact`, and return once it is durable. Raises: NotRecorded."""
        now = self.now()
        effects = self.desk.fact(fact.kind, fact.principal, fact.details, now)
        loop = asyncio.get_running_loop()
        waits = {effect.token: loop.create_future() for effect in effects if isinstance(effect, Record)}
        self._facts |= waits
        self.perform(effects, now)
        await asyncio.gather(*waits.values())

    @property
    def is_congested(self) -> bool:
        """Whether agents are not to be read further just now."""
        return self.recorder.is_congested

    async def room(self) -> None:
        """Return when storage can take more from agents."""
        if self.recorder.is_congested:
            await self.recorder.relief()

    # -- effects ---------------------------------------------------------------------------------------------------

    def perform(self, effects: Effects, now: float) -> None:
        """Carry effects out, in order."""
        carry = self._carry
        for effect in effects:
            carry[type(effect)](effect, now)
        self._arm()
        self.waiters.news()

    def _store(self, effect: Store, now: float) -> None:
        self.recorder.store(effect, now)

    def _record(self, effect: Record, now: float) -> None:
        self.recorder.record(effect, now)

    def _send(self, effect: Send, _now: float) -> None:
        peer = self.peers.get(effect.conn)
        if peer is not None:
            peer.put(effect.frame)

    def _close(self, effect: Close, _now: float) -> None:
        peer = self.peers.get(effect.conn)
        if peer is not None:
            peer.close(effect.code, effect.reason)

    def _reply(self, effect: Reply, _now: float) -> None:
        asked = self._asked.pop((effect.to, effect.res.cmd), None)
        if asked is not None:
            self.metrics.command_seconds.labels(str(asked[0])).observe(time.monotonic() - asked[1])
        replier = self.repliers.get(effect.to)
        if replier is not None:
            replier(effect.res)

    def _changed(self, effect: Changed, now: float) -> None:
        self.follows[effect.view].change(effect.key, now)
        if effect.view == "approvals" and self.decoys.ids and self.desk.approval_ids(pending_only=True):
            self.decoys.make_room()
        if effect.key in self._killing:
            self.follows["board"].hurry()
            self._watch_kill(effect.key)

    # -- durability ------------------------------------------------------------------------------------------------

    def _stored(self, stored: Sequence[tuple[Store, int]]) -> None:
        now, effects = self.now(), []
        for batch, position in stored:
            self.position = max(self.position, position)
            self.tails.stored(batch.run)
            effects += self.desk.stored(batch.token, position, now)
        self.counts.batches_stored += len(stored)
        self.perform(effects, now)
        if self._dropped and not self.recorder.events_problem:
            self._call_back()

    def _missing(self, lines: Mapping[str, int]) -> None:
        now = self.now()
        self.perform(self.desk.missing(lines, now), now)

    def _call_back(self) -> None:
        """The disk takes events again: agents whose frames were left come again and send them."""
        dropped, self._dropped = self._dropped, set()
        for conn in dropped:
            peer = self.peers.get(conn)
            if peer is not None:
                peer.close(CloseCode.INTERNAL, "events were not stored for a while: resume from the journal")

    def _recorded(self, token: int, seq: int) -> None:
        self.audit_seq = max(self.audit_seq, seq)
        self.counts.entries_recorded += 1
        now = self.now()
        self.perform(self.desk.recorded(token, seq, now), now)
        waiting = self._facts.pop(token, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _failed(self, token: int, problem: str) -> None:
        self.counts.records_failed += 1
        now = self.now()
        self.perform(self.desk.record_failed(token, problem, now), now)
        waiting = self._facts.pop(token, None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(NotRecorded(problem))

    # -- time ------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Wake the desk at its next deadline."""
        due = self.desk.next_due()
        if due is None or (self._timer is not None and self._timer[0] <= due):
            return
        if self._timer is not None:
            self._timer[1].cancel()
        wait = max(0.0, due - self.now())
        self._timer = (due, asyncio.get_running_loop().call_later(wait, self._tick))

    def _tick(self) -> None:
        self._timer = None
        now = self.now()
        self.perform(self.desk.tick(now), now)

    def retry_records(self) -> None:
        """Offer storage again what it has not taken: there may be no other chance."""
        self.perform(self.desk.retry_records(), self.now())

    def stop(self) -> None:
        """Give the desk no more time."""
        if self._timer is not None:
            self._timer[1].cancel()

    # -- rows ------------------------------------------------------------------------------------------------------

    def _render_run(self, key: str, rev: int) -> bytes | None:
        row = self.desk.run_row(key, self.now())
        return None if row is None else to_json(row.model_copy(update={"rev": rev}), exclude_none=True)

    def _render_approval(self, key: str, rev: int) -> bytes | None:
        row = self.desk.approval_row(key) or self.decoys.row(key)
        return None if row is None else to_json(row.model_copy(update={"rev": rev}), exclude_none=True)

    def _ask_made_up(self, part: Part, new_id: str, now: float) -> ApprovalRow | None:
        return self.desk.made_up_question(new_id, part.agent, part.tool, part.args, part.agent_reason, now)

    def _show_approval(self, key: str) -> None:
        self.follows["approvals"].change(key, self.now())

    def _render_hub(self, _key: str, rev: int) -> bytes | None:
        update = {"rev": rev, "present": self.presence.shown()}
        return to_json(self.desk.hub_row().model_copy(update=update), exclude_none=True)

    def look(self, conn: str, by: str, run: str | None, approval: str | None) -> None:
        """A console has this open now."""
        if self.presence.look(conn, by, run, approval, self.now()):
            self.follows["hub"].change(HUB_KEY, self.now())

    def left(self, conn: str) -> None:
        """A connection has ended."""
        self.peers.pop(conn, None)
        self.repliers.pop(conn, None)
        self.operators.discard(conn)
        self.deciders.discard(conn)
        if self.presence.gone(conn):
            self.follows["hub"].change(HUB_KEY, self.now())

    def sweep(self) -> None:
        """Let the feeds forget rows that are gone."""
        now = self.now()
        self.perform(self.desk.forget_ended(), now)
        self.follows["board"].feed.sweep(set(self.desk.run_ids()), now)
        self.follows["approvals"].feed.sweep({*self.desk.approval_ids(), *self.decoys.ids}, now)

    # -- what is counted -------------------------------------------------------------------------------------------

    def _watch_decision(self, approval: str) -> None:
        row = self.desk.approval_row(approval)
        if row is not None:
            self.metrics.decision_wait_seconds.observe(max(0.0, self.now() - row.requested_at))

    def _watch_kill(self, run: str) -> None:
        row = self.desk.run_row(run)
        if row is None or (row.kill is not None and row.kill.total_ms is not None):
            self._killing.discard(run)
            if row is not None and row.kill is not None:
                self.metrics.kill_ms.observe(row.kill.total_ms)

    def _gauges(self) -> Gauges:
        recorder = self.recorder
        return Gauges(
            runs_by_state=self._runs_by_state(),
            approvals_pending=len(self.desk.approval_ids(pending_only=True)),
            batches_waiting=recorder.batches_waiting,
            bytes_waiting=recorder.bytes_waiting,
            records_waiting=recorder.records_waiting,
            unrecorded=self.desk.unrecorded,
            agents=len(self.peers),
            operators=len(self.operators),
            storage_ok=not recorder.problem,
        )

    def _runs_by_state(self) -> dict[str, int]:
        """Counted over rows that changed since the last time, so that a scrape does not render the whole board."""
        feed = self.follows["board"].feed
        for run in feed.keys_since(self._states_rev):
            state = self.desk.run_state(run)
            if state is None:
                self._states.pop(run, None)
            else:
                self._states[run] = state
        self._states_rev = feed.rev
        counted: dict[str, int] = {}
        for state in self._states.values():
            counted[state] = counted.get(state, 0) + 1
        return counted
