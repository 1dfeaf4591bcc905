"""Turns whose answers are still to be fetched: a client that timed out and asks the same again joins its own turn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from opsconsole.gateway.output import Viewer
from opsconsole.gateway.turn import Turn

RETRY_HEADER = "x-stainless-retry-count"
"""How often the official clients have sent this request before."""
TELLING_HEADERS = (
    "authorization",
    "x-api-key",
    "anthropic-beta",
    "anthropic-version",
    "openai-beta",
    "openai-organization",
    "openai-project",
)
"""Headers that make another request of the same body."""


Key = tuple[str, str, bytes, tuple[str | None, ...], bytes]
"""A request as it stands: what is kept of it anyway, while it is pending."""


def key_of(run: str, path: str, query: bytes, headers: Mapping[str, str], body: bytes) -> Key:
    """The same for the same request of the same run, asked with the same headers, and for no other."""
    return run, path, query, tuple(map(headers.get, TELLING_HEADERS)), body


def is_retry(headers: Mapping[str, str]) -> bool:
    """Whether the client says that it sends this request again."""
    return headers.get(RETRY_HEADER, "0") not in ("", "0")


class Pending:
    """The turns that a later request may join."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._turns: dict[Key, Turn] = {}
        self._timers: dict[Turn, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def find(self, key: Key, *, retry: bool) -> Turn | None:
        """The turn that a request joins: nobody listens to it any more, or the request says that it is sent again."""
        turn = self._turns.get(key)
        if turn is None or not turn.output.replayable or turn.output.ended == "cut":
            return None
        return turn if retry or not turn.output.viewed else None

    def add(self, key: Key, turn: Turn) -> None:
        """A new turn."""
        self._turns[key] = turn

    def view(self, turn: Turn, viewer: Viewer) -> None:
        """A client listens to it."""
        timer = self._timers.pop(turn, None)
        if timer is not None:
            timer.cancel()
        turn.output.attach(viewer)

    def left(self, key: Key, turn: Turn, viewer: Viewer) -> None:
        """A client has its answer, or has gone: then its turn waits for it to come back, if that makes sense."""
        output = turn.output
        output.detach(viewer)
        if output.viewed:
            return
        if output.delivered or output.ended == "cut":
            self._forget(key, turn)
        elif not turn.worth_waiting_for:
            self._give_up(key, turn)
        elif turn not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[turn] = loop.call_later(self._grace_seconds, self._give_up, key, turn)

    def _give_up(self, key: Key, turn: Turn) -> None:
        self._forget(key, turn)
        turn.leave()

    def _forget(self, key: Key, turn: Turn) -> None:
        self._timers.pop(turn, None)
        if self._turns.get(key) is turn:
            del self._turns[key]
