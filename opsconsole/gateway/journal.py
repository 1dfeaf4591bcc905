"""A run's journal as a gateway keeps it: a moment in memory, then on disk, where what the hub has by then never goes.

A gateway journals for hundreds of agents, and a turn of each has a dozen things to write. The hub has them within
milliseconds, so only what is older than that is written: all of a run's in one transaction, by a thread of its own.
A gateway that dies loses what was said in the last moment and had not left yet (at most two rounds of `settle`); its
numbers are not used again, so that the hub tells of the hole. What must outlive it is written at once: commands that
stop, pause or hand over, facts, and that numbers are in use.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from opsconsole.domain.command import Do
from opsconsole.sdk.journal import ANSWERED_KEPT_MAX, JOURNAL_BYTES_MAX, CallRecord, Journal

NUMBERS_RESERVED = 1_000
"""Event numbers taken from the disk at a time; a process that dies leaves a hole of at most so many."""
TURN = "turn_"
"""How the ids of turns begin: they are made anew for each, so an ended one is looked for by nobody."""
_OPEN = frozenset({"proposed", "running"})
_VERDICT = f'"do": "{Do.VERDICT}"'.encode()


class GatewayJournal(Journal):
    """A `Journal` to be `settle`d now and then. Its methods may be called from any thread."""

    def __init__(self, folder: Path, run: str, *, point: str, bytes_max: int = JOURNAL_BYTES_MAX) -> None:
        self._fresh_events: dict[int, tuple[str, bytes]] = {}
        """Not on disk, in order."""
        self._fresh_calls: dict[str, CallRecord] = {}
        self._fresh_usage: dict[str, dict[str, Any]] = {}
        self._old_calls: set[str] = set()
        """Of the fresh: those that were so at the last `settle`, too."""
        self._old_seq = 0
        self._verdicts: OrderedDict[str, bytes | None] = OrderedDict()
        """Verdicts and their answers: what they are about does not outlive this process."""
        self._is_closed = False
        super().__init__(folder, run, point=point, bytes_max=bytes_max)
        self._reserved = max(self.last_seq, int(self.get("reserved") or 0))
        self.last_seq = self._reserved
        self._written_acked = self.acked
        self._written_cseq = self.cseq
        self._has_written = self.bytes > 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One thing after another: what is fresh is not on disk, and what is on disk stands by itself."""
        with self._lock:
            yield

    # -- events ----------------------------------------------------------------------------------------------------

    def append(self, seq: int, type: str, body: bytes) -> None:
        """One more event. Raises: sqlite3.Error when its number could not be taken."""
        with self._lock:
            if seq > self._reserved:
                self.put("reserved", str(seq + NUMBERS_RESERVED))
                self._reserved = seq + NUMBERS_RESERVED
            self._fresh_events[seq] = (type, body)
            self.last_seq = seq
            self.bytes += len(body)

    def append_all(self, rows: Sequence[tuple[int, str, bytes]]) -> None:
        """Several more, in order. Raises: sqlite3.Error, as `append`: then none is kept."""
        with self._lock:
            last = rows[-1][0]
            if last > self._reserved:
                self.put("reserved", str(last + NUMBERS_RESERVED))
                self._reserved = last + NUMBERS_RESERVED
            for seq, type, body in rows:
                self._fresh_events[seq] = (type, body)
                self.bytes += len(body)
            self.last_seq = last

    def read(self, first: int, last: int) -> list[tuple[int, bytes]]:
        """The events still here in [first, last]; missing numbers are holes."""
        with self._lock:
            fresh, found = self._fresh_events, []
            if self._has_written:
                found = super().read(first, last)
            return found + [(seq, fresh[seq][1]) for seq in range(first, last + 1) if seq in fresh]

    def next_after(self, seq: int) -> int:
        """The first event still here after `seq`, or one past the last."""
        with self._lock:
            written = super().next_after(seq)
            return min(written, next((one for one in self._fresh_events if one > seq), written))

    def acknowledge(self, seq: int) -> None:
        """The hub has everything up to `seq`."""
        with self._lock:
            if seq <= self.acked:
                return
            fresh = self._fresh_events
            for one in [number for number in fresh if number <= seq]:
                self.bytes -= len(fresh.pop(one)[1])
            self.acked = seq

    # -- commands --------------------------------------------------------------------------------------------------

    def command(self, cmd: str, cseq: int, body: bytes) -> bool:
        """Keeps a command; False if it was already here."""
        with self._lock:
            if _VERDICT not in body:
                return super().command(cmd, cseq, body)
            new = cmd not in self._verdicts
            self._verdicts.setdefault(cmd, None)
            self.cseq = max(self.cseq, cseq)
            while len(self._verdicts) > ANSWERED_KEPT_MAX:
                self._verdicts.popitem(last=False)
            return new

    def answer(self, cmd: str, answer: bytes) -> None:
        """What was answered to a command, to be answered again if it comes again."""
        with self._lock:
            if cmd in self._verdicts:
                self._verdicts[cmd] = answer
            else:
                super().answer(cmd, answer)

    def answered(self, cmd: str) -> bytes | None:
        """The answer given to a command, None while it has none."""
        with self._lock:
            return self._verdicts[cmd] if cmd in self._verdicts else super().answered(cmd)

    # -- calls and usage -------------------------------------------------------------------------------------------

    def note_call(self, record: CallRecord) -> None:
        """The latest of one call; that of a tool on disk at once: who comes after a crash withdraws what was held."""
        with self._lock:
            if record.call.startswith(TURN):
                self._fresh_calls[record.call] = record
            else:
                super().note_call(record)

    def call(self, call: str) -> CallRecord | None:
        """What is known of a call."""
        with self._lock:
            return self._fresh_calls.get(call) or (None if call.startswith(TURN) else super().call(call))

    def calls(self) -> list[CallRecord]:
        """Every call known, oldest first."""
        with self._lock:
            known = {record.call: record for record in super().calls()} | self._fresh_calls
            return list(known.values())

    def save_usage(self, model: str, counts: dict[str, Any]) -> None:
        """Cumulative counts with one model."""
        with self._lock:
            self._fresh_usage[model] = counts

    def usage(self) -> dict[str, dict[str, Any]]:
        """model -> cumulative counts."""
        with self._lock:
            return super().usage() | self._fresh_usage

    # -- to disk ---------------------------------------------------------------------------------------------------

    def settle(self, *, all_of_it: bool = False, usage: bool = True) -> None:
        """Writes what was fresh at the last time, too; `all_of_it`: what is fresh at all. Without `usage` counts alone
        are no reason to write: somebody else has them. Raises: sqlite3.Error."""
        with self._lock:
            if self._is_closed:
                return
            last = self.last_seq if all_of_it else self._old_seq
            events = [(seq, *self._fresh_events[seq]) for seq in self._fresh_events if seq <= last]
            names = set(self._fresh_calls) if all_of_it else self._old_calls & self._fresh_calls.keys()
            is_counted = usage and self._fresh_usage
            if events or names or is_counted or (self._has_written and self.acked > self._written_acked):
                with super().transaction():
                    self._write(events, names)
                self._wrote(events, names)
            self._old_seq, self._old_calls = self.last_seq, set(self._fresh_calls)

    def _write(self, events: list[tuple[int, str, bytes]], names: set[str]) -> None:
        self._db.executemany("INSERT INTO events VALUES (?, ?, ?)", events)
        if self._has_written and self.acked > self._written_acked:
            self._db.execute("DELETE FROM events WHERE seq <= ?", (self.acked,))
        self.put("acked", str(self.acked))
        self.put("cseq", str(self.cseq))
        for name in names:
            record = self._fresh_calls[name]
            if _is_over(record):
                self._db.execute("DELETE FROM calls WHERE call = ?", (name,))
            else:
                super().note_call(record)
        for model, counts in self._fresh_usage.items():
            self._db.execute("INSERT OR REPLACE INTO usage VALUES (?, ?)", (model, json.dumps(counts)))

    def _wrote(self, events: list[tuple[int, str, bytes]], names: set[str]) -> None:
        for seq, _, _ in events:
            del self._fresh_events[seq]
        for name in names:
            del self._fresh_calls[name]
        self._fresh_usage.clear()
        self._has_written = bool(events) or self._has_written
        if self._has_written:
            (written,) = self._db.execute("SELECT coalesce(sum(length(body)), 0) FROM events").fetchone()
            self._has_written = written > 0
            self.bytes = written + sum(len(body) for _, body in self._fresh_events.values())
        if self.bytes > self.bytes_max:
            self._make_room()
        self._written_acked = self.acked

    def close(self, *, remove: bool = False) -> None:
        """Lets go of the run; with `remove`, the journal goes too."""
        with self._lock:
            if not remove:
                with suppress(sqlite3.Error):
                    self.settle(all_of_it=True)
                    self.put("reserved", str(self.last_seq))
            self._is_closed = True
            super().close(remove=remove)


def _is_over(record: CallRecord) -> bool:
    return record.call.startswith(TURN) and record.status not in _OPEN
