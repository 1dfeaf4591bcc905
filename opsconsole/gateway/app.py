"""The gateway's HTTP side: whose request it is, which endpoint, which turn; it reads no bytes and decides no call."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass

from opsconsole.errors import CallDenied, RunStopped
from opsconsole.exposition import CONTENT_TYPE
from opsconsole.gateway.attribution import RUN_HEADER, Caller, NotAttributed, Route, caller
from opsconsole.gateway.coverage import RELAY, Endpoint, Uncovered, label
from opsconsole.gateway.destinations import Destination, Destinations
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import BadRequest, Dialect, Failure, Request
from opsconsole.gateway.embedding import Embedding, NotReadable
from opsconsole.gateway.failures import (
    denied_failure,
    error_headers,
    full_failure,
    killed_failure,
    lost_failure,
    uncovered_failure,
    upstream_failure,
)
from opsconsole.gateway.flow.traffic import Traffic
from opsconsole.gateway.forwarding import Errand
from opsconsole.gateway.handing_out import HandingOut
from opsconsole.gateway.held_bytes import TooMuchHeld
from opsconsole.gateway.keys import KeyRefused, Keys
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.metrics import Metrics
from opsconsole.gateway.output import Headers, Viewer
from opsconsole.gateway.pending import Key, Pending, is_retry, key_of
from opsconsole.gateway.providers import Provider
from opsconsole.gateway.rates_told import traffic_families
from opsconsole.gateway.readers import Readers
from opsconsole.gateway.relay import Passing
from opsconsole.gateway.request_body import BodyRefused, decoded
from opsconsole.gateway.run_tokens import RUN_TOKEN_PATH
from opsconsole.gateway.runs import GatewayRuns, RunRefused
from opsconsole.gateway.shop import Shop
from opsconsole.gateway.told import news
from opsconsole.gateway.turn import Turn
from opsconsole.gateway.upstream import Call, UpstreamFailed, forwarded_headers
from opsconsole.gateway.wire.exchange import Exchange
from opsconsole.gateway.wire.headers import RequestHead

log = logging.getLogger("opsconsole.gateway")

SLOW_BODY_BYTES = 1_048_576
"""A larger body is read by a thread: the other streams are not kept waiting."""
NO_UPGRADE = Failure(
    status=426, code="no_websocket", message="opsconsole: this gateway speaks HTTP; use server-sent events"
)

NO_READER = b'{"error":{"code":"unauthorized","message":"/metrics needs a token of the hub that may observe"}}'


class Refused(Exception):
    """The request gets this answer, and no turn."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request whose place is known."""

    exchange: Exchange
    endpoint: Endpoint
    path: str
    """What follows the provider."""
    caller: Caller
    errand: Errand


class Gateway:
    """Called with one request after another: at once for one that continues a run, else when what it needs is here."""

    def __init__(self, shop: Shop, runs: GatewayRuns, keys: Keys, traffic: Traffic) -> None:
        self._shop, self._runs, self._keys = shop, runs, keys
        self._settings = shop.settings
        self._counts = shop.counts
        self.pending = Pending(shop.settings.grace_seconds)
        self._destinations = Destinations()
        self._waiting: set[asyncio.Task[None]] = set()
        self._readers = Readers(shop.settings.hub)
        self._handing_out = HandingOut(shop.settings, keys)
        self._metrics = Metrics(shop.counts, self._now, lambda: traffic_families(traffic, time.monotonic()))

    def __call__(self, exchange: Exchange) -> None:
        """One request."""
        found = self._destinations.find(exchange.method, exchange.path)
        if found is None:
            self._later(self._own(exchange), exchange)
            return
        try:
            self._agents(exchange, found)
        except Refused as refused:
            _answer(exchange, DIALECTS[found.provider.dialect], refused.failure)

    # -- requests of agents ----------------------------------------------------------------------------------------

    def _agents(self, exchange: Exchange, found: Destination) -> None:
        headers, endpoint, provider = exchange.headers, found.endpoint, found.provider
        if headers.get("upgrade", "").lower() == "websocket":
            raise Refused(NO_UPGRADE)
        if isinstance(endpoint, Uncovered):
            self._counts.requests["refused"] += 1
            raise Refused(uncovered_failure(endpoint))
        self._counts.requests[endpoint.dialect or label(found.route.rest)] += 1
        if exchange.refused is not None:
            raise Refused(_body_failure(exchange.refused))
        asked_by, upstream_headers = self._caller(found.route, exchange.head, provider)
        url = self._url(provider, found.route, exchange.query)
        errand = Errand(provider=provider.name, url=url, headers=upstream_headers)
        asked = Asked(exchange=exchange, endpoint=endpoint, path=found.route.rest, caller=asked_by, errand=errand)
        run = self._runs.known(asked_by)
        is_slow = len(exchange.body) > SLOW_BODY_BYTES or "content-encoding" in headers
        if run is None or is_slow or endpoint.kind == RELAY:
            self._later(self._waited(asked, DIALECTS[provider.dialect]), exchange)
        else:
            self._turn(asked, run, exchange.body)

    def _later(self, work: Coroutine[None, None, None], exchange: Exchange) -> None:
        def over(task: asyncio.Task[None]) -> None:
            self._waiting.discard(task)
            if not task.cancelled() and (error := task.exception()):
                log.error("a request failed", exc_info=error)
                exchange.abort()

        task = asyncio.create_task(work)
        self._waiting.add(task)
        task.add_done_callback(over)

    async def _waited(self, asked: Asked, dialect: Dialect) -> None:
        """A request that needs time before it can be judged."""
        exchange = asked.exchange
        try:
            body = await _body(exchange)
            run = await self._run(asked.caller)
            if exchange.gone:
                return
            if asked.endpoint.kind == RELAY:
                await self._kept_relay(asked, body, run)
            elif len(body) > SLOW_BODY_BYTES:
                request = await asyncio.to_thread(_read, DIALECTS[asked.endpoint.dialect], body)
                self._turn(asked, run, body, request)
            else:
                self._turn(asked, run, body)
        except Refused as refused:
            _answer(exchange, dialect, refused.failure)

    def _caller(self, found: Route, head: RequestHead, provider: Provider) -> tuple[Caller, Headers]:
        headers = head.named
        try:
            said = found.run or headers.get(RUN_HEADER, "")
            shown, forwarded = self._keys.exchanged(provider, headers, forwarded_headers(head), said)
            return caller(found, headers, shown), forwarded
        except KeyRefused as refused:
            raise Refused(Failure(status=401, code="run_token", message=f"opsconsole: {refused}")) from None
        except NotAttributed as error:
            raise Refused(Failure(status=400, code="bad_run", message=f"opsconsole: {error}")) from None

    async def _run(self, asked_by: Caller) -> GatewayRun:
        try:
            run = await self._runs.find(asked_by)
        except RunRefused as refused:
            if refused.killed:
                raise Refused(killed_failure(str(refused))) from None
            failure = Failure(status=503, code="run_refused", message=f"opsconsole: {refused}", retry=True)
            raise Refused(failure) from None
        return _unfenced(run)

    def _url(self, provider: Provider, found: Route, query: bytes) -> str:
        base = self._settings.upstreams.get(provider.name)
        if not base:
            raise Refused(
                Failure(
                    status=502,
                    code="no_upstream",
                    message=f"opsconsole: no upstream is configured for {provider.name}; set {provider.url_setting}",
                )
            )
        rest = found.rest.removeprefix(provider.base_path) if provider.base_path else found.rest
        return base + rest + (f"?{query.decode('latin-1')}" if query else "")

    # -- turns -----------------------------------------------------------------------------------------------------

    def _turn(self, asked: Asked, run: GatewayRun, body: bytes, request: Request | None = None) -> None:
        """The turn that answers it: a new one, or the one that its client was waiting for before."""
        _unfenced(run)
        exchange = asked.exchange
        key = key_of(run.id, asked.path, exchange.query, exchange.headers, body)
        turn = self.pending.find(key, retry=is_retry(exchange.headers))
        if turn is None:
            dialect = DIALECTS[asked.endpoint.dialect]
            turn = self._new_turn(run, dialect, request or _read(dialect, body), asked.errand)
            self.pending.add(key, turn)
        else:
            self._counts.joined += 1
        self._follow(key, turn, run, exchange)

    def _new_turn(self, run: GatewayRun, dialect: Dialect, request: Request, errand: Errand) -> Turn:
        if self._settings.hub_lost == "refuse" and self._runs.hub_gone:
            raise Refused(lost_failure(self._runs.hub_gone))
        if request.body.get("background") and not self._settings.background:
            why = "an answer in the background can't be held for a person; set gateway.background to allow it"
            raise Refused(Failure(status=403, code="background", message=f"opsconsole: {why}"))
        run.results(request.results)
        for place, role, text in news(request, first=run.is_new):
            run.said(role, text, place)
        self._counts.turns += 1
        turn = Turn(self._shop, run, dialect, request, errand)
        turn.start()
        return turn

    def _follow(self, key: Key, turn: Turn, run: GatewayRun, exchange: Exchange) -> None:
        def over(viewer: Viewer) -> None:
            run.clients.pop(viewer, None)
            self.pending.left(key, turn, viewer)

        viewer = Viewer(turn.output, exchange, over, run.loop)
        self.pending.view(turn, viewer)
        run.clients[viewer] = exchange.abort
        viewer.begin()

    async def _kept_relay(self, asked: Asked, body: bytes, run: GatewayRun) -> None:
        """Its body is kept in memory until it is answered: while its run is paused that may be long."""
        kept = self._shop.held.share()
        try:
            kept.take(len(body))
            await self._relay(asked, body, run)
        except TooMuchHeld as full:
            raise Refused(full_failure(full)) from None
        finally:
            kept.give_back()

    async def _relay(self, asked: Asked, body: bytes, run: GatewayRun) -> None:
        if self._settings.hub_lost == "refuse" and self._runs.hub_gone:
            raise Refused(lost_failure(self._runs.hub_gone))
        exchange, errand = asked.exchange, asked.errand
        call = Call(
            provider=errand.provider,
            url=errand.url,
            method=exchange.method,
            headers=errand.headers,
            body=body,
            run=run.id,
            is_free=not asked.endpoint.counts,
        )
        bought = await self._embedding(run, errand, body) if asked.endpoint.counts else None
        passing = Passing(run, exchange)
        try:
            whole = await passing.through(self._shop.upstream, call, bought)
        except RunStopped as stopped:
            raise Refused(killed_failure(stopped.reason)) from None
        except CallDenied as denied:
            raise Refused(denied_failure(denied)) from None
        except UpstreamFailed as failed:
            self._counts.upstream_errors[errand.provider] += 1
            raise Refused(upstream_failure(failed)) from None
        if whole:
            return
        if passing.killed and not passing.has_begun:
            raise Refused(killed_failure(passing.killed))
        exchange.abort()

    async def _embedding(self, run: GatewayRun, errand: Errand, body: bytes) -> Embedding:
        try:
            if len(body) > SLOW_BODY_BYTES:
                return await asyncio.to_thread(Embedding, run, errand.provider, self._shop.price, body)
            return Embedding(run, errand.provider, self._shop.price, body)
        except NotReadable as error:
            raise Refused(Failure(status=400, code="bad_request", message=f"opsconsole: {error}")) from None
        except CallDenied as denied:
            raise Refused(denied_failure(denied)) from None

    # -- its own routes --------------------------------------------------------------------------------------------

    async def _own(self, exchange: Exchange) -> None:
        path = exchange.path
        if exchange.method == "POST" and path == RUN_TOKEN_PATH and exchange.refused is None:
            handed = await self._handing_out.asked(exchange.headers.get("authorization", ""), exchange.body)
            _plain(exchange, handed.status, json.dumps(handed.body).encode())
        elif exchange.method not in ("GET", "HEAD"):
            _plain(exchange, 404, b'{"error":{"code":"not_found","message":"no such route"}}')
        elif path == "/healthz":
            _plain(exchange, 200, b'{"ok":true}')
        elif path == "/readyz":
            gone = self._runs.hub_gone or ("" if self._runs.link.view.up else "the hub has not welcomed us yet")
            _plain(exchange, 503 if gone else 200, json.dumps({"ok": not gone, "why": gone}).encode())
        elif path == "/metrics" and not await self._readers.may_read(exchange.headers.get("authorization", "")):
            _plain(exchange, 401, NO_READER)
        elif path == "/metrics":
            _plain(exchange, 200, self._metrics.text(), CONTENT_TYPE.encode())
        else:
            _plain(exchange, 404, b'{"error":{"code":"not_found","message":"no such route"}}')

    def _now(self) -> dict[str, float]:
        runs = self._runs.live
        return {
            "runs": len(runs),
            "streams": sum(len(run.turns) for run in runs),
            "pending": len(self.pending),
            "tasks": len(asyncio.all_tasks()),
            "held_bytes": self._shop.held.size,
            "hub_up": self._runs.link.view.up,
        }


def _unfenced(run: GatewayRun) -> GatewayRun:
    if run.fenced:
        raise Refused(killed_failure(run.fenced))
    return run


def _read(dialect: Dialect, body: bytes) -> Request:
    try:
        return dialect.read(body)
    except BadRequest as error:
        raise Refused(Failure(status=400, code="bad_request", message=f"opsconsole: {error}")) from None


async def _body(exchange: Exchange) -> bytes:
    encoding = exchange.headers.get("content-encoding")
    if not encoding:
        return exchange.body
    try:
        return await asyncio.to_thread(decoded, exchange.body, encoding)
    except BodyRefused as error:
        raise Refused(_body_failure(error)) from None


def _body_failure(refused: BodyRefused | TooMuchHeld) -> Failure:
    if isinstance(refused, TooMuchHeld):
        return full_failure(refused)
    return Failure(status=refused.status, code=refused.code, message=f"opsconsole: {refused}")


def _answer(exchange: Exchange, dialect: Dialect, failure: Failure) -> None:
    headers = error_headers(failure)
    if failure.status == 426:
        headers.append((b"upgrade", b"HTTP/1.1"))
    exchange.answer(failure.status, headers, dialect.error(failure))


def _plain(exchange: Exchange, status: int, body: bytes, kind: bytes = b"application/json") -> None:
    exchange.answer(status, [(b"content-type", kind)], body)
