"""The gateway as a process: put together from its parts, told on a signal to stop; it knows no request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time

from opsconsole.errors import ConfigError
from opsconsole.gateway.app import Gateway
from opsconsole.gateway.gateway_file import GatewayFile, remove_gateway_file, write_gateway_file
from opsconsole.gateway.held_bytes import HeldBytes
from opsconsole.gateway.http_server import HttpServer, listen
from opsconsole.gateway.keys import Keys, secret_of
from opsconsole.gateway.metrics import Counts
from opsconsole.gateway.pacing import Paced
from opsconsole.gateway.rates_told import RatesTold
from opsconsole.gateway.revoked import Revoked
from opsconsole.gateway.runs import GatewayRuns
from opsconsole.gateway.settings import GatewaySettings
from opsconsole.gateway.shop import Shop
from opsconsole.gateway.upstream import Upstream
from opsconsole.policy.prices import PriceList
from opsconsole.sdk.event_loop import loop_factory
from opsconsole.sdk.settings import hub_name

SWITCH_SECONDS = 0.001
"""How long the link's thread may keep the interpreter from the loop of the streams, and the other way round."""
COLLECT_AFTER = (50_000, 20, 100)
"""Objects made and not freed, and younger collections, between two looks for cycles."""
DRAIN_SECONDS = 3.0
"""How long streams may go on after a signal."""
ORPHANED_DRAIN_SECONDS = 60.0
"""The same where the hub that started the gateway has died: nobody waits for the process to end."""
EXIT_OK = 0
EXIT_CONFIG = 2

log = logging.getLogger("opsconsole.gateway")


class Service:
    """A gateway that listens. `start`, then `stop`, on the same loop."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.url = ""
        self.runs = GatewayRuns(settings)
        self.counts = Counts()
        self.held = HeldBytes(settings.held_mib * 2**20)
        self.paced = Paced(self.runs.note, is_held=self.runs.is_held, delay_seconds=settings.share_seconds)
        self._rates = RatesTold(self.paced.traffic, self.runs.link)
        self._server: HttpServer | None = None
        self._closing = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Listens, connects. Raises: ConfigError."""
        settings = self.settings
        listener = listen(settings.host, settings.port, port_is_wish=settings.port_is_wish)
        self.url = _url(listener)
        upstream = await self._closing.enter_async_context(
            Upstream(connect_seconds=settings.connect_seconds, read_seconds=settings.read_seconds, flow=self.paced)
        )
        prices = PriceList(settings.prices, clock=time.time)
        prices.load()
        shop = Shop(
            settings=settings,
            upstream=upstream,
            price=prices,
            counts=self.counts,
            held=self.held,
        )
        await self.runs.start()
        self._rates.start()
        self._server = HttpServer(
            Gateway(shop, self.runs, _keys(settings), self.paced.traffic),
            self.held,
        )
        await self._server.begin(listener)
        write_gateway_file(settings.data_dir, self._file())

    def _file(self) -> GatewayFile:
        settings = self.settings
        return GatewayFile(
            url=self.url,
            pid=os.getpid(),
            hub=hub_name(settings.hub),
            upstreams=dict(settings.upstreams),
            configured=tuple(sorted(settings.configured)),
            held=tuple(sorted(settings.keys)),
        )

    async def stop(self, drain_seconds: float = 0.0) -> None:
        """No new connections; streams may go on for a while; then they are cut, and what is unsaid stays journalled."""
        remove_gateway_file(self.settings.data_dir)
        if self._server is not None:
            self._server.close_listeners()
            await self._drained(drain_seconds)
            for run in self.runs.live:
                for turn in list(run.turns):
                    turn.interrupt()
            await self._server.end()
        await self._rates.stop()
        await self.runs.stop()
        await self._closing.aclose()

    async def _drained(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        turns = {turn for run in self.runs.live for turn in run.turns}
        for turn in turns:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await turn.ended()


def serve(settings: GatewaySettings, *, ends_with_stdin: bool = False) -> int:
    """Run a gateway until SIGTERM or SIGINT, or until its standard input ends. Gives the exit code: 0, or 2 for wrong
    settings."""
    sys.setswitchinterval(SWITCH_SECONDS)
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))  # what is usual, 1,024, is a few hundred runs
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(settings, ends_with_stdin))
    except ConfigError as error:
        print(f"opsconsole gateway: {error}", file=sys.stderr, flush=True)
        return EXIT_CONFIG
    return EXIT_OK


async def _serve(settings: GatewaySettings, ends_with_stdin: bool) -> None:
    stop, orphaned = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if ends_with_stdin:
        _watch_stdin(loop, orphaned, stop)
    service = Service(settings)
    await service.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    print(f"opsconsole gateway at {service.url}, for the hub at {hub_name(settings.hub)}", flush=True)
    try:
        await stop.wait()
    finally:
        await service.stop(ORPHANED_DRAIN_SECONDS if orphaned.is_set() else DRAIN_SECONDS)


def _watch_stdin(loop: asyncio.AbstractEventLoop, orphaned: asyncio.Event, stop: asyncio.Event) -> None:
    """Whoever started us holds the other end of our standard input: it ends when they do."""
    os.set_blocking(sys.stdin.fileno(), False)

    def readable() -> None:
        try:
            data = os.read(sys.stdin.fileno(), 1_024)
        except BlockingIOError:
            return
        if not data:
            loop.remove_reader(sys.stdin.fileno())
            orphaned.set()
            stop.set()

    loop.add_reader(sys.stdin.fileno(), readable)


def _keys(settings: GatewaySettings) -> Keys:
    return Keys(settings.keys, secret_of(settings.data_dir), revoked=Revoked(settings.data_dir))


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
