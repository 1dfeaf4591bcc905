"""One connection to the hub, from hello to its end: frames of all runs in and out; it does not connect."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

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
from opsconsole.protocol.limits import HELLO_SECONDS_MAX, RUNS_PER_CONNECTION_MAX, Close, is_final
from opsconsole.sdk.point_run import PointRun

log = logging.getLogger("opsconsole.sdk")

GOODBYE_SECONDS = 1.0
"""A goodbye is a courtesy: the hub finds out by itself."""
AGAIN_SECONDS = 2.0
"""A connection on which a command could not be journalled lasts this long: with the next the command comes again."""
CLOSE_SECONDS = 0.2
"""A peer that has been silent is not waited for when closing."""


class Refused(Exception):
    """The hub will not have this agent; not even later where a newer process speaks for its runs (`superseded`)."""

    def __init__(self, reason: str, *, superseded: bool = False) -> None:
        super().__init__(reason)
        self.superseded = superseded


class Runs(Protocol):
    """What a conversation is about; kept by the link, beyond one connection."""

    due: asyncio.Event
    heard_at: float

    def all(self) -> list[PointRun]: ...
    def find(self, run: str) -> PointRun | None: ...
    def take_leave(self) -> list[tuple[str, PointRun | None, Callable[[], None]]]: ...
    def writing(self) -> None: ...
    def welcomed(self) -> None: ...
    def changed(self) -> None: ...


class Conversation:
    """What is said on one open WebSocket. Everything happens on the link's thread."""

    def __init__(
        self, ws: ClientConnection, runs: Runs, *, point: str, client: str, busy: Callable[[], str | None]
    ) -> None:
        self.is_open = False
        self.bye: Bye | None = None
        """What the hub said before it closed."""
        self._ws, self._runs, self._point, self._client, self._busy = ws, runs, point, client, busy
        self._conn = Connection("agent", now=time.monotonic())
        self._announced: set[str] = set()
        self._control: list[Frame] = []
        self._opened = asyncio.Event()
        self._missed = asyncio.Event()

    async def hold(self) -> None:
        """Talks until the connection ends. Raises: Refused, TimeoutError when there was no welcome."""
        hello = self._hello()
        self._announced = {run.run for run in hello.runs}
        await self._send(hello)
        tasks = [asyncio.create_task(part) for part in (self._read(), self._write(), self._beat(), self._again())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._explain(task.exception())
        except asyncio.CancelledError:
            await self._goodbye()
            raise
        finally:
            self._conn.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def announce(self, run: PointRun) -> None:
        """Events of a run follow its hello or attach, never precede it."""
        if not self.is_open or run.run in self._announced or len(self._announced) >= RUNS_PER_CONNECTION_MAX:
            return
        self._announced.add(run.run)
        self._control.append(Attach(runs=[HelloRun(**run.greeting())]))
        self._runs.due.set()

    def say(self, frame: Frame) -> None:
        """One frame that no journal holds."""
        if self.is_open:
            self._control.append(frame)
            self._runs.due.set()

    def forget(self, run: str) -> None:
        """The run is left at once."""
        if self.is_open and run in self._announced:
            self._control.append(Detach(run=run))
            self._runs.due.set()
        self._announced.discard(run)

    # -- beginning and end -----------------------------------------------------------------------------------------

    def _hello(self) -> Hello:
        runs = [HelloRun(**run.greeting()) for run in self._runs.all()[:RUNS_PER_CONNECTION_MAX]]
        proc = Proc(host=socket.gethostname()[:255], pid=os.getpid())
        return Hello(client=self._client, point=self._point, proc=proc, runs=runs)

    def _explain(self, error: BaseException | None) -> None:
        """Raises what ended the connection, where it is more than an end."""
        code = self._ws.close_code or (self.bye.code if self.bye else 0)
        if is_final(code) or (self.bye and not self.bye.reconnect):
            reason = self._ws.close_reason or (self.bye.reason if self.bye else "")
            raise Refused(f"{code} {reason}".strip(), superseded=code == Close.SUPERSEDED)
        if error is not None and not isinstance(error, ConnectionClosed | RemoteProtocolError | TimeoutError | OSError):
            raise error
        if not self.is_open:
            raise TimeoutError(f"no welcome: {error or code}")

    async def _goodbye(self) -> None:
        with contextlib.suppress(ConnectionClosed, LocalProtocolError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._send(Bye(code=Close.GOING_AWAY, reason="the agent is done", reconnect=False))
                await self._ws.close(Close.GOING_AWAY)

    async def _send(self, frame: Frame) -> None:
        await self._ws.send(self._conn.send(frame, now=time.monotonic()), text=True)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        async for message in self._ws:
            now = self._runs.heard_at = time.monotonic()
            try:
                frame = self._conn.receive(message, now=now)
            except RemoteProtocolError as error:
                log.warning("the hub broke the protocol: %s", error)
                await self._ws.close(error.code, str(error)[:100])
                raise
            if frame is not None:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Welcome):
            self._welcomed(frame)
        elif isinstance(frame, Ack):
            run = self._runs.find(frame.run or "")
            if run is not None and frame.seq is not None:
                run.acknowledged(frame.seq, frame.want)
                self._runs.due.set()
        elif isinstance(frame, PointCommand):
            self._command(frame)
        elif isinstance(frame, Bye):
            self.bye = frame
        elif isinstance(frame, Err):
            self._problem(frame)

    def _welcomed(self, welcome: Welcome) -> None:
        for run in self._runs.all():
            if run.run in self._announced:
                run.connected(welcome.acked.get(run.run, 0))
        self.is_open = True
        self._opened.set()
        self._runs.welcomed()
        for run in self._runs.all():
            self.announce(run)
        self._runs.due.set()

    def _command(self, frame: PointCommand) -> None:
        """Journalled, then acknowledged, then carried out."""
        run = self._runs.find(frame.run)
        if run is None:
            return
        try:
            self._control.append(Ack(run=frame.run, cseq=run.command(frame)))
        except sqlite3.Error as error:
            if not self._missed.is_set():
                log.error("run %s: the order %s could not be journalled: %s", frame.run, frame.cmd, error)
            self._missed.set()
        self._runs.due.set()
        run.act()

    def _problem(self, err: Err) -> None:
        log.warning("the hub objects: %s %s (%s)", err.code, err.message, err.ref)
        run = self._runs.find(err.ref or "")
        if run is not None and err.code in ("superseded", "forbidden"):
            run.refused = f"{err.code}: {err.message}"
            self._runs.changed()

    # -- writing ---------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        await self._opened.wait()
        while True:
            await self._runs.due.wait()
            self._runs.due.clear()
            self._runs.writing()
            while await self._write_round():
                pass
            await self._leave()

    async def _write_round(self) -> bool:
        """Acknowledgements and answers of all runs, then one frame of events of each; False when nothing was due."""
        sent = await self._write_control()
        for run in self._runs.all():
            if not run.may_be_due or run.run not in self._announced:
                continue
            for answer in run.due_answers():
                await self._ws.send(answer, text=True)
                sent = True
            frame = run.due_events()
            if frame is not None:
                await self._ws.send(frame, text=True)
                sent = await self._write_control() or True
        if sent:
            self._conn.sent_raw(now=time.monotonic())
        return sent

    async def _write_control(self) -> bool:
        control, self._control = self._control, []
        for frame in control:
            await self._send(frame)
        return bool(control)

    async def _leave(self) -> None:
        for run_id, run, then in self._runs.take_leave():
            if run is not None:
                await self._send(Detach(run=run_id))
            self._announced.discard(run_id)
            then()

    async def _again(self) -> None:
        await self._missed.wait()
        await asyncio.sleep(AGAIN_SECONDS)

    async def _beat(self) -> None:
        async with asyncio.timeout(HELLO_SECONDS_MAX):
            await self._opened.wait()
        while True:
            await asyncio.sleep(self._conn.next_wake(now=time.monotonic()))
            now = time.monotonic()
            silent = self._conn.overdue(now=now)
            if silent is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await self._ws.close(silent, "silent for too long")
                raise TimeoutError("the hub has been silent for too long")
            beat = self._conn.beat(now=now, wall=time.time(), busy=self._busy())
            if beat is not None:
                await self._ws.send(beat, text=True)
