"""One run as one enforcement point speaks for it: numbered events out, commands in; it knows no rules and no socket."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from opsconsole.domain.command import Do
from opsconsole.protocol.limits import EVENT_BYTES_MAX
from opsconsole.protocol.outbox import Outbox
from opsconsole.sdk.bounded import bounded_text, clean, result_text
from opsconsole.sdk.event_frames import BATCH_EVENTS, event_frame
from opsconsole.sdk.journal import CallRecord, Journal
from opsconsole.sdk.order import Order, order_from_json, order_of

if TYPE_CHECKING:
    from opsconsole.protocol.frames import PointCommand

log = logging.getLogger("opsconsole.sdk")

SHRUNK_BYTES_MAX = 8_000
"""Each text of an event that is still too large once encoded (control characters grow sixfold)."""
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_TEXTS = ("text", "append", "result", "error", "reason", "last_output")

STOPS = frozenset({Do.KILL, Do.PAUSE, Do.FREEZE})
"""Orders obeyed even where they cannot be journalled: a full disk makes nothing unstoppable."""
UNKNOWN_OUTCOME = "the agent's process ended while it ran: its outcome is unknown"

KEY = "key"
"""The journal's fact that proves a dead supervisor's last word; a living one keeps it in memory only."""

Wake = Callable[[bool], None]
"""Tells the link that there is something to send; True if it must not wait for more."""


class PointRun:
    """The numbers and bytes of one run. `emit` and `answer` may be called from any thread; the rest is the link's."""

    def __init__(self, journal: Journal, *, on_order: Callable[[Order], None], wake: Wake) -> None:
        self.journal = journal
        self.run = journal.run
        self.lock = threading.RLock()
        self.wake = wake
        self.state: str | None = None
        """The run's latest state, told in hello."""
        self.held = False
        """Whether an operator has taken the run over, as far as this point knows; told in hello."""
        self.refused = ""
        """Why the hub will not hear of this run, if it said so."""
        self.lost_events = 0
        """Events that could not be journalled, since the last that could."""
        self._on_order = on_order
        self._outbox = Outbox(journalled=journal.last_seq, sent=journal.acked, acked=journal.acked)
        self._regress: int | None = None
        self._answers: dict[str, tuple[bytes, int | None]] = {}
        self._arrived: list[Order] = []
        self._missed = False
        """Whether a command of this connection could not be journalled: what follows it waits for it to come again."""
        self._unkept: dict[str, bytes | None] = {}
        """Stops obeyed without being journalled, with the answer where there is one."""

    # -- what the point says ---------------------------------------------------------------------------------------

    def emit(self, event: dict[str, Any], *, urgent: bool = False, call: CallRecord | None = None) -> int:
        """Journals one event (without seq and ts), in one transaction with what is known of a call; gives its number.

        Raises: sqlite3.Error when it could not be kept: then it has no number and will not be sent.
        """
        with self.lock:
            seq = self._outbox.journalled + 1
            body = encoded_event({"seq": seq, "ts": time.time(), **event})
            if call is None:
                self.journal.append(seq, event["type"], body)
            else:
                with self.journal.transaction():
                    self.journal.append(seq, event["type"], body)
                    self.journal.note_call(call)
            self._outbox.emit()
        self.wake(urgent)
        return seq

    def tell(self, event: dict[str, Any], *, urgent: bool = False, call: CallRecord | None = None) -> bool:
        """`emit` for what no decision hangs on: a full disk costs the event, not the agent. True if it was kept."""
        try:
            self.emit(event, urgent=urgent, call=call)
        except sqlite3.Error as error:
            self.lost_events += 1
            if self.lost_events == 1:
                log.warning("run %s: an event could not be journalled: %s", self.run, error)
            return False
        if self.lost_events:
            lost, self.lost_events = self.lost_events, 0
            self.tell(
                {"type": "note", "level": "warning", "text": f"{lost} events could not be journalled and are lost"}
            )
        return True

    def tell_all(self, events: Sequence[dict[str, Any]], encoded: Callable[[dict[str, Any]], bytes]) -> bool:
        """`tell` for several at once, in one transaction: all are kept or all are lost. True if they were kept.

        encoded: writes one of them, as `encoded_event` does.
        """
        with self.lock:
            first = self._outbox.journalled + 1
            now = time.time()
            bodies = [
                (seq, event["type"], encoded({"seq": seq, "ts": now, **event}))
                for seq, event in enumerate(events, first)
            ]
            try:
                with self.journal.transaction():
                    self.journal.append_all(bodies)
            except sqlite3.Error as error:
                self.journal.last_seq = first - 1
                self.lost_events += len(events)
                log.warning("run %s: %d events could not be journalled: %s", self.run, len(events), error)
                return False
            self._outbox.emit(len(bodies))
        self.wake(False)
        return True

    def tell_interrupted(self) -> None:
        """States of the calls that a dead process was in that their outcome is unknown."""
        for record in self.journal.calls():
            if record.status == "running":
                event = {"type": "tool", "id": record.call, "status": "failed", "error": UNKNOWN_OUTCOME}
                self.tell(event, call=CallRecord(call=record.call, status="interrupted", digest=record.digest))

    def answer(self, cmd: str, **fields: Any) -> None:
        """Sends `res` for a command of the hub, until it is certain that the hub has it."""
        body = encoded_event({"t": "res", "cmd": cmd, "run": self.run, **fields})
        with self.lock:
            self._answer(cmd, body)
        self.wake(True)

    def _answer(self, cmd: str, body: bytes) -> None:
        self._answers[cmd] = (body, None)
        if cmd in self._unkept:
            self._unkept[cmd] = body
        with contextlib.suppress(sqlite3.Error):  # it is sent all the same
            self.journal.answer(cmd, body)

    # -- what the link asks ----------------------------------------------------------------------------------------

    def belong_to(self, hub: str) -> None:
        """Notes in the journal which hub it is for."""
        if self.journal.hub != hub:
            with contextlib.suppress(sqlite3.Error):
                self.journal.put("hub", hub)

    def greeting(self) -> dict[str, Any]:
        """For hello and attach."""
        with self.lock:
            seq, cseq = self._outbox.journalled, self.journal.cseq
            key = self.journal.get(KEY)
        return {"run": self.run, "gen": self.journal.gen, "seq": seq, "cseq": cseq, "state": self.state, "key": key} | (
            {"held": True} if self.held else {}
        )

    def connected(self, acked: int) -> None:
        """A connection begins and the hub has `acked`: all that follows is sent again."""
        with self.lock:
            if acked < self._outbox.acked:
                self._regress = acked + 1
            self._outbox.reconnect(acked)
            self._forget_delivered()
            self._missed = False
            self._answers = {cmd: (body, None) for cmd, (body, _) in self._answers.items()}

    @property
    def may_be_due(self) -> bool:
        """Whether something may wait to be sent: a glance without the lock, since most runs have nothing most times."""
        return bool(self._answers) or self._outbox.sent < self._outbox.journalled

    def due_answers(self) -> list[bytes]:
        """Answers to send now, before any further event."""
        with self.lock:
            due = [(cmd, body) for cmd, (body, after) in self._answers.items() if after is None]
            for cmd, body in due:
                self._answers[cmd] = (body, self._outbox.sent)
        return [body for _, body in due]

    def due_events(self) -> bytes | None:
        """The next event frame, or None while there is none or the window is full."""
        if self.refused:
            return None
        with self.lock:
            due = self._outbox.due(batch_max=BATCH_EVENTS)
            if not due:
                return None
            rows = self.journal.read(due.start, due.stop - 1)
            hole_end = due.stop - 1 if rows else self.journal.next_after(due.start - 1) - 1
            frame, last = event_frame(
                self.run, self.journal.gen, due.start, rows, hole_end=hole_end, regress=self._regress
            )
            self._regress = None
            self._outbox.mark_sent(last)
            return frame

    def acknowledged(self, seq: int, want: int | None) -> None:
        """The hub has stored everything up to `seq`, and misses `want` if given."""
        with self.lock:
            if want is not None and want <= self._outbox.acked:
                self._regress = want
            self._outbox.acknowledge(seq, want)
            self._forget_delivered()
            self._answers = {
                cmd: (body, after) for cmd, (body, after) in self._answers.items() if after is None or after >= seq
            }

    def command(self, frame: PointCommand) -> int:
        """Journals a command; gives the cseq to acknowledge, after which `act` is to be called.

        Raises: sqlite3.Error when it could not be kept: it is not acknowledged, and comes again with the next
        connection. `act` is to be called all the same: a stop is obeyed.
        """
        order = order_of(frame)
        with self.lock:
            try:
                new = self._kept(order)
            except sqlite3.Error:
                self._missed = True
                if order.do in STOPS and order.cmd not in self._unkept and order.cseq > self.journal.cseq:
                    self._unkept[order.cmd] = None
                    self._arrived.append(order)
                raise
            if new and order.cmd not in self._unkept:
                self._arrived.append(order)
            elif (answer := self._unkept.pop(order.cmd, None) or self.journal.answered(order.cmd)) is not None:
                self._answer(order.cmd, answer)
            return self.journal.cseq

    def _kept(self, order: Order) -> bool:
        if self._missed:
            raise sqlite3.OperationalError("a command before this one could not be kept")
        return self.journal.command(order.cmd, order.cseq, order.to_json())

    def _forget_delivered(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # the numbers are kept here: the next acknowledgement removes it
            self.journal.acknowledge(self._outbox.acked)

    def act(self) -> None:
        """Hands on what was journalled."""
        arrived, self._arrived = self._arrived, []
        for order in arrived:
            self._on_order(order)

    def open_orders(self) -> list[Order]:
        """Commands that an earlier process journalled and did not answer."""
        return [order_from_json(body) for body in self.journal.open_commands()]

    @property
    def delivered(self) -> bool:
        """Whether the hub has all that was said."""
        with self.lock:
            return self._outbox.unacked == 0 and all(after is not None for _, after in self._answers.values())


def encoded_event(event: dict[str, Any]) -> bytes:
    """JSON of at most EVENT_BYTES_MAX: long texts are cut, and what is no JSON is shown by its text."""
    data = _dumps(event)
    if len(data) <= EVENT_BYTES_MAX:
        return data
    texts = {name: bounded_text(event[name], SHRUNK_BYTES_MAX) for name in _TEXTS if isinstance(event.get(name), str)}
    data = _dumps(event | texts)
    if len(data) <= EVENT_BYTES_MAX:
        return data
    bulky = {
        name: {"preview": result_text(event[name], SHRUNK_BYTES_MAX)} for name in ("data", "args") if name in event
    }
    return _dumps(event | texts | bulky)


def _dumps(event: dict[str, Any]) -> bytes:
    try:
        return _COMPACT.encode(event).encode()
    except (ValueError, TypeError, RecursionError):
        return json.dumps({name: _plain(value) for name, value in event.items()}, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """The same as JSON that surely encodes; what is none is shown by its text."""
    if isinstance(value, str):
        return clean(value)
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):
        return {"preview": result_text(value, SHRUNK_BYTES_MAX)}
    return value
