"""One run as the gateway speaks for it: what it says, which calls are open, what a kill cuts; it forwards nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from opsconsole.domain.command import Do
from opsconsole.domain.ids import is_id
from opsconsole.domain.run import TERMINAL, RunState
from opsconsole.domain.tool_call import Outcome
from opsconsole.errors import CallDenied, RunStopped
from opsconsole.gateway.dialect.interface import ToolResult
from opsconsole.gateway.dialect.splice import Splices
from opsconsole.gateway.event_bytes import event_bytes
from opsconsole.gateway.journal import GatewayJournal
from opsconsole.gateway.lease import Lease
from opsconsole.gateway.ledger import TurnLedger, larger
from opsconsole.gateway.lost_turns import LeftOfRun, lost_turn_end, lost_turn_note, most_used
from opsconsole.gateway.outlasting import Outlasting
from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.calls import Call, Calls
from opsconsole.sdk.gate import LinkView
from opsconsole.sdk.identity import Identity
from opsconsole.sdk.journal import CallRecord
from opsconsole.sdk.live import LiveRun
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import Order
from opsconsole.sdk.tool_about import ToolAbout
from opsconsole.sdk.usage import TurnUsage, added

if TYPE_CHECKING:
    from opsconsole.sdk.link import Link

OPEN_CALLS_MAX = 2_000
"""Calls released whose results have not been seen; the oldest are given up."""
BATCH_SECONDS = 0.1
"""Words and counts wait so long for company: a run's are journalled together."""
BUSY_BATCH_SECONDS = 0.25
BUSY_BATCH_EVENTS = 16
"""After a batch of so many the next waits longer: nobody reads along at that speed, and each batch costs a frame."""
SEEN_KEPT_MAX = 5_000
"""Messages remembered as told, so that a history sent again is not."""
CUT_OFF_SECONDS = 1.0
"""How long clients of a killed run may take to read what was on its way to them; then their connections break."""
NOTED_ONCE_MAX = 1_000
"""Kinds of lines said once; their names are made by agents."""
NOTED_CHARS_MAX = 200
"""Of such a name."""
CONTEXTS_MAX = 1_000
"""Answers of one run that providers remember, whose size is known."""
PROVIDER_TOOLS = "provider_tools"
"""The journal's fact that keeps them."""
FORGOTTEN = "the gateway was restarted while the call was held"
UNKNOWN_END = "the gateway was restarted during this turn"


class ToolFailed(Exception):
    """A tool's own word that it failed."""


class Cuttable(Protocol):
    """A turn, as far as a kill or a takeover is concerned."""

    def kill(self, reason: str) -> None: ...
    def retake(self) -> None: ...
    def interrupt(self) -> None: ...
    async def ended(self) -> None: ...


class GatewayLive(LiveRun):
    """A run whose agent is elsewhere: a kill cuts its streams, and its end is told only where nobody else tells it."""

    journal: GatewayJournal

    def __init__(
        self,
        journal: GatewayJournal,
        identity: Identity,
        policy: OnHubLost,
        link: Link,
        *,
        owned: bool,
        siblings: Callable[[], Iterable[LiveRun]],
        ledger: TurnLedger,
    ) -> None:
        self.ledger = ledger
        self.is_due = threading.Event()
        """Something of it is to be looked at by the link's thread."""
        super().__init__(journal, identity, policy, link, siblings)
        self.owned = owned
        """Whether the gateway itself began the run."""
        self.on_takeover: Callable[[], None] = lambda: None
        """Called on the link's thread."""
        self._batch: list[dict[str, Any]] = []
        self._used: set[str] = set()
        """Models whose counts have grown since the last batch."""
        self.is_unlimited = False
        """Whether the hub has said that no budget applies to the run's turns."""
        self.lease: Lease | None = None
        self._lease_of: LinkView | None = None
        """The connection that brought it: a hub that began anew knows of none."""

    def open(self, left: LeftOfRun | None = None) -> None:
        """States the run, and takes up what an earlier process of this gateway left."""
        self.point.emit(self.identity.to_json(self.session.policy, None))
        for name, holds in self.identity.facts().items():
            self.journal.put(name, "1" if holds else "")
        if left is not None:
            self._count_left(left)
        self._take_up()
        if self.fresh and self.owned:
            self._say(RunState.WORKING)
        self.link.attach(self.point)
        for order in self.point.open_orders():
            self.order(order)

    # -- in batches ------------------------------------------------------------------------------------------------

    def tell_soon(self, event: dict[str, Any]) -> bool:
        """Gathers an event; True if it is the first since the last batch. Whatever is said otherwise comes after it."""
        if self.session.ended:
            return False
        self._batch.append(event)
        return len(self._batch) == 1

    def used_soon(self, turn: TurnUsage) -> bool:
        """Adds one turn to the counts, to be told with the next batch; True as for `tell_soon`."""
        if self.session.ended:
            return False
        with self.lock:
            model = turn.model if turn.model in self._usage else bounded_text(turn.model or "unknown", 200)
            if model in self._used and _is_served_otherwise(self._usage[model], turn):
                self.flush_batch()
            self._usage[model] = counts = added(self._usage.get(model, {}), turn)
            self.journal.save_usage(model, counts)
            self.ledger.counted(self.run, model, counts)
            is_first = not (self._batch or self._used)
            self._used.add(model)
        return is_first

    def flush_growing(self) -> None:
        """Everything gathered becomes events, before what comes now."""
        self.flush_batch()
        super().flush_growing()

    def flush_batch(self) -> int:
        """What was gathered is journalled in one transaction; gives how many events that were."""
        if not (self._batch or self._used):
            return 0
        with self.lock:
            events, self._batch = self._batch, []
            models, self._used = self._used, set()
            for model in models:
                events.append({"type": "usage", "model": model, **self._usage[model]})
            if not self.session.ended:
                self.point.tell_all(events, event_bytes)
        return len(events)

    # -- obeying ---------------------------------------------------------------------------------------------------

    def may_go_ahead(self, usd: float | None, tokens: int) -> str:
        """The verdict under which a turn may begin without asking, or nothing: then it asks."""
        session, lease = self.session, self.lease
        if lease is None or session.paused or session.holder or session.fenced or session.ended:
            return ""
        if not self.link.view.up or self.link.view is not self._lease_of or session.has_injected:
            return ""
        return lease.verdict if lease.take(usd, tokens, time.monotonic()) else ""

    def _look(self) -> None:
        self.is_due.set()
        super()._look()

    def _count_left(self, left: LeftOfRun) -> None:
        """What a dead process had counted and not told, and the most that its turns under way may have used. It comes
        before the end of those turns: until then their reservations stand."""
        for model, counts in left.counts.items():
            self._usage[model] = larger(self._usage.get(model, {}), counts)
        for turn in left.open:
            if turn.asked:
                model = bounded_text(turn.model or "unknown", 200)
                self._usage[model] = added(self._usage.get(model, {}), most_used(turn))
                self.point.tell(lost_turn_note(turn))
        for model, counts in self._usage.items():
            self.journal.save_usage(model, counts)
            self.point.tell({"type": "usage", "model": model, **counts})
        known = {record.call for record in self.journal.calls()}
        for turn in left.open:
            if turn.turn not in known:
                self.point.tell(lost_turn_end(turn, UNKNOWN_END))

    def _take_up(self) -> None:
        """Turns ended with the process before; what was held is withdrawn, for its answer is gone; what the agent was
        given it may be running."""
        for record in self.journal.calls():
            if record.status == "proposed" or (record.status == "running" and _is_turn(record.call)):
                status, error = ("failed", UNKNOWN_END) if record.status == "running" else ("denied", FORGOTTEN)
                event = {"type": "tool", "id": record.call, "status": status, "error": error}
                self.point.tell(event, call=CallRecord(call=record.call, status=status, digest=record.digest))

    def order(self, order: Order) -> None:
        """A command of the hub."""
        if order.outcome is Outcome.ALLOW and _is_turn(order.call or ""):
            self.is_unlimited = bool(order.unlimited)
        if order.lease is not None and order.outcome is Outcome.ALLOW:
            self.lease = Lease.of(order.cmd, order.lease, time.monotonic())
            self._lease_of = self.link.view
        elif order.do is not Do.VERDICT:
            self.lease = None  # whatever it is, it is asked about again
            self.is_unlimited = self.is_unlimited and order.do is not Do.BUDGET
        super().order(order)
        if order.do is Do.TAKEOVER:
            self.on_takeover()

    def _say(self, state: RunState, reason: str = "", **more: str) -> None:
        if self.owned or state not in TERMINAL:
            super()._say(state, reason, **more)


class GatewayRun:
    """One run, on the gateway's loop."""

    def __init__(self, live: GatewayLive, loop: asyncio.AbstractEventLoop, *, agent: str, key: str) -> None:
        self.live, self.agent, self.key = live, agent, key
        self.id = live.run
        self.calls = Calls(live)
        self.turns: set[Cuttable] = set()
        self.clients: dict[object, Callable[[], None]] = {}
        """Who is being sent an answer -> breaks their connection."""
        self.used_at = loop.time()
        self.splices = Splices()
        """What its clients and their upstream know differently."""
        self.provider_tools: dict[str, bool] = provider_rulings(live.journal)
        """Digest of a provider's tool -> whether a person has let this run's requests offer it."""
        self.offers: dict[str, ToolAbout] = {}
        """Tools that its requests offer, as they say; a request names no server that could be believed."""
        self.contexts: OrderedDict[str, int] = OrderedDict()
        """What providers remember of the run -> how many tokens it is: whoever continues from it pays for them."""
        self.noted: set[str] = set()
        """What is said of a run once."""
        self._open: OrderedDict[str, Call] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self.outlasting = Outlasting(loop)
        """Its turns under a lease."""
        self.loop = loop
        self._thread = threading.get_ident()
        self._cut = 0
        self._batch_seconds = BATCH_SECONDS
        live.cancel_body = lambda: self._from_anywhere(self._kill)
        live.why_not_ended = lambda: f"{len(self.turns)} streams go on"
        live.on_takeover = lambda: self._from_anywhere(self._retake)

    # -- turns -----------------------------------------------------------------------------------------------------

    def tell_soon(self, event: dict[str, Any]) -> None:
        """An event that may wait a moment for company; a gateway that dies within it loses it."""
        if self.live.tell_soon(event):
            self.loop.call_later(self._batch_seconds, self._flush)

    def used_soon(self, turn: TurnUsage) -> None:
        """Counts of a turn, told as `tell_soon`."""
        if self.live.used_soon(turn):
            self.loop.call_later(self._batch_seconds, self._flush)

    def _flush(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            is_busy = self.live.flush_batch() >= BUSY_BATCH_EVENTS
            self._batch_seconds = BUSY_BATCH_SECONDS if is_busy else BATCH_SECONDS

    @property
    def fenced(self) -> str:
        """Why nothing of this run may go on; empty while it may."""
        return self.live.session.fenced or ("the run has ended" if self.live.session.ended else "")

    def begin(self, turn: Cuttable) -> None:
        """A turn has begun."""
        self.turns.add(turn)
        self.used_at = self.loop.time()

    def end(self, turn: Cuttable) -> None:
        """It has ended."""
        self.turns.discard(turn)
        self.used_at = self.loop.time()
        if self.live.session.fenced and not self.turns:
            self._ended_by_kill()

    # -- commands --------------------------------------------------------------------------------------------------

    def _from_anywhere(self, act: Callable[[], None]) -> None:
        if threading.get_ident() == self._thread:
            self.loop.call_soon(act)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: the streams are, too
            self.loop.call_soon_threadsafe(act)

    def _kill(self) -> None:
        for turn in list(self.turns):
            self._cut += 1
            turn.kill(self.live.session.fenced)
        for client in self.clients:
            self.loop.call_later(CUT_OFF_SECONDS, self._cut_off, client)
        if not self.turns:
            self._ended_by_kill()

    def _cut_off(self, client: object) -> None:
        """One that reads slowly, or not at all: an answer that was whole before the kill goes no further, either."""
        abort = self.clients.get(client)
        if abort is not None:
            abort()

    def _ended_by_kill(self) -> None:
        if not self.live.session.ended:
            self.live.end_told = f"{self._cut} stream{'' if self._cut == 1 else 's'} cut"
            self.live.end(RunState.KILLED)

    def _retake(self) -> None:
        for turn in list(self.turns):
            turn.retake()

    # -- calls of tools --------------------------------------------------------------------------------------------

    def call_id(self, api_id: str) -> str:
        """An id for a call: the API's own where it is one and no other call of this run had it."""
        stem = api_id if is_id(api_id) else "call_" + hashlib.sha256(api_id.encode("utf-8", "replace")).hexdigest()[:24]
        if self.live.journal.call(stem) is None:
            return stem
        return f"{stem[:100]}.{secrets.token_hex(4)}"

    def released(self, api_id: str, call: Call) -> None:
        """The call has gone to the client: what becomes of it a later request tells."""
        self.live.call_ended(call.id)
        self._open[api_id] = call
        while len(self._open) > OPEN_CALLS_MAX:
            self._open.popitem(last=False)

    def results(self, results: Iterable[ToolResult]) -> None:
        """A request tells what became of calls."""
        for result in results:
            call = self._open.pop(result.call, None)
            if call is None:
                continue
            if result.is_error:
                self.calls.failed(call, ToolFailed(result.text))
            else:
                self.calls.completed(call, None, text=result.text)

    def never_got(self, api_id: str, why: str) -> None:
        """The client left without the call."""
        call = self._open.pop(api_id, None)
        if call is not None:
            self.calls.failed(call, ToolFailed(why))

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """What is said within is journalled in one transaction; where the disk takes none of it, it is lost."""
        with contextlib.suppress(sqlite3.Error), self.live.lock, self.live.journal.transaction():
            yield

    def remembered_upstream(self, id: str, tokens: int) -> None:
        """A provider has answered, and may remember it under this id."""
        if id and tokens:
            self.contexts[id] = tokens
            while len(self.contexts) > CONTEXTS_MAX:
                self.contexts.popitem(last=False)

    # -- words -----------------------------------------------------------------------------------------------------

    def note(self, text: str, level: str = "info", *, once: str = "", data: Mapping[str, Any] | None = None) -> None:
        """A line on the timeline; with `once`, one of its kind in the gateway's life."""
        once = once[:NOTED_CHARS_MAX]
        if once and (once in self.noted or len(self.noted) >= NOTED_ONCE_MAX):
            return
        if once:
            self.noted.add(once)
        with contextlib.suppress(RunStopped):
            self.live.note(text, level, dict(data) if data else None)

    def said(self, role: str, text: str, place: int) -> None:
        """A message of a request, told once."""
        key = hash((role, text, place))
        if key in self._seen:
            return
        self._seen[key] = None
        while len(self._seen) > SEEN_KEPT_MAX:
            self._seen.popitem(last=False)
        self.message_soon(role, text)

    def message_soon(self, role: str, text: str) -> None:
        """A whole message, told as `tell_soon`."""
        self.tell_soon({"type": "message", "id": new_id("msg"), "role": role, "text": bounded_text(text)})

    @property
    def is_new(self) -> bool:
        """Whether nothing of its conversation has been told."""
        return not self._seen and self.live.fresh


def remembered(journal: GatewayJournal) -> dict[str, Any]:
    """What a gateway wrote of a run into its journal."""
    try:
        found = json.loads(journal.get("gateway") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def provider_rulings(journal: GatewayJournal) -> dict[str, bool]:
    """What people have said of providers' tools in this run."""
    try:
        found = json.loads(journal.get(PROVIDER_TOOLS) or "{}")
    except ValueError:
        return {}
    return {key: value is True for key, value in found.items()} if isinstance(found, dict) else {}


def remember(journal: GatewayJournal, facts: Mapping[str, Any]) -> None:
    """Keeps what a later process of this gateway must know."""
    with contextlib.suppress(sqlite3.Error):
        journal.put("gateway", json.dumps(dict(facts)))


def denied_reason(error: CallDenied | RunStopped) -> str:
    """Why, for a person and a model."""
    return getattr(error, "reason", "") or str(error)


def _is_turn(call: str) -> bool:
    return call.startswith("turn_")


def _is_served_otherwise(counts: Mapping[str, Any], turn: TurnUsage) -> bool:
    """Whether another model or build answered than the one before: each has a reading of its own."""
    model, build = counts.get("served_model"), counts.get("fingerprint")
    is_other_model = model and turn.served_model and model != turn.served_model
    return bool(is_other_model or (build and turn.fingerprint and build != turn.fingerprint))
