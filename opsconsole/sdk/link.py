"""The thread that keeps the link to the hub, so that it obeys while the agent hangs; it holds no rules of runs.

A dedicated thread with its own loop, because an agent's loop stands still in CPU-bound code: from here a hang is told
as `busy`, a kill is journalled and acknowledged at once, and one that the agent ignores is reported as such.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from opsconsole import __version__
from opsconsole.domain.address import is_loopback
from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.frames import Frame
from opsconsole.protocol.limits import FRAME_BYTES_MAX, HELLO_SECONDS_MAX, SUBPROTOCOL, Close
from opsconsole.sdk.conversation import Conversation, Refused
from opsconsole.sdk.gate import LinkView
from opsconsole.sdk.point_run import PointRun
from opsconsole.sdk.settings import hub_name

log = logging.getLogger("opsconsole.sdk")

GATHER_SECONDS = 0.01
"""How long events wait for company in one frame; a gated proposal does not wait."""
LOST_FLUSH_SECONDS = 0.3
"""How long leaving waits for a hub out of reach: enough for a hiccup, and no agent's exit hangs on a dead hub."""
REFUSALS = frozenset({401, 403, 426})
"""HTTP answers to the upgrade that another attempt will not change unless a person acts."""
RESTART_SPREAD_SECONDS = 5.0
"""Agents come back after a hub's restart spread over this time."""
UNREACHABLE = (OSError, EOFError, TimeoutError, WebSocketException, RemoteProtocolError)
"""What an attempt may end with that the next one may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Waits between attempts: full jitter over a bound that doubles from the first to the last."""

    first_seconds: float = 0.1
    last_seconds: float = 10.0
    refused_seconds: float = 10.0
    steady_seconds: float = 5.0
    """A connection that lived for so long was a good one: after it the waits begin anew. A hub that takes connections
    and drops them at once is met as rarely as one that is away."""

    def wait(self, attempt: int) -> float:
        """Seconds before the attempt of this number (from 0)."""
        return random.uniform(0.0, min(self.last_seconds, self.first_seconds * 2.0 ** min(attempt, 30)))

    def wait_refused(self) -> float:
        """Seconds before asking again a hub that refused us: a person may have mended what it minds."""
        return random.uniform(1.0, 3.0) * self.refused_seconds


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A run that is to be left."""

    then: Callable[[], None]
    linger_seconds: float
    asked_at: float
    """Monotonic seconds."""


Tick = Callable[[float, LinkView], float | None]
"""Called on the link's thread when time went on or the link changed; gives when to call again (monotonic) or None."""


class Link:
    """The link of one point. Public methods may be called from any thread, but for those of `Runs`."""

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
        self._token, self._point, self.busy, self._tick, self._pace = token, point, busy, tick, pace
        self._client = client or f"opsconsole-sdk/{__version__}"
        self._runs: dict[str, PointRun] = {}
        self._leaving: dict[str, _Leaving] = {}
        self._up_at = 0.0
        self._lock = threading.Lock()
        self._soon = self._now = False
        self._up = threading.Event()
        self._ready = threading.Event()
        self._conversation: Conversation | None = None
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
        lost_deadline = min(deadline, time.monotonic() + LOST_FLUSH_SECONDS)
        while not all(run.delivered or run.refused for run in self.all()):
            view = self.view
            limit = lost_deadline if view.lost and not view.up else deadline
            if view.refused or time.monotonic() >= limit:
                return False
            self.wake(True)
            time.sleep(GATHER_SECONDS)
        return True

    def wait_up(self, timeout_seconds: float) -> bool:
        """Waits until the hub has welcomed us; False when it has not within the time, or never will."""
        return self._up.wait(timeout_seconds) and self.view.up

    def attach(self, run: PointRun) -> None:
        """Speak for this run from now on: its journal is this hub's, and no other's."""
        run.belong_to(hub_name(self.url))
        with self._lock:
            self._runs[run.run] = run
        self._call(self._attached, run)

    def detach(self, run: PointRun, then: Callable[[], None], *, linger_seconds: float = 0.0) -> None:
        """Leave this run once all is delivered, and then call `then` on the link's thread.

        linger_seconds: how long the hub is listened to before, for commands that have waited for this run's point.
        """
        with self._lock:
            self._leaving[run.run] = _Leaving(then, linger_seconds, time.monotonic())
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

    def tell(self, frame: Frame) -> None:
        """Say something that nobody acknowledges; without a connection it is dropped."""
        self._call(self._told, frame)

    def check(self) -> None:
        """Call `tick` soon: a deadline may have come nearer."""
        self._call(self._tick_now)

    # -- Runs: for the conversation, on the link's thread ----------------------------------------------------------

    def all(self) -> list[PointRun]:
        """The runs spoken for."""
        with self._lock:
            return list(self._runs.values())

    def find(self, run: str) -> PointRun | None:
        """One of them."""
        return self._runs.get(run)

    def take_leave(self) -> list[tuple[str, PointRun | None, Callable[[], None]]]:
        """The runs to be left that have nothing more to say; they are forgotten here."""
        gone: list[tuple[str, PointRun | None, Callable[[], None]]] = []
        with self._lock:
            for run_id, leaving in list(self._leaving.items()):
                run = self._runs.get(run_id)
                early = max(self._up_at, leaving.asked_at) + leaving.linger_seconds - time.monotonic()
                if early > 0:
                    self._loop.call_later(early, self.due.set)
                elif run is None or run.delivered or run.refused:
                    del self._leaving[run_id]
                    gone.append((run_id, self._runs.pop(run_id, None), leaving.then))
        return gone

    def writing(self) -> None:
        """What is woken for from now on is not yet being written."""
        self._now = False

    def welcomed(self) -> None:
        """The hub is in reach."""
        self._up_at = time.monotonic()
        self._see(LinkView(up=True))

    def changed(self) -> None:
        """A run's standing with the hub changed."""
        self._look.set()

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
        self._stopping, self.due, self._look = asyncio.Event(), asyncio.Event(), asyncio.Event()
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
        while True:
            wait: float | None = None
            up_before = self._up_at
            try:
                wait = await self._once(attempt)
            except Refused as error:
                if self.view.refused != str(error):
                    log.error("the hub at %s refused this agent: %s", self.url, error)
                self._see(LinkView(up=False, lost=True, refused=str(error)))
                if error.superseded:
                    return
                wait = self._pace.wait_refused()
            except UNREACHABLE as error:
                if not self.view.lost:
                    log.warning("the hub at %s cannot be reached: %s", self.url, error)
                self._see(LinkView(up=False, lost=True, refused=self.view.refused))
            except Exception:  # a fault of ours, or of the disk: whatever it is, a kill must find its way again
                log.exception("the link to the hub at %s failed", self.url)
                self._see(LinkView(up=False, lost=True, refused=self.view.refused))
            attempt = 0 if self._was_steady(up_before) else attempt + 1
            await asyncio.sleep(self._pace.wait(attempt) if wait is None else wait)

    def _was_steady(self, up_before: float) -> bool:
        """Whether a connection that has ended was welcomed since then, and lasted."""
        return self._up_at != up_before and time.monotonic() - self._up_at >= self._pace.steady_seconds

    async def _once(self, attempt: int) -> float | None:
        """One connection from start to end; gives how long to wait before the next, None for the usual."""
        ws = await self._connected()
        talk = Conversation(ws, self, point=self._point, client=self._client, busy=self.busy)
        self._conversation = talk
        try:
            await talk.hold()
        finally:
            self._conversation = None
            if self.view.up:
                self._see(LinkView(up=False))
            ws.transport.abort()
        if talk.bye and talk.bye.after_ms:
            return talk.bye.after_ms / 1_000 + self._pace.wait(attempt)
        if ws.close_code == Close.RESTART:
            return random.uniform(0.0, min(RESTART_SPREAD_SECONDS, self._pace.last_seconds))
        return None

    async def _connected(self) -> ClientConnection:
        token = self._token()
        try:
            return await connect(
                self.url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                compression=None,
                proxy=None if is_loopback(urlsplit(self.url).hostname) else True,
                max_size=FRAME_BYTES_MAX,
                open_timeout=HELLO_SECONDS_MAX,
                close_timeout=1.0,
            )
        except InvalidStatus as error:
            if error.response.status_code in REFUSALS:
                raise Refused(f"HTTP {error.response.status_code}") from None
            raise

    def _attached(self, run: PointRun) -> None:
        if self._conversation:
            self._conversation.announce(run)
        self._look.set()

    def _dropped(self, run: PointRun, then: Callable[[], None]) -> None:
        with self._lock:
            self._runs.pop(run.run, None)
            self._leaving.pop(run.run, None)
        if self._conversation:
            self._conversation.forget(run.run)
        then()

    def _told(self, frame: Frame) -> None:
        if self._conversation:
            self._conversation.say(frame)

    def _kick(self) -> None:
        self.due.set()

    def _kick_soon(self) -> None:
        self._loop.call_later(GATHER_SECONDS, self._gathered)

    def _gathered(self) -> None:
        self._soon = False
        self.due.set()

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
