"""The thread that keeps the link to the hub: it beats, journals and reports while the agent hangs; it holds no rules of runs.

A dedicated thread with its own loop, because an agent's loop stands still in CPU-bound code: from here a hang is told
as `busy`, a kill is journalled and acknowledged at once, and one that the agent ignores is reported as such.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from opsconsole import __version__
from opsconsole.errors import LocalProtocolError, RemoteProtocolError
from opsconsole.protocol.connection import Connection
from opsconsole.protocol.frames import (
    Ack,
    Attach,
    Bye,
    Detach,
    Err,
    Frame,
    Hello,
    HelloRun,
    PointCommand,
    Proc,
    Welcome,
)
from opsconsole.protocol.limits import (
    FRAME_BYTES_MAX,
    HELLO_SECONDS_MAX,
    RUNS_PER_CONNECTION_MAX,
    SUBPROTOCOL,
    Close,
    is_final,
)
from opsconsole.sdk.gate import LinkView
from opsconsole.sdk.point_run import PointRun

log = logging.getLogger("opsconsole.sdk")

GATHER_SECONDS = 0.01
"""How long events wait for company in one frame; a gated proposal does not wait."""
REFUSALS = frozenset({401, 403, 426})
"""HTTP answers to the upgrade that another attempt will not change: a person must act."""
CLOSE_SECONDS = 0.2
"""A peer that has been silent is not waited for when closing."""
RESTART_SPREAD_SECONDS = 5.0
"""Agents come back after a hub's restart spread over this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Waits between attempts: full jitter over a bound that doubles from the first to the last."""

    first_seconds: float = 0.1
    last_seconds: float = 10.0

    def wait(self, attempt: int) -> float:
        """Seconds before the attempt of this number (from 0)."""
        return random.uniform(0.0, min(self.last_seconds, self.first_seconds * 2.0 ** min(attempt, 30)))


class Refused(Exception):
    """The hub will not have this agent, however often it tries."""


Tick = Callable[[float, LinkView], float | None]
"""Called on the link's thread when time went on or the link changed; gives when to call again (monotonic) or None."""


class Link:
    """The link of one point. All methods may be called from any thread."""

    def __init__(
        self,
        *,
        url: str,
        token: Callable[[], str | None],
        point: str,
        client: str = "",
        busy: Callable[[], str | None] = lambda: None,
        tick: Tick = lambda now, view: None,
        pace: Pace = Pace(),
    ) -> None:
        self.url = url
        self.heard_at = time.monotonic()
        """When the hub was last heard (monotonic), or the start."""
        self.view = LinkView(up=False)
        self._token, self._point, self._client, self._busy, self._tick, self._pace = (
            token,
            point,
            client,
            busy,
            tick,
            pace,
        )
        self._runs: dict[str, PointRun] = {}
        self._announced: set[str] = set()
        self._leaving: dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._soon = self._now = False
        self._up = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name=f"opsconsole-{point}", daemon=True)

    def start(self) -> None:
        """Starts to connect."""
        self._thread.start()
        self._ready.wait()

    def stop(self, *, flush_seconds: float = 0.0) -> bool:
        """Says goodbye once all is delivered or the time is over, and ends the thread; True if all was delivered."""
        deadline = time.monotonic() + flush_seconds
        done = self._wait_delivered(deadline)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=HELLO_SECONDS_MAX + max(0.0, deadline - time.monotonic()))
        return done

    def _wait_delivered(self, deadline: float) -> bool:
        while not all(run.delivered or run.refused for run in self._all()):
            view = self.view
            if view.refused or (view.lost and not view.up) or time.monotonic() >= deadline:
                return False
            self.wake(True)
            time.sleep(GATHER_SECONDS)
        return True

    def wait_up(self, timeout_seconds: float) -> bool:
        """Waits until the hub has welcomed us; False when it has not within the time, or never will."""
        return self._up.wait(timeout_seconds) and self.view.up

    def attach(self, run: PointRun) -> None:
        """Speak for this run from now on."""
        with self._lock:
            self._runs[run.run] = run
        self._call(self._attached, run)

    def detach(self, run: PointRun, then: Callable[[], None]) -> None:
        """Leave this run once all is delivered, and then call `then` on the link's thread."""
        with self._lock:
            self._leaving[run.run] = then
        self.wake(True)

    def drop(self, run: PointRun, then: Callable[[], None]) -> None:
        """Leave this run at once, delivered or not, and then call `then` on the link's thread."""
        self._call(self._dropped, run, then)

    def wake(self, urgent: bool) -> None:
        """There is something to send; unless `urgent`, it may wait for company."""
        if self._now or (self._soon and not urgent) or not self._ready.is_set():
            return
        if urgent:
            self._now = True
            self._call(self._kick)
        else:
            self._soon = True
            self._call(self._kick_soon)

    def check(self) -> None:
        """Call `tick` soon: a deadline may have come nearer."""
        self._call(self._tick_now)

    # -- on the link's thread --------------------------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.run(self._keep())

    def _call(self, what: Callable[..., None], *args: object) -> None:
        if not self._ready.is_set():
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody sends any more
            self._loop.call_soon_threadsafe(what, *args)

    async def _keep(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._due = asyncio.Event()
        self._look = asyncio.Event()
        self._ws: ClientConnection | None = None
        self._ready.set()
        keeper = asyncio.create_task(self._reconnect())
        ticker = asyncio.create_task(self._tick_for_ever())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((stopping, ticker, keeper), return_when=asyncio.FIRST_COMPLETED)
        for task in (keeper, ticker):
            if task.done() and (error := task.exception()):
                self._fail(error)
        await stopping
        for task in (keeper, ticker):
            task.cancel()
        await asyncio.gather(keeper, ticker, return_exceptions=True)

    def _fail(self, error: BaseException) -> None:
        """A fault of ours must not leave calls waiting for ever: it counts as a refusal."""
        log.error("the link failed", exc_info=error)
        self._see(LinkView(up=False, lost=True, refused=f"the link failed: {type(error).__name__}"))
        self._tick(time.monotonic(), self.view)

    async def _reconnect(self) -> None:
        attempt = 0
        while not self.view.refused:
            wait: float | None = None
            try:
                wait = await self._once()
                attempt = 0
            except Refused as error:
                self._see(LinkView(up=False, lost=True, refused=str(error)))
                log.error("the hub at %s refused this agent: %s", self.url, error)
                return
            except (OSError, TimeoutError, InvalidHandshake, RemoteProtocolError) as error:
                if not self.view.lost:
                    log.warning("the hub at %s cannot be reached: %s", self.url, error)
                self._see(LinkView(up=False, lost=True))
                attempt += 1
            await asyncio.sleep(self._pace.wait(attempt) if wait is None else wait)

    async def _once(self) -> float | None:
        """One connection from start to end; gives how long to wait before the next, None for the usual."""
        token = self._token()
        loopback = urlsplit(self.url).hostname in ("127.0.0.1", "::1", "localhost")
        try:
            ws = await connect(
                self.url,
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
                additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                compression=None,
                proxy=None if loopback else True,
                max_size=FRAME_BYTES_MAX,
                open_timeout=HELLO_SECONDS_MAX,
                close_timeout=1.0,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status in REFUSALS:
                raise Refused(f"HTTP {status}") from None
            raise
        self._ws = ws
        try:
            return await self._converse(ws)
        finally:
            self._ws = None
            if self.view.up:
                self._see(LinkView(up=False))
            ws.transport.abort()

    async def _converse(self, ws: ClientConnection) -> float | None:
        conn = Connection("agent", now=time.monotonic())
        self._bye: Bye | None = None
        self._control: list[Frame] = []
        self._opened = asyncio.Event()
        hello = self._hello()
        self._announced = {run.run for run in hello.runs}
        await self._send(ws, conn, hello)
        parts = [self._read(ws, conn), self._write(ws, conn), self._beat(ws, conn)]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._explain(ws, task.exception())
        except asyncio.CancelledError:
            await self._goodbye(ws, conn)
            raise
        finally:
            conn.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._next_wait(ws)

    def _explain(self, ws: ClientConnection, error: BaseException | None) -> None:
        """Raises what ended the connection, where it is more than an end."""
        code = ws.close_code or (self._bye.code if self._bye else 0)
        if is_final(code) or (self._bye and not self._bye.reconnect):
            reason = ws.close_reason or (self._bye.reason if self._bye else "")
            raise Refused(f"{code} {reason}".strip())
        if error is not None and not isinstance(error, ConnectionClosed | RemoteProtocolError | TimeoutError | OSError):
            raise error
        if not self.view.up and error is not None:
            raise TimeoutError(f"no welcome: {error}")

    def _next_wait(self, ws: ClientConnection) -> float | None:
        if self._bye and self._bye.after_ms:
            return self._bye.after_ms / 1_000 + self._pace.wait(0)
        if ws.close_code == Close.RESTART:
            return random.uniform(0.0, min(RESTART_SPREAD_SECONDS, self._pace.last_seconds))
        return None

    async def _goodbye(self, ws: ClientConnection, conn: Connection) -> None:
        with contextlib.suppress(ConnectionClosed, LocalProtocolError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._send(ws, conn, Bye(code=Close.GOING_AWAY, reason="the agent is done", reconnect=False))
                await ws.close(Close.GOING_AWAY)

    def _hello(self) -> Hello:
        runs = [HelloRun(**run.greeting()) for run in self._all()[:RUNS_PER_CONNECTION_MAX]]
        proc = Proc(host=socket.gethostname()[:255], pid=os.getpid())
        return Hello(client=self._client or f"opsconsole-sdk/{__version__}", point=self._point, proc=proc, runs=runs)

    async def _send(self, ws: ClientConnection, conn: Connection, frame: Frame) -> None:
        await ws.send(conn.send(frame, now=time.monotonic()), text=True)

    async def _read(self, ws: ClientConnection, conn: Connection) -> None:
        async for message in ws:
            self.heard_at = time.monotonic()
            try:
                frame = conn.receive(message, now=self.heard_at)
            except RemoteProtocolError as error:
                log.warning("the hub broke the protocol: %s", error)
                await ws.close(error.code, str(error)[:100])
                raise
            if frame is not None:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Welcome):
            self._welcomed(frame)
        elif isinstance(frame, Ack):
            run = self._runs.get(frame.run or "")
            if run is not None and frame.seq is not None:
                run.acknowledged(frame.seq, frame.want)
                self._due.set()
        elif isinstance(frame, PointCommand):
            self._command(frame)
        elif isinstance(frame, Bye):
            self._bye = frame
        elif isinstance(frame, Err):
            self._problem(frame)

    def _welcomed(self, welcome: Welcome) -> None:
        for run in self._all():
            if run.run in self._announced:
                run.connected(welcome.acked.get(run.run, 0))
        self._see(LinkView(up=True))
        self._opened.set()
        for run in self._all():
            self._announce(run)
        self._due.set()

    def _command(self, frame: PointCommand) -> None:
        run = self._runs.get(frame.run)
        if run is None:
            return
        self._control.append(Ack(run=frame.run, cseq=run.command(frame)))
        self._due.set()
        run.act()

    def _problem(self, err: Err) -> None:
        log.warning("the hub objects: %s %s (%s)", err.code, err.message, err.ref)
        run = self._runs.get(err.ref or "")
        if run is not None and err.code in ("superseded", "forbidden"):
            run.refused = f"{err.code}: {err.message}"
            self._look.set()

    async def _write(self, ws: ClientConnection, conn: Connection) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            self._now = False
            if not self.view.up:
                continue
            while await self._write_round(ws, conn):
                pass
            await self._leave(ws, conn)

    async def _write_round(self, ws: ClientConnection, conn: Connection) -> bool:
        """Acknowledgements and answers of all runs, then one frame of events of each; False when nothing was due."""
        sent = await self._write_control(ws, conn)
        for run in self._all():
            if run.run not in self._announced:
                continue
            for answer in run.due_answers():
                await ws.send(answer, text=True)
                sent = True
            frame = run.due_events()
            if frame is not None:
                await ws.send(frame, text=True)
                sent = await self._write_control(ws, conn) or True
        if sent:
            conn.sent_raw(now=time.monotonic())
        return sent

    async def _write_control(self, ws: ClientConnection, conn: Connection) -> bool:
        control, self._control = self._control, []
        for frame in control:
            await self._send(ws, conn, frame)
        return bool(control)

    async def _leave(self, ws: ClientConnection, conn: Connection) -> None:
        for run_id, left in list(self._leaving.items()):
            run = self._runs.get(run_id)
            if run is not None and not (run.delivered or run.refused):
                continue
            if run is not None:
                await self._send(ws, conn, Detach(run=run_id))
            with self._lock:
                self._runs.pop(run_id, None)
                self._leaving.pop(run_id, None)
            self._announced.discard(run_id)
            left()

    async def _beat(self, ws: ClientConnection, conn: Connection) -> None:
        async with asyncio.timeout(HELLO_SECONDS_MAX):
            await self._opened.wait()
        while True:
            await asyncio.sleep(conn.next_wake(now=time.monotonic()))
            now = time.monotonic()
            silent = conn.overdue(now=now)
            if silent is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await ws.close(silent, "silent for too long")
                raise TimeoutError("the hub has been silent for too long")
            beat = conn.beat(now=now, wall=time.time(), busy=self._busy())
            if beat is not None:
                await ws.send(beat, text=True)

    def _attached(self, run: PointRun) -> None:
        if self.view.up and self._ws is not None:
            self._announce(run)
        self._look.set()

    def _dropped(self, run: PointRun, then: Callable[[], None]) -> None:
        with self._lock:
            self._runs.pop(run.run, None)
            self._leaving.pop(run.run, None)
        if run.run in self._announced and self.view.up:
            self._control.append(Detach(run=run.run))
            self._due.set()
        self._announced.discard(run.run)
        then()

    def _announce(self, run: PointRun) -> None:
        """Events of a run follow its hello or attach, never precede it."""
        if run.run in self._announced or len(self._announced) >= RUNS_PER_CONNECTION_MAX:
            return
        self._announced.add(run.run)
        self._control.append(Attach(runs=[HelloRun(**run.greeting())]))
        self._due.set()

    def _kick(self) -> None:
        self._due.set()

    def _kick_soon(self) -> None:
        self._loop.call_later(GATHER_SECONDS, self._gathered)

    def _gathered(self) -> None:
        self._soon = False
        self._due.set()

    def _all(self) -> list[PointRun]:
        with self._lock:
            return list(self._runs.values())

    def _see(self, view: LinkView) -> None:
        self.view = view
        if view.up or view.refused:
            self._up.set()
        else:
            self._up.clear()
        self._look.set()

    def _tick_now(self) -> None:
        self._look.set()

    async def _tick_for_ever(self) -> None:
        while True:
            self._look.clear()
            due = self._tick(time.monotonic(), self.view)
            timeout = None if due is None else max(0.001, due - time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._look.wait()
