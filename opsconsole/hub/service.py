"""One whole hub from its parts: opened on a data directory, served on the running loop, closed in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import ssl
from dataclasses import dataclass
from typing import Any

from opsconsole import __version__
from opsconsole.errors import ConfigError
from opsconsole.hub.accounts import Accounts, write_private
from opsconsole.hub.admission import Door, Fact
from opsconsole.hub.claims import DECIDING
from opsconsole.hub.clock import HubClock
from opsconsole.hub.decoy_seals import DecoySeals
from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.hub.http import Http
from opsconsole.hub.http_audit import AuditPages
from opsconsole.hub.http_points import HttpPoints
from opsconsole.hub.http_tokens import Administration
from opsconsole.hub.listening import GOODBYE_SECONDS, Uvicorn, bound, url_of
from opsconsole.hub.policy_file import PolicyFile, PolicyWatch, remember, remembered
from opsconsole.hub.records import Records
from opsconsole.hub.recovery import Recovered, recover
from opsconsole.hub.server import Hub
from opsconsole.hub.settings import HubSettings
from opsconsole.hub.sockets import Scope, Sockets
from opsconsole.hub.upkeep import Keeper, Upkeep
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.file.policy import FilePolicy, diff
from opsconsole.policy.interface import Limits
from opsconsole.policy.prices import PriceList
from opsconsole.policy.redaction import masker
from opsconsole_storage import SqliteStore, Store

INFO_NAME = "hub.json"
MASK_KEY_NAME = "mask.key"
IDLE_SECONDS = 5.0
"""How long the disk may take for what is still on its way."""


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
        self._uvicorn: Uvicorn | None = None
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
            listener = bound(self.settings)
        except BaseException:
            await self._release(parts)
            raise
        self.url = url_of(self.settings, listener)
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

        self._uvicorn = Uvicorn(app, self.settings)
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
        parts.hub.waiters.let_go()
        await parts.sockets.goodbye(GOODBYE_SECONDS)
        if self._uvicorn is not None and self._serving is not None:
            self._uvicorn.stopping.set()
            await self._serving
        parts.hub.decoys.withdraw("the hub stops")
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
        prices.load()
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
            decoys_per_day=settings.decoys_per_day,
        )
        accounts = await Accounts.open(records, clock.now)
        made = await accounts.bootstrap(settings.data_dir)
        hub.names = lambda: accounts.names(DECIDING)
        door = Door(accounts, settings.allowed_origins, settings.limits)
        points = HttpPoints(hub)
        keeper = Keeper(hub, records)
        watch = PolicyWatch(hub, file, settings.data_dir) if file else None
        seals = DecoySeals(hub, records)
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
            upkeep=Upkeep(hub, keeper, door, points, settings.events_days, watch, seals=seals),
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
