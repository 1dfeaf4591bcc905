"""One view of the hub, kept as the latest row per key: snapshots and deltas go in; it asks for nothing by itself.

    EMPTY ─snap part─▶ STAGING ─end─▶ CURRENT ─delta from my rev─▶ CURRENT
                                         └─any other delta──▶ ask for a snapshot again

A row that changes while a snapshot is on its way is left out of it and comes with the next delta. Until then, or until
`settle`, it stays: nothing under the cursor vanishes for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from opsconsole.console.view.ingest import BadRow
from opsconsole.protocol.frames import Delta, Snap


class Keyed(Protocol):
    """Anything with a key."""

    @property
    def key(self) -> str:
        """What addresses the row in its view."""
        ...


RowT = TypeVar("RowT", bound=Keyed)
AnyT = TypeVar("AnyT")
Steps = Generator[None, None, AnyT]
"""Work in steps short enough that a key is not kept waiting; what comes of it is given at the end."""
ROWS_PER_STEP = 40
"""Rows taken in within one step: less than a millisecond."""


class Applied(StrEnum):
    """What came of a frame."""

    APPLIED = "applied"
    IGNORED = "ignored"
    GAP = "gap"


class Rows(Generic[RowT]):
    """The rows of one view; `changed(key, before, after)` is called for every difference, and for nothing else."""

    def __init__(
        self,
        read: Callable[[Any, bool], RowT],
        changed: Callable[[str, RowT | None, RowT | None], None] = lambda key, before, after: None,
    ) -> None:
        self.by_key: dict[str, RowT] = {}
        self.epoch: str | None = None
        self.rev: int | None = None
        self.complete = False
        """Whether a whole snapshot has been seen in this epoch: before that, an absent row means nothing."""
        self._unread: set[str] = set()
        self._read = read
        self._changed = changed
        self._staged: dict[str, RowT] | None = None
        self._staged_unread: set[str] = set()
        self._parts = 0
        self._leaving: set[str] = set()

    @property
    def unreadable(self) -> int:
        """Rows that this version cannot read: counted on screen. What they said before is not shown any more."""
        return len(self._unread)

    def snap(self, frame: Snap, *, plain: bool = False) -> Applied:
        """Take one part; the view changes at the last one. GAP: parts are missing, ask again.

        `plain` says of a frame that every text in it is printable ASCII.
        """
        return at_once(self.snapping(frame, plain=plain))

    def delta(self, frame: Delta, *, plain: bool = False) -> Applied:
        """Take the latest rows. GAP: it does not continue from here, ask for a snapshot. `plain` as for `snap`."""
        return at_once(self.following(frame, plain=plain))

    def snapping(self, frame: Snap, *, plain: bool = False) -> Steps[Applied]:
        """As `snap`, in steps."""
        if frame.part == 0:
            self._staged, self._parts, self._staged_unread = {}, 0, set()
            self.settle()
        staged = self._staged
        if staged is None or frame.part != self._parts:
            self._staged = None
            return Applied.GAP
        self._parts += 1
        for raw in _parts_of(frame.rows):
            for item in raw:
                self._stage(staged, item, plain)
            yield
        if frame.end:
            yield from self._swap(staged)
            self.epoch, self.rev, self.complete, self._staged = frame.epoch, frame.rev, True, None
        return Applied.APPLIED

    def following(self, frame: Delta, *, plain: bool = False) -> Steps[Applied]:
        """As `delta`, in steps. One that is not carried to its end may be taken again: the latest row wins."""
        if self._staged is not None:
            return Applied.IGNORED
        if self.rev is None or frame.from_rev != self.rev:
            return Applied.GAP
        for raw in _parts_of(frame.rows):
            for item in raw:
                self._follow(item, plain)
            yield
        for key in frame.gone:
            self._unread.discard(key)
            self._put(key, None)
        self.settle()
        self.rev = frame.rev
        return Applied.APPLIED

    def settle(self) -> None:
        """Drop rows that the latest snapshot left out and no delta brought back."""
        leaving, self._leaving = self._leaving, set()
        for key in leaving:
            self._put(key, None)

    def forget_position(self) -> None:
        """The next snapshot starts anew; the rows stay on screen until it is in."""
        self.rev, self.epoch, self._staged = None, None, None

    def abandon_parts(self) -> None:
        """The connection went while a snapshot was under way."""
        self._staged = None

    def _stage(self, staged: dict[str, RowT], raw: Any, plain: bool) -> None:
        try:
            row = self._read(raw, plain)
        except BadRow as bad:
            self._staged_unread.add(bad.key)
        else:
            staged[row.key] = row

    def _follow(self, raw: Any, plain: bool) -> None:
        """What stood there is not so any more, whether or not the news can be read."""
        try:
            row = self._read(raw, plain)
        except BadRow as bad:
            self._unread.add(bad.key)
            self._put(bad.key, None)
        else:
            self._unread.discard(row.key)
            self._leaving.discard(row.key)
            self._put(row.key, row)

    def _swap(self, staged: dict[str, RowT]) -> Steps[None]:
        for keys in _parts_of(list(staged)):
            for key in keys:
                self._put(key, staged[key])
            yield
        self._leaving = {key for key in self.by_key if key not in staged}
        self._unread = self._staged_unread

    def _put(self, key: str, row: RowT | None) -> None:
        before = self.by_key.get(key)
        if before is None and row is None:
            return
        if row is None:
            del self.by_key[key]
        else:
            self.by_key[key] = row
        self._changed(key, before, row)


def at_once(steps: Steps[AnyT]) -> AnyT:
    """What comes of all steps, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _parts_of(items: list[AnyT]) -> Iterator[list[AnyT]]:
    return (items[start : start + ROWS_PER_STEP] for start in range(0, len(items), ROWS_PER_STEP))
