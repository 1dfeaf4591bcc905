"""One whole hub from its parts: opened on a data directory, served on the running loop, closed in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from opsconsole import __version__
from opsconsole.errors import ConfigError
from opsconsole.hub.accounts import Accounts, write_private
from opsconsole.hub.admission import Door, Fact
from opsconsole.hub.clock import HubClock
from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.hub.http import Http
from opsconsole.hub.http_audit import AuditPages
from opsconsole.hub.http_points import HttpPoints
from opsconsole.hub.http_tokens import Administration
from opsconsole.hub.policy_file import PolicyFile, PolicyWatch, remember, remembered
from opsconsole.hub.prices import PriceList
from opsconsole.hub.records import Records
from opsconsole.hub.recovery import Recovered, recover
from opsconsole.hub.server import Hub
from opsconsole.hub.settings import HubSettings
from opsconsole.hub.sockets import Scope, Sockets
from opsconsole.hub.upkeep import Keeper, Upkeep
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.file.policy import FilePolicy, diff
from opsconsole.policy.interface import Limits
from opsconsole.policy.redaction import masker
from opsconsole.protocol.limits import FRAME_BYTES_MAX
from opsconsole_storage import SqliteStore, Store

INFO_NAME = "hub.json"
MASK_KEY_NAME = "mask.key"
KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep quiet connections: a request that meets the hub's closing of one has failed."""
PING_SECONDS = 20.0
"""For proxies that cut quiet connections; whether a peer is well is told by beats."""
GOODBYE_SECONDS = 2.0
"""How long peers may take to leave when the hub goes down."""
IDLE_SECONDS = 5.0
"""How long the disk may take for what is still on its way."""
UNREAD_MESSAGES_MAX = 8
"""Frames of one connection that wait for the session before its socket is read no further."""
OVERSIZE_BYTES = 65_536
"""A frame this much above the limit is still read, so that its sender is told why it is closed."""

log = logging.getLogger(__name__)


class HubSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, plus a way to cut a peer that takes nothing any more, and with fewer words to the kernel."""

    async def run_asgi(self) -> None:
        """Give the application `abort` and `refused` in its state."""
        self.scope["state"] |= {"abort": self.abort, "refused": self.refused}
        await super().run_asgi()

    def send_receive_event_to_app(self) -> None:
        """Hand a message on, and read no further only when many wait: uvicorn would stop and start at each."""
        has_room = not self.read_paused and self.queue.qsize() < UNREAD_MESSAGES_MAX - 1
        self.read_paused = self.read_paused or has_room
        super().send_receive_event_to_app()
        if has_room:
            self.read_paused = False

    async def send(self, message: Any) -> None:
        """As uvicorn's; but `texts`, the bytes of several text frames, go to the socket together."""
        texts: list[bytes] | None = message.get("texts")
        if texts is None:
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(b"".join([part for text in texts for part in (text_frame_head(len(text)), text)]))

    def refused(self) -> None:
        """The upgrade was answered with a refusal: that completes the handshake, which uvicorn does not see."""
        self.handshake_complete = True

    def abort(self) -> None:
        """Close the transport without waiting for what it still holds."""
        if not self.disconnected:
            self.transport.abort()


def text_frame_head(size_bytes: int) -> bytes:
    """The head of a server's text frame, whole and unmasked (RFC 6455, section 5.2)."""
    if size_bytes < 126:
        return bytes((0x81, size_bytes))
    if size_bytes < 65_536:
        return b"\x81\x7e" + size_bytes.to_bytes(2, "big")
    return b"\x81\x7f" + size_bytes.to_bytes(8, "big")


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers and without its clock: the hub says when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's."""
        yield

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        self.listening.set()
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and end what is still open; without uvicorn's fixed waits, as peers were told already."""
        for closing in (*self.servers, *(sockets or ())):
            closing.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=GOODBYE_SECONDS)
            for task in late:
                task.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an open hub is made of."""

    hub: Hub
    store: Store
    records: Records
    accounts: Accounts
    door: Door
    sockets: Sockets
    points: HttpPoints
    keeper: Keeper
    upkeep: Upkeep
    recovered: Recovered
    made: list[tuple[str, str]]
    """Token files written at this start: (name, token id)."""


class Service:
    """A hub that listens. `start`, then `stop`; both on the same loop."""

    def __init__(self, settings: HubSettings) -> None:
        self.settings = settings
        self.url = ""
        self._parts: Parts | None = None
        self._uvicorn: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self._is_stopping = False

    @property
    def parts(self) -> Parts:
        """The open hub's parts; only between `start` and `stop`."""
        assert self._parts is not None, "the hub is not open"
        return self._parts

    async def start(self, store: Store | None = None) -> None:
        """Open the store (unless one is given), recover, listen.

        Raises: ConfigError, CannotOpen and its kinds, StorageError, OSError.
        """
        self.settings.check()
        _check_certificate(self.settings)
        parts = self._parts = await open_parts(self.settings, store)
        try:
            listener = _listen(self.settings)
        except BaseException:
            await self._release(parts)
            raise
        self.url = _url(self.settings, listener)
        http = Http(
            hub=parts.hub,
            door=parts.door,
            audit=AuditPages(parts.store, self.settings.data_dir if isinstance(parts.store, SqliteStore) else None),
            points=parts.points,
            administration=Administration(
                hub=parts.hub,
                accounts=parts.accounts,
                records=parts.records,
                sockets=parts.sockets,
                points=parts.points,
            ),
            started_at=parts.hub.now(),
            not_ready=self.not_ready,
        ).app()

        async def app(scope: Scope, receive: Any, send: Any) -> None:
            await (parts.sockets if scope["type"] == "websocket" else http)(scope, receive, send)

        self._uvicorn = _Uvicorn(_config(app, self.settings))
        self._serving = asyncio.get_running_loop().create_task(self._uvicorn.serve([listener]))
        await asyncio.wait(
            [self._serving, asyncio.ensure_future(self._uvicorn.listening.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        if self._serving.done():
            await self._serving
        parts.upkeep.start()
        self._announce(parts)

    def _announce(self, parts: Parts) -> None:
        info = {"url": self.url, "pid": os.getpid(), "version": __version__, "started_at": parts.hub.now()}
        write_private(self.settings.data_dir / INFO_NAME, json.dumps(info) + "\n")
        recovered = parts.recovered
        details = {"url": self.url, "version": __version__, "epoch": parts.hub.epoch, "pid": os.getpid()}
        replayed = {"entries_replayed": recovered.entries, "batches_replayed": recovered.batches}
        policy = {"policy": parts.hub.policy_name, "policy_hash": parts.hub.policy_hash}
        parts.hub.fact(Fact(kind="hub.started", principal=None, details=details | replayed | policy))
        self._tell_policy(parts)
        for name, token_id in parts.made:
            made = {"token_id": token_id, "file": name, "by": "bootstrap"}
            parts.hub.fact(Fact(kind="token.created", principal=None, details=made))

    def _tell_policy(self, parts: Parts) -> None:
        """A file that was changed while the hub was down is told as the change it is."""
        policy, before = parts.hub.desk.policy, remembered(self.settings.data_dir)
        if not isinstance(policy, FilePolicy):
            return
        if before is None or before.hash != policy.hash:
            change = {"name": policy.name, "before": before.hash if before else "", "hash": policy.hash}
            details = change | {"diff": diff(before, policy)}
            parts.hub.fact(Fact(kind="policy.changed", principal=None, details=details))
        remember(self.settings.data_dir, policy)

    def not_ready(self) -> str:
        """Why the hub cannot do all of its work; empty when it can."""
        if self._is_stopping:
            return "the hub is going down"
        recorder, keeper, unrecorded = self.parts.hub.recorder, self.parts.keeper, self.parts.hub.desk.unrecorded
        problems = (
            f"{unrecorded} acts are not on record yet" if unrecorded else "",
            f"the audit is not written: {recorder.audit_problem}" if recorder.audit_problem else "",
            f"events are not stored: {recorder.events_problem}" if recorder.events_problem else "",
            f"the hub's records are not saved: {keeper.problem}" if keeper.problem else "",
        )
        return "; ".join(problem for problem in problems if problem)

    async def stop(self) -> None:
        """Send everyone away, save what the desk remembers, close the store."""
        self._is_stopping = True
        parts = self.parts
        await parts.upkeep.stop()
        parts.hub.let_go()
        await parts.sockets.goodbye(GOODBYE_SECONDS)
        if self._uvicorn is not None and self._serving is not None:
            self._uvicorn.stopping.set()
            await self._serving
        parts.hub.retry_records()
        parts.hub.fact(Fact(kind="hub.stopped", principal=None, details={"epoch": parts.hub.epoch}))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                await parts.hub.recorder.idle()
        await parts.keeper.save()
        await self._release(parts)
        (self.settings.data_dir / INFO_NAME).unlink(missing_ok=True)

    async def _release(self, parts: Parts) -> None:
        parts.hub.stop()
        await parts.store.close()
        parts.records.close()


async def open_parts(settings: HubSettings, store: Store | None = None) -> Parts:
    """Open storage, recover the desk, make the shells. Raises: as `Service.start`."""
    clock = HubClock()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if store is None:
        store = await SqliteStore.open(settings.data_dir, clock=clock.now, checkpoint_copy=settings.checkpoint_copy)
    try:
        return await _parts(settings, store, clock)
    except BaseException:
        await store.close()
        raise


async def _parts(settings: HubSettings, store: Store, clock: HubClock) -> Parts:
    records = Records.open(settings.data_dir)
    try:
        limits = Limits(cost_usd=settings.cost_usd, turns=settings.turns, tokens=settings.tokens)
        file = PolicyFile(settings.policy, limits) if settings.policy else None
        default = DefaultPolicy(run_limits=limits, ask_ttl_seconds=settings.approval_ttl_seconds)
        epoch = secrets.token_hex(8)
        prices = PriceList(settings.prices)
        desk = Desk(
            epoch=epoch,
            policy=await asyncio.to_thread(file.read) if file else default,
            price=prices,
            mask=masker(_mask_key(settings)),
            settings=DeskSettings(
                beat_seconds=settings.limits.beat_seconds,
                approval_ttl_seconds=settings.approval_ttl_seconds,
                prices=settings.prices,
                priced_by=prices.version,
            ),
        )
        recovered = await recover(desk, store, records)
        clock.not_before(recovered.newest_at)
        hub = Hub(
            desk=desk,
            storage=store,
            clock=clock,
            epoch=epoch,
            limits=settings.limits,
            marks=recovered.marks,
        )
        accounts = await Accounts.open(records, clock.now)
        made = await accounts.bootstrap(settings.data_dir)
        door = Door(accounts, settings.allowed_origins, settings.limits)
        points = HttpPoints(hub)
        keeper = Keeper(hub, records)
        watch = PolicyWatch(hub, file, settings.data_dir) if file else None
        hub.begin()
        return Parts(
            hub=hub,
            store=store,
            records=records,
            accounts=accounts,
            door=door,
            sockets=Sockets(hub, accounts, door),
            points=points,
            keeper=keeper,
            upkeep=Upkeep(hub, keeper, door, points, settings.events_days, watch),
            recovered=recovered,
            made=made,
        )
    except BaseException:
        records.close()
        raise


def _mask_key(settings: HubSettings) -> bytes:
    """The key under which masked secrets stay comparable, made once a directory."""
    path = settings.data_dir / MASK_KEY_NAME
    try:
        return bytes.fromhex(path.read_text().strip())
    except (FileNotFoundError, ValueError):
        key = secrets.token_bytes(32)
        write_private(path, key.hex() + "\n")
        return key


def _check_certificate(settings: HubSettings) -> None:
    if settings.tls_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{settings.tls_cert} and {settings.tls_key} are no certificate and key: {error}") from None


def _listen(settings: HubSettings) -> socket.socket:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        # asyncio turns Nagle's delay off only where the protocol is named
        listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigError(f"cannot listen on {settings.host}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        return listener
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None


def _url(settings: HubSettings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _config(app: Any, settings: HubSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws=HubSocketProtocol,
        ws_max_size=FRAME_BYTES_MAX + OVERSIZE_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(GOODBYE_SECONDS),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
