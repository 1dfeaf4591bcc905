"""The gateway's HTTP side as one raw ASGI callable: whose request, which endpoint, which turn; it decides no call."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from opsconsole.gateway.attribution import RUN_HEADER, Caller, NotAttributed, Route, caller, route
from opsconsole.gateway.coverage import RELAY, Endpoint, Uncovered, covered, label
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import BadRequest, Dialect, Failure
from opsconsole.gateway.failures import error_headers, killed_failure, lost_failure, uncovered_failure, upstream_failure
from opsconsole.gateway.flow.traffic import Traffic
from opsconsole.gateway.keys import KeyRefused, Keys
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.metrics import CONTENT_TYPE, Metrics
from opsconsole.gateway.output import Headers, Send
from opsconsole.gateway.pending import TELLING_HEADERS, Pending, fingerprint, is_retry
from opsconsole.gateway.providers import PROVIDERS, Provider
from opsconsole.gateway.rates_told import traffic_families
from opsconsole.gateway.relay import Passing
from opsconsole.gateway.request_body import BodyRefused, ClientLeft, Receive, decoded, read_body
from opsconsole.gateway.runs import GatewayRuns, RunRefused
from opsconsole.gateway.told import news
from opsconsole.gateway.turn import Errand, Shop, Turn
from opsconsole.gateway.upstream import Call, UpstreamFailed, forwarded_headers

log = logging.getLogger("opsconsole.gateway")

SLOW_BODY_BYTES = 1_048_576
"""A larger body is read by a thread: the other streams are not kept waiting."""
ABORT_SECONDS = 1.0
"""How long a cut client may take to read why."""
NO_UPGRADE = Failure(
    status=426, code="no_websocket", message="opsconsole: this gateway speaks HTTP; use server-sent events"
)


class Refused(Exception):
    """The request gets this answer, and no turn."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Gateway:
    """The ASGI callable."""

    def __init__(self, shop: Shop, runs: GatewayRuns, keys: Keys, traffic: Traffic) -> None:
        self._shop, self._runs, self._keys = shop, runs, keys
        self._settings = shop.settings
        self._counts = shop.counts
        self.pending = Pending(shop.settings.grace_seconds)
        self._metrics = Metrics(shop.counts, self._now, lambda: traffic_families(traffic, time.monotonic()))

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        found = route(scope["raw_path"].decode("ascii", "replace"))
        if found is None or found.provider not in PROVIDERS:
            await self._own(scope["path"], scope["method"], send)
            return
        provider = PROVIDERS[found.provider]
        try:
            await self._agents(scope, receive, send, found, provider)
        except Refused as refused:
            await _answer(send, DIALECTS[provider.dialect], refused.failure)
        except ClientLeft:
            return

    # -- requests of agents ----------------------------------------------------------------------------------------

    async def _agents(
        self, scope: dict[str, Any], receive: Receive, send: Send, found: Route, provider: Provider
    ) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("upgrade", "").lower() == "websocket":
            raise Refused(NO_UPGRADE)
        endpoint = covered(provider.name, scope["method"], found.rest)
        if isinstance(endpoint, Uncovered):
            self._counts.requests["refused"] += 1
            raise Refused(uncovered_failure(endpoint))
        self._counts.requests[endpoint.dialect or label(found.rest)] += 1
        asked_by, upstream_headers = self._caller(found, headers, scope["headers"], provider)
        body = await _body(receive, headers)
        run = await self._run(asked_by)
        errand = Errand(
            provider=provider.name, url=self._url(provider, found, scope["query_string"]), headers=upstream_headers
        )
        if endpoint.kind == RELAY:
            await self._relay(scope, errand, body, run, endpoint, send)
            return
        asked_with = "\n".join(headers.get(name, "") for name in TELLING_HEADERS)
        key = fingerprint(run.id, found.rest, scope["query_string"], asked_with, body)
        turn = self.pending.find(key, retry=is_retry(headers))
        if turn is None:
            turn = await self._new_turn(run, DIALECTS[endpoint.dialect], body, errand)
            self.pending.add(key, turn)
        else:
            self._counts.joined += 1
        await self._follow(key, turn, run, scope, send)

    def _caller(
        self, found: Route, headers: Mapping[str, str], raw: Headers, provider: Provider
    ) -> tuple[Caller, Headers]:
        try:
            said = found.run or headers.get(RUN_HEADER, "")
            token_run, forwarded = self._keys.exchanged(provider, headers, forwarded_headers(raw), said)
            return caller(found, headers, token_run), forwarded
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
        if run.fenced:
            raise Refused(killed_failure(run.fenced))
        return run

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

    async def _new_turn(self, run: GatewayRun, dialect: Dialect, body: bytes, errand: Errand) -> Turn:
        if self._settings.hub_lost == "refuse" and self._runs.hub_gone:
            raise Refused(lost_failure(self._runs.hub_gone))
        try:
            request = await asyncio.to_thread(dialect.read, body) if len(body) > SLOW_BODY_BYTES else dialect.read(body)
        except BadRequest as error:
            raise Refused(Failure(status=400, code="bad_request", message=f"opsconsole: {error}")) from None
        if request.body.get("background") and not self._settings.background:
            why = "an answer in the background can't be held for a person; set gateway.background to allow it"
            raise Refused(Failure(status=403, code="background", message=f"opsconsole: {why}"))
        if run.fenced:
            raise Refused(killed_failure(run.fenced))
        run.results(request.results)
        for place, role, text in news(request, first=run.is_new):
            run.said(role, text, place)
        self._counts.turns += 1
        turn = Turn(self._shop, run, dialect, request, errand)
        turn.start()
        return turn

    async def _follow(self, key: bytes, turn: Turn, run: GatewayRun, scope: dict[str, Any], send: Send) -> None:
        viewer = self.pending.view(turn)
        scope["state"]["on_gone"] = viewer.leave
        run.clients[viewer] = scope["state"]["abort"]
        try:
            whole = await viewer.follow(send)
        finally:
            del run.clients[viewer]
            self.pending.left(key, turn, viewer)
        if not whole and not viewer.gone:
            asyncio.get_running_loop().call_later(ABORT_SECONDS, scope["state"]["abort"])

    async def _relay(
        self, scope: dict[str, Any], errand: Errand, body: bytes, run: GatewayRun, endpoint: Endpoint, send: Send
    ) -> None:
        if self._settings.hub_lost == "refuse" and self._runs.hub_gone:
            raise Refused(lost_failure(self._runs.hub_gone))
        call = Call(
            provider=errand.provider,
            url=errand.url,
            method=scope["method"],
            headers=errand.headers,
            body=body,
            run=run.id,
        )
        passing = Passing(run, send)
        scope["state"]["on_gone"] = passing.leave
        try:
            whole = await passing.through(self._shop.upstream, call, counts=endpoint.counts)
        except UpstreamFailed as failed:
            self._counts.upstream_errors[errand.provider] += 1
            raise Refused(upstream_failure(failed)) from None
        if whole:
            return
        if passing.killed and not passing.has_begun:
            raise Refused(killed_failure(passing.killed))
        scope["state"]["abort"]()

    # -- its own routes --------------------------------------------------------------------------------------------

    async def _own(self, path: str, method: str, send: Send) -> None:
        if method not in ("GET", "HEAD"):
            await _plain(send, 404, b'{"error":{"code":"not_found","message":"no such route"}}')
        elif path == "/healthz":
            await _plain(send, 200, b'{"ok":true}')
        elif path == "/readyz":
            gone = self._runs.hub_gone or ("" if self._runs.link.view.up else "the hub has not welcomed us yet")
            await _plain(send, 503 if gone else 200, json.dumps({"ok": not gone, "why": gone}).encode())
        elif path == "/metrics":
            await _plain(send, 200, self._metrics.text(), CONTENT_TYPE)
        else:
            await _plain(send, 404, b'{"error":{"code":"not_found","message":"no such route"}}')

    def _now(self) -> dict[str, float]:
        runs = self._runs.live
        return {
            "runs": len(runs),
            "streams": sum(len(run.turns) for run in runs),
            "pending": len(self.pending),
            "hub_up": self._runs.link.view.up,
        }


async def _body(receive: Receive, headers: Mapping[str, str]) -> bytes:
    try:
        body = await read_body(receive)
        encoding = headers.get("content-encoding")
        return await asyncio.to_thread(decoded, body, encoding) if encoding else body
    except BodyRefused as error:
        failure = Failure(status=error.status, code=error.code, message=f"opsconsole: {error}")
        raise Refused(failure) from None


async def _answer(send: Send, dialect: Dialect, failure: Failure) -> None:
    body = dialect.error(failure)
    headers = error_headers(failure)
    if failure.status == 426:
        headers.append((b"upgrade", b"HTTP/1.1"))
    await _sent(send, failure.status, headers, body)


async def _plain(send: Send, status: int, body: bytes, kind: bytes = b"application/json") -> None:
    await _sent(send, status, [(b"content-type", kind)], body)


async def _sent(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
