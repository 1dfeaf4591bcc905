"""The board and the approvals as consoles follow them: when to look for changes and whom to wake; rows are the desk's.

Nothing is queued for a console: at a tick those whose window is open are woken, and each pulls what it lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from opsconsole.hub.subscriptions import RowFeed, RowSubscriber


class RowSource:
    """One console's subscription to rows, as its outgoing side pulls it."""

    def __init__(self, subscriber: RowSubscriber, wake: Callable[[], None], behind: Callable[[], None]) -> None:
        self.subscriber = subscriber
        self._wake = wake
        self._behind = behind
        self._is_due = False

    def start(self, epoch: str | None, rev: int | None) -> None:
        """Begin, or begin again."""
        self.subscriber.start(epoch, rev)
        self.due()

    def due(self) -> None:
        """It is time to look for changes."""
        if self.subscriber.has_room and self.subscriber.is_behind:
            self._is_due = True
            self._wake()

    def ack(self, rev: int) -> None:
        """The console applied a frame."""
        self.subscriber.ack(rev)
        if self.subscriber.in_snapshot or self.subscriber.is_cut:
            self.due()
        elif self.subscriber.is_behind:
            self._behind()

    def next_text(self) -> str | None:
        """The next frame, or None for nothing now."""
        text = self.subscriber.next_text() if self._is_due else None
        if text is None:
            self._is_due = False
        return text


class Follow:
    """One feed and those who follow it: flushed in the next round of the loop, but not twice within `tick_seconds`.

    Only what is hurried does not wait for that.
    """

    def __init__(self, feed: RowFeed, tick_seconds: float) -> None:
        self.feed = feed
        self._tick_seconds = tick_seconds
        self._sources: set[RowSource] = set()
        self._is_armed = False
        self._is_hurried = False
        self._flushed_at = 0.0

    def open(self, sub: str, wake: Callable[[], None]) -> RowSource:
        """A new subscription."""
        source = RowSource(RowSubscriber(self.feed, sub), wake, self.arm)
        self._sources.add(source)
        return source

    def drop(self, source: RowSource) -> None:
        """End a subscription."""
        self._sources.discard(source)

    def change(self, key: str, now: float) -> None:
        """A row changed."""
        self.feed.change(key, now)
        if self._sources:
            self.arm()

    def arm(self) -> None:
        """Flush at the next tick."""
        if self._is_armed:
            return
        self._is_armed = True
        loop = asyncio.get_running_loop()
        wait = self._flushed_at + self._tick_seconds - loop.time()
        if wait > 0:
            loop.call_later(wait, self._flush)
        else:
            loop.call_soon(self._flush)

    def hurry(self) -> None:
        """Flush in the next round: somebody waits for what changed now."""
        if not self._is_hurried:
            self._is_hurried = True
            asyncio.get_running_loop().call_soon(self._flush_hurried)

    def _flush(self) -> None:
        self._is_armed = False
        self._show()

    def _flush_hurried(self) -> None:
        self._is_hurried = False
        self._show()

    def _show(self) -> None:
        self._flushed_at = asyncio.get_running_loop().time()
        for source in self._sources:
            source.due()
