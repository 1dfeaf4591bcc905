"""Rows by revision, and what each subscriber has of them: pure bookkeeping that sends nothing and keeps no queue.

A view's keys stand in one ordered map, newest revision last. A delta since R is the tail of that map down to R, so its
cost is the number of rows that changed, and a subscriber that stopped reading costs two numbers. Rows are rendered when
somebody needs them, once per revision; the text is shared by all.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from opsconsole.protocol.limits import DELTA_BYTES_MAX, FRAME_BYTES_MAX, WINDOW_FRAMES

TOMBSTONE_SECONDS = 600.0
"""How long the removal of a row is remembered for those who resume."""
TOMBSTONES_MAX = 10_000
FAR_BEHIND_ROWS = 2_000
"""Changed rows that take several seconds at the pace of a console that has fallen behind."""
NEWEST_BYTES = DELTA_BYTES_MAX // 8
"""Room in the deltas of one far behind for what changed last: they begin with the oldest changes, so that a row which
changes all the time would never have its turn."""
SHARED_DELTAS_MAX = 64
"""Deltas kept while no row changes: consoles stand at few distinct revisions."""

ROW_BYTES_MAX = FRAME_BYTES_MAX - 65_536
"""One row, leaving room for the envelope: more than the largest call takes that may be asked, its secrets masked."""
FIELD_BYTES_MAX = 8_192
"""One field of a row that is larger than that."""
LEFT_OUT = "left out: too large to show"

Render = Callable[[str, int], bytes | None]
"""(key, revision) -> the row's JSON, or None when the row is gone."""


@dataclass(frozen=True, slots=True)
class RowText:
    """One row as it is sent: its JSON and that text's size in bytes."""

    rev: int
    text: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a delta carries: from its base to `rev`, `tail` being the frame's text after its `sub`."""

    rev: int
    tail: str


class RowFeed:
    """The rows of one view. `epoch` names this life of the hub: revisions of another mean nothing."""

    def __init__(self, epoch: str, render: Render) -> None:
        self.epoch = epoch
        self.rev = 0
        self.floor = 0
        """Deltas start here or later: what was removed before is forgotten."""
        self._render = render
        self._revs: OrderedDict[str, int] = OrderedDict()
        self._gone: OrderedDict[str, float] = OrderedDict()
        self._texts: dict[str, RowText] = {}
        self._shared: dict[int, Change] = {}
        self._swept = 0
        self._now = 0.0

    def change(self, key: str, now: float) -> None:
        """The row of `key` is new, different or gone."""
        self.rev += 1
        self._now = now
        self._revs[key] = self.rev
        self._revs.move_to_end(key)
        self._gone.pop(key, None)
        self._shared.clear()

    def row(self, key: str) -> RowText | None:
        """The row as of now, or None when there is none."""
        rev = self._revs.get(key)
        if rev is None or key in self._gone:
            return None
        known = self._texts.get(key)
        if known is not None and known.rev == rev:
            return known
        data = self._render(key, rev)
        if data is None:
            self._bury(key)
            return None
        if len(data) > ROW_BYTES_MAX:
            data = _shortened(key, data)
        row = self._texts[key] = RowText(rev, data.decode(), len(data))
        return row

    def keys(self) -> list[str]:
        """Keys of all rows, oldest change first."""
        return [key for key in self._revs if key not in self._gone]

    def keys_since(self, rev: int) -> list[str]:
        """Keys whose row changed or went after `rev`, oldest change first."""
        keys = []
        for key in reversed(self._revs):
            if self._revs[key] <= rev:
                break
            keys.append(key)
        keys.reverse()
        return keys

    def revision(self, key: str) -> int:
        """The row's revision, 0 for an unknown key."""
        return self._revs.get(key, 0)

    def since(self, rev: int) -> Change:
        """What changed after `rev`, up to DELTA_BYTES_MAX of it; `rev` is not below `floor`."""
        if rev not in self._shared:
            if len(self._shared) >= SHARED_DELTAS_MAX:
                self._shared.clear()
            self._shared[rev] = self._delta(rev)
        return self._shared[rev]

    def _delta(self, rev: int) -> Change:
        keys = self.keys_since(rev)
        is_far_behind = len(keys) > FAR_BEHIND_ROWS
        taken, size = self._fitting(keys, DELTA_BYTES_MAX - (NEWEST_BYTES if is_far_behind else 0), at_least=1)
        left = keys[len(taken) :]
        newest, _ = self._fitting(reversed(left) if is_far_behind else (), DELTA_BYTES_MAX - size, at_least=0)
        reached = self.rev if len(newest) == len(left) else self._revs[left[0]] - 1
        rows: list[str] = []
        gone: list[str] = []
        for key in (*taken, *newest):
            row = self.row(key)
            if row is None:
                gone.append(key)
            else:
                rows.append(row.text)
        tail = f'"from_rev":{rev},"rev":{reached},"rows":[{",".join(rows)}],"gone":{json.dumps(gone)}}}'
        return Change(rev=reached, tail=tail)

    def _fitting(self, keys: Iterable[str], bytes_max: int, *, at_least: int) -> tuple[list[str], int]:
        """Those of `keys`, from the first on, whose rows take no more than that, and what they take."""
        taken: list[str] = []
        size = 0
        for key in keys:
            row = self.row(key)
            size_with = size + (row.size if row else len(key) + 3)
            if size_with > bytes_max and len(taken) >= at_least:
                break
            taken.append(key)
            size = size_with
        return taken, size

    def sweep(self, present: Container[str], now: float) -> None:
        """Bury rows changed since the last sweep that are not `present`, and forget old tombstones."""
        self._now = now
        for key in self.keys_since(self._swept):
            if key not in present and key not in self._gone:
                self._bury(key)
        self._swept = self.rev
        while self._gone:
            key, buried_at = next(iter(self._gone.items()))
            if len(self._gone) <= TOMBSTONES_MAX and now - buried_at < TOMBSTONE_SECONDS:
                break
            self._forget(key)

    def _bury(self, key: str) -> None:
        self._gone[key] = self._now
        self._texts.pop(key, None)

    def _forget(self, key: str) -> None:
        del self._gone[key]
        self.floor = max(self.floor, self._revs.pop(key))


def _shortened(key: str, data: bytes) -> bytes:
    """A row that no frame can carry, without its long fields: it would blind consoles to all the others."""
    row = {name: _short(value) for name, value in from_json(data).items()}
    if "alerts" in row:
        alert = {"id": f"{key}:row", "kind": "row", "text": "row too large", "level": "critical"}
        row["alerts"] = [alert | {"at": row.get("progress_at", 0.0)}]
    return to_json(row)


def _short(value: Any) -> Any:
    if len(to_json(value)) <= FIELD_BYTES_MAX:
        return value
    return {"...": LEFT_OUT} if isinstance(value, dict) else [] if isinstance(value, list) else LEFT_OUT


@dataclass(slots=True)
class _Snapshot:
    """A whole view on its way: what is left to send of the rows as of `rev`."""

    rev: int
    keys: deque[str]
    part: int = 0


class RowSubscriber:
    """One subscription of one console to one feed: the revision it was sent, and the frames it has not acknowledged."""

    def __init__(self, feed: RowFeed, sub: str) -> None:
        self.feed = feed
        self.sub = sub
        self.sent_rev = 0
        self.unacked: deque[int] = deque()
        self._due_rev = 0
        self._snapshot: _Snapshot | None = None
        self._confirm = False

    def start(self, epoch: str | None, rev: int | None) -> None:
        """Begin, or begin again: resume where epoch and revision allow it, else with a whole snapshot."""
        self.unacked.clear()
        self._due_rev = 0
        feed = self.feed
        if epoch == feed.epoch and rev is not None and feed.floor <= rev <= feed.rev:
            self._snapshot, self.sent_rev, self._confirm = None, rev, True
        else:
            self._begin_snapshot()

    def _begin_snapshot(self) -> None:
        self._snapshot = _Snapshot(self.feed.rev, deque(self.feed.keys()))
        self.sent_rev, self._confirm = self.feed.rev, False

    def ack(self, rev: int) -> None:
        """The console applied a frame of revision `rev`: every earlier frame, and one of this revision, is done."""
        unacked = self.unacked
        while unacked and unacked[0] < rev:
            unacked.popleft()
        if unacked and unacked[0] == rev:
            unacked.popleft()

    @property
    def has_room(self) -> bool:
        """Whether the window lets another frame go."""
        return len(self.unacked) < WINDOW_FRAMES

    @property
    def is_behind(self) -> bool:
        """Whether there is anything to send, were the window open."""
        return self._snapshot is not None or self._confirm or self.sent_rev < self.feed.rev

    @property
    def is_cut(self) -> bool:
        """Whether what had changed at a tick did not fit in the frames sent since: the rest waits for no other tick."""
        return self.sent_rev < self._due_rev

    @property
    def in_snapshot(self) -> bool:
        """Whether a whole view is on its way."""
        return self._snapshot is not None

    def next_text(self) -> str | None:
        """The next frame, counted as sent; None while the window is shut or nothing changed."""
        if not self.has_room or not self.is_behind:
            return None
        if self._snapshot is None and self.sent_rev < self.feed.floor:
            self._begin_snapshot()
        if self._snapshot is not None:
            return self._part(self._snapshot)
        if not self.is_cut:
            self._due_rev = self.feed.rev
        change = self.feed.since(self.sent_rev)
        self.sent_rev, self._confirm = change.rev, False
        self.unacked.append(change.rev)
        return f'{{"t":"delta","sub":{json.dumps(self.sub)},{change.tail}'

    def _part(self, snapshot: _Snapshot) -> str:
        rows: list[str] = []
        size, feed = 0, self.feed
        while snapshot.keys:
            key = snapshot.keys[0]
            row = feed.row(key) if feed.revision(key) <= snapshot.rev else None
            if row is not None:
                size += row.size
                if size > DELTA_BYTES_MAX and rows:
                    break
                rows.append(row.text)
            snapshot.keys.popleft()
        end = not snapshot.keys
        part, snapshot.part = snapshot.part, snapshot.part + 1
        if end:
            self._snapshot = None
        self.unacked.append(snapshot.rev)
        return (
            f'{{"t":"snap","sub":{json.dumps(self.sub)},"epoch":{json.dumps(feed.epoch)},"part":{part},'
            f'"end":{"true" if end else "false"},"rev":{snapshot.rev},"rows":[{",".join(rows)}]}}'
        )
