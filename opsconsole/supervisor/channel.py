"""JSON lines with the reaper, the supervisor's end: requests with answers, events; it knows no meaning of either."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

from opsconsole.errors import SupervisorError

LINE_BYTES_MAX = 4 * 1024 * 1024
"""A message lists at most 1,000 processes a few hundred bytes each; a longer line is no message of ours."""

Message = dict[str, Any]


class ReaperLost(SupervisorError):
    """The reaper was killed, or does not answer: its supervisor takes over."""


class Channel:
    """One open channel to a reaper. `heard` gets every event, in order."""

    def __init__(self, heard: Callable[[Message], None]) -> None:
        self._heard = heard
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._requests = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._listening: asyncio.Task[None] | None = None

    async def open(self, end: socket.socket) -> None:
        """Starts to listen on our end of the pair."""
        self._reader, self._writer = await asyncio.open_unix_connection(sock=end, limit=LINE_BYTES_MAX)
        self._listening = asyncio.create_task(self._listen())

    def tell(self, message: Message) -> None:
        """Sends without awaiting an answer."""
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def ask(self, do: str, *, timeout_seconds: float, **arguments: Any) -> Message:
        """Sends a request and gives its answer. Raises: ReaperLost when none comes in time."""
        if self._listening is None or self._listening.done():
            raise ReaperLost("the reaper is gone")
        self._requests += 1
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[self._requests] = answer
        self.tell({"id": self._requests, "do": do, **arguments})
        try:
            async with asyncio.timeout(timeout_seconds):
                return await answer
        except TimeoutError:
            raise ReaperLost(f"the reaper did not answer {do!r} within {timeout_seconds} s") from None

    async def close(self) -> None:
        """Closes our end; the reaper kills what is left unless it was released. May be called again."""
        if self._listening is not None:
            self._listening.cancel()
            self._writer.close()
            await asyncio.wait([self._listening])

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (ConnectionError, ValueError):  # a broken or overlong line is as good as a closed channel
            pass
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ReaperLost("the reaper is gone"))
                    answer.exception()  # nobody may be waiting any more

    def _take(self, message: Message) -> None:
        if "event" in message:
            self._heard(message)
            return
        answer = self._answers.pop(message["id"], None)
        if answer is not None and not answer.done():
            answer.set_result(message)
