"""A hub for the SDK's tests: a real WebSocket server on loopback with the real Connection and scripted verdicts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from opsconsole.domain.ids import verdict_id
from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.connection import Connection
from opsconsole.protocol.events import UnknownEvent
from opsconsole.protocol.frames import (
    Ack,
    Attach,
    Beat,
    Bye,
    Detach,
    EventFrame,
    Frame,
    Hello,
    PointCommand,
    Res,
    Welcome,
)
from opsconsole.protocol.limits import FRAME_BYTES_MAX, SUBPROTOCOL
from tests.support.hub import held_port

TIME_LIMIT_SECONDS = 30.0
"""Beyond this a test that waits has failed."""

Verdict = Callable[[dict[str, Any]], dict[str, Any] | None]


def allow(event: dict[str, Any]) -> dict[str, Any]:
    return {"outcome": "allow", "digest": event["digest"], "rule": "test", "by": "policy"}


def deny(text: str = "not today") -> Verdict:
    return lambda event: {"outcome": "deny", "digest": event["digest"], "text": text, "rule": "test", "by": "ann"}


def silent(event: dict[str, Any]) -> None:
    return None


class RunRecord:
    """What the hub holds of one run."""

    def __init__(self) -> None:
        self.gen = ""
        self.stored = 0
        self.cseq = 0
        self.events: list[dict[str, Any]] = []
        self.skips: list[dict[str, Any]] = []
        self.commands: list[PointCommand] = []
        self.acked_cseq = 0
        self.conn: Link | None = None

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type]

    def states(self) -> list[str]:
        return [event["state"] for event in self.of("state")]

    def statuses(self, call: str | None = None) -> list[str]:
        return [event["status"] for event in self.of("tool") if call in (None, event["id"])]


class Link:
    def __init__(self, ws: ServerConnection, beat_seconds: float) -> None:
        self.ws = ws
        self.conn = Connection("hub_agent", now=time.monotonic(), beat_seconds=beat_seconds)
        self.deaf = False
        self.greeted, self.gone = asyncio.Event(), asyncio.Event()

    async def send(self, frame: Frame) -> None:
        with suppress(ConnectionClosed):
            await self.ws.send(self.conn.send(frame, now=time.monotonic()), text=True)


class FakeHub:
    """Runs in a thread of its own, so that it lives while an agent's loop is blocked; on a port that is held for it."""

    def __init__(self, port: int) -> None:
        self.verdict: Verdict = allow
        self.beat_seconds = 10.0
        self.token = "good"
        self.acking = True
        self.runs: dict[str, RunRecord] = {}
        self.hellos: list[Hello] = []
        self.results: list[Res] = []
        self.beats: list[Beat] = []
        self.detached: list[str] = []
        self.byes: list[Bye] = []
        self.problems: list[str] = []
        self.frames = 0
        self.port = port
        self.changed = threading.Condition()
        self._links: set[Link] = set()
        self._server: Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # -- what a test asks ------------------------------------------------------------------------------------------

    def wait(self, what: Callable[[], Any]) -> Any:
        """The first true value of `what`."""

        def now() -> Any:
            try:
                return what()
            except (AssertionError, LookupError, StopIteration):
                return None  # what is asked about is not there yet

        with self.changed:
            found = self.changed.wait_for(now, TIME_LIMIT_SECONDS)
        assert found, f"not seen within {TIME_LIMIT_SECONDS} s; events: {self._told()}"
        return found

    async def seen(self, what: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(self.wait, what)

    def _told(self) -> dict[str, list[str]]:
        return {
            run: [
                f"{one['type']}:{one.get('status') or one.get('state') or one.get('text', '')}" for one in record.events
            ]
            for run, record in self.runs.items()
        }

    def only(self) -> RunRecord:
        assert len(self.runs) == 1, list(self.runs)
        return next(iter(self.runs.values()))

    def run_of(self, agent: str) -> RunRecord:
        return next(one for one in self.runs.values() if any(event.get("agent") == agent for event in one.events))

    def result(self, cmd: str) -> Res | None:
        return next((res for res in reversed(self.results) if res.cmd == cmd), None)

    # -- what a test does ------------------------------------------------------------------------------------------

    def up(self) -> FakeHub:
        self._do(self._listen())
        return self

    def down(self) -> None:
        self._do(self._stop_listening())

    def stop(self) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIME_LIMIT_SECONDS)
        self._loop.close()

    def cut(self) -> None:
        """Every connection breaks without a word."""
        self._do(self._cut())

    def black_hole(self) -> None:
        """Every open connection stays open and says nothing more."""
        for link in self._links:
            link.deaf = True

    def close_with(self, code: int, reason: str = "") -> None:
        self._do(self._close(code, reason))

    def send(self, run: str, do: str, *, cmd: str | None = None, cseq: int | None = None, **fields: Any) -> str:
        """A command to the run's point; again with every hello until it is acknowledged."""
        return self._do(self._command(run, do, cmd, cseq, fields))

    def _do(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(TIME_LIMIT_SECONDS)

    # -- in the hub's loop -----------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=[SUBPROTOCOL],
            process_request=self._check,
            compression=None,
            max_size=FRAME_BYTES_MAX,
            close_timeout=0.1,
        )

    async def _stop_listening(self) -> None:
        if self._server:
            self._server.close(close_connections=False)
            await self._cut()
            await self._server.wait_closed()
            self._server = None

    async def _cut(self) -> None:
        for link in list(self._links):
            link.ws.transport.abort()
        await asyncio.gather(*(link.gone.wait() for link in list(self._links)))

    async def _close(self, code: int, reason: str) -> None:
        for link in list(self._links):
            await link.ws.close(code, reason)

    def _check(self, ws: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return ws.respond(HTTPStatus.UNAUTHORIZED, "who are you?\n")
        return None

    async def _serve(self, ws: ServerConnection) -> None:
        link = Link(ws, self.beat_seconds)
        self._links.add(link)
        beating = asyncio.create_task(self._beat(link))
        try:
            async for data in ws:
                if link.deaf:
                    continue
                frame = link.conn.receive(data, now=time.monotonic())
                await self._take(link, frame)
                with self.changed:
                    self.frames += 1
                    self.changed.notify_all()
        except RemoteProtocolError as error:
            self.problems.append(str(error))
            await ws.close(error.code, str(error)[:100])
        except ConnectionClosed:
            pass
        finally:
            beating.cancel()
            self._links.discard(link)
            link.gone.set()
            with self.changed:
                self.changed.notify_all()

    async def _beat(self, link: Link) -> None:
        await link.greeted.wait()
        while True:
            await asyncio.sleep(link.conn.next_wake(now=time.monotonic()))
            if link.deaf:
                continue
            beat = link.conn.beat(now=time.monotonic(), wall=time.time())
            if beat:
                await link.ws.send(beat, text=True)

    async def _take(self, link: Link, frame: Frame | None) -> None:
        if isinstance(frame, Hello):
            await self._greet(link, frame)
        elif isinstance(frame, Attach):
            for item in frame.runs:
                record = self._seat(link, item)
                await link.send(Ack(run=item.run, seq=record.stored))
                await self._catch_up(link, item)
        elif isinstance(frame, EventFrame):
            await self._events(link, frame)
        elif isinstance(frame, Ack):
            self.runs[frame.run or ""].acked_cseq = frame.cseq or 0
        elif isinstance(frame, Res):
            self.results.append(frame)
        elif isinstance(frame, Beat):
            self.beats.append(frame)
        elif isinstance(frame, Detach):
            self.detached.append(frame.run)
        elif isinstance(frame, Bye):
            self.byes.append(frame)

    async def _greet(self, link: Link, hello: Hello) -> None:
        self.hellos.append(hello)
        acked = {item.run: self._seat(link, item).stored for item in hello.runs}
        welcome = Welcome(
            epoch="e",
            conn="c",
            principal="agent",
            role="agent",
            beat_seconds=self.beat_seconds,
            time=time.time(),
            acked=acked,
        )
        await link.send(welcome)
        link.greeted.set()
        for item in hello.runs:
            await self._catch_up(link, item)

    def _seat(self, link: Link, item: Any) -> RunRecord:
        record = self.runs.setdefault(item.run, RunRecord())
        if record.gen and record.gen != item.gen:
            record.stored = 0
        record.gen, record.conn = item.gen, link
        return record

    async def _catch_up(self, link: Link, item: Any) -> None:
        for command in self.runs[item.run].commands:
            if command.cseq > item.cseq:
                await link.send(command)

    async def _events(self, link: Link, frame: EventFrame) -> None:
        record = self.runs[frame.run]
        if record.gen != frame.gen:
            self.problems.append(f"events of generation {frame.gen} after {record.gen}")
        if frame.skip is not None:
            record.skips.append(frame.skip.model_dump())
            record.stored = max(record.stored, frame.skip.last)
        new = []
        for event in frame.events:
            if isinstance(event, UnknownEvent):
                self.problems.append(f"invalid event: {event.problem}")
            if event.seq > record.stored + 1:
                await link.send(Ack(run=frame.run, seq=record.stored, want=record.stored + 1))
                break
            if event.seq == record.stored + 1:
                record.stored = event.seq
                told = event.model_dump(mode="json", exclude_unset=True)
                record.events.append(told)
                new.append(told)
        if self.acking:
            await link.send(Ack(run=frame.run, seq=record.stored))
        for told in new:
            await self._judge(link, frame.run, told)

    async def _judge(self, link: Link, run: str, event: dict[str, Any]) -> None:
        if event["type"] != "tool" or event["status"] != "proposed" or not event.get("gate"):
            return
        verdict = self.verdict(event)
        if verdict is not None:
            await self._command(run, "verdict", verdict_id(run, event["id"]), None, {"call": event["id"], **verdict})

    async def _command(self, run: str, do: str, cmd: str | None, cseq: int | None, fields: dict[str, Any]) -> str:
        record = self.runs[run]
        record.cseq = record.cseq + 1 if cseq is None else cseq
        cmd = cmd or f"cmd_{run}_{record.cseq}"
        command = PointCommand.model_validate({"cmd": cmd, "run": run, "cseq": record.cseq, "do": do, **fields})
        record.commands.append(command)
        if record.conn in self._links and record.conn is not None and not record.conn.deaf:
            await record.conn.send(command)
        return cmd


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    with held_port() as port:
        hub = FakeHub(port).up()
        try:
            yield hub
        finally:
            hub.stop()
            assert hub.problems == []
