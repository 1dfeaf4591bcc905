"""The hub's HTTP: the table of routes, who may use which, and the handlers for runs, approvals and commands."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from opsconsole import __version__
from opsconsole.domain.address import is_loopback
from opsconsole.domain.command import Role
from opsconsole.exposition import CONTENT_TYPE
from opsconsole.hub.admission import Door, Refusal, address, busy
from opsconsole.hub.answers import (
    answer,
    bad,
    explain,
    failure,
    flag,
    not_found,
    number,
    path_id,
    read_body,
    seconds,
    spliced,
)
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.http_audit import AuditPages
from opsconsole.hub.http_gateways import ForGateways
from opsconsole.hub.http_points import HttpPoints
from opsconsole.hub.http_tokens import Administration
from opsconsole.hub.server import Hub, NotRecorded
from opsconsole.hub.timeline import all_rows, forward, newest
from opsconsole.protocol.frames import Command, Res
from opsconsole_storage import StorageError

ROWS_MAX = 5_000
"""Rows of one answer."""
ROWS_A_TURN = 50
"""Rows rendered before the loop may serve others."""
EVENTS_MAX = 1_000
"""Events of one answer, but for the rest of a batch."""
REPLY_SECONDS_MAX = 30.0
"""How long a command over HTTP waits for its record; the same id may be sent again."""

RES_STATUS = {
    "forbidden": 403,
    "not_found": 404,
    "not_in_group": 403,
    "excluded": 403,
    "already_voted": 409,
    "already_settled": 409,
    "digest_mismatch": 409,
    "precondition_failed": 409,
    "idempotency_conflict": 409,
    "no_point": 409,
    "bad_request": 422,
    "storage_failed": 503,
}
"""The status of a refused command by its code."""

Handler = Callable[[Request, Principal], Awaitable[Response]]


class Http:
    """All routes of one hub."""

    def __init__(
        self,
        *,
        hub: Hub,
        door: Door,
        audit: AuditPages,
        points: HttpPoints,
        administration: Administration,
        started_at: float,
        not_ready: Callable[[], str],
    ) -> None:
        self._hub = hub
        self._door = door
        self._audit = audit
        self._points = points
        self._administration = administration
        self._started_at = started_at
        self._not_ready = not_ready
        self._numbers = itertools.count(1)

    def app(self) -> Starlette:
        """The ASGI application for HTTP."""
        audit, points, admin = self._audit, self._points, self._administration
        gateways = ForGateways(self._hub)
        table: tuple[tuple[str, str, Role, Handler], ...] = (
            ("GET", "/v1/info", Role.OBSERVER, self.info),
            ("GET", "/v1/whoami", Role.AGENT, gateways.whoami),
            ("POST", "/v1/run-tokens", Role.GATEWAY, gateways.run_token),
            ("GET", "/v1/limits", Role.OBSERVER, self.limits),
            ("GET", "/v1/present", Role.OBSERVER, self.present),
            ("GET", "/v1/runs", Role.OBSERVER, self.runs),
            ("GET", "/v1/runs/{run}", Role.OBSERVER, self.run),
            ("GET", "/v1/runs/{run}/events", Role.OBSERVER, self.events),
            ("GET", "/v1/approvals", Role.OBSERVER, self.approvals),
            ("GET", "/v1/grants", Role.OBSERVER, self.grants),
            ("GET", "/v1/budgets", Role.OBSERVER, self.budgets),
            ("POST", "/v1/commands", Role.OBSERVER, self.command),
            ("GET", "/v1/commands/{cmd}", Role.OBSERVER, self.command_report),
            ("GET", "/v1/audit", Role.OBSERVER, audit.page),
            ("GET", "/v1/audit/checkpoint", Role.OBSERVER, audit.checkpoint),
            ("GET", "/v1/audit/verify", Role.OBSERVER, audit.verify),
            ("GET", "/v1/audit/consistency", Role.OBSERVER, audit.consistency),
            ("GET", "/v1/audit/{seq}", Role.OBSERVER, audit.one),
            ("GET", "/v1/audit/{seq}/proof", Role.OBSERVER, audit.proof),
            ("POST", "/v1/runs/{run}/events", Role.AGENT, points.post_events),
            ("GET", "/v1/runs/{run}/commands", Role.AGENT, points.get_commands),
            ("POST", "/v1/runs/{run}/results", Role.AGENT, points.post_result),
            ("GET", "/v1/tokens", Role.ADMIN, admin.tokens),
            ("POST", "/v1/tokens", Role.ADMIN, admin.create),
            ("DELETE", "/v1/tokens/{token}", Role.ADMIN, admin.revoke),
            ("POST", "/v1/backup", Role.ADMIN, admin.backup),
        )
        routes = [
            Route(path, self._guarded(needed, handler), methods=[method]) for method, path, needed, handler in table
        ]
        routes += [
            Route("/healthz", self.health),
            Route("/readyz", self.ready),
            Route("/metrics", self.metrics),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _defect})

    def _guarded(self, needed: Role, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                principal = self._admit(request, needed)
                return await handler(request, principal)
            except Refusal as refusal:
                self._hub.counts.refusals[refusal.code] += 1
                for fact in refusal.facts:
                    self._hub.fact(fact)
                return refusal.response()
            except (StorageError, sqlite3.Error, NotRecorded) as error:
                return failure(503, "storage_failed", str(error), {"Retry-After": "5"})

        return guarded

    def _admit(self, request: Request, needed: Role) -> Principal:
        principal, facts = self._door.admit(request.scope, needed, self._hub.now())
        for fact in facts:
            self._hub.fact(fact)
        return principal

    # -- about the hub ---------------------------------------------------------------------------------------------

    async def health(self, _request: Request) -> Response:
        """The process lives."""
        return answer({"ok": True})

    async def ready(self, _request: Request) -> Response:
        """The hub can do all of its work, or why not."""
        reason = self._not_ready()
        if reason:
            return failure(503, "not_ready", reason, {"Retry-After": "5"})
        return answer({"ok": True})

    async def metrics(self, request: Request) -> Response:
        """For Prometheus; from other machines, and from web pages under whatever name, with a token."""
        if not _is_local(request) or "origin" in request.headers:
            try:
                self._admit(request, Role.OBSERVER)
            except Refusal as refusal:
                return refusal.response()
        return PlainTextResponse(self._hub.metrics.text(), media_type=CONTENT_TYPE)

    async def info(self, _request: Request, principal: Principal) -> Response:
        """Who asks whom."""
        hub = self._hub
        return answer(
            {
                "version": __version__,
                "epoch": hub.epoch,
                "policy": hub.policy_name,
                "policy_hash": hub.policy_hash,
                "alerts": [alert.model_dump(mode="json") for alert in hub.desk.hub_row().alerts],
                "started_at": self._started_at,
                "principal": principal.name,
                "role": str(principal.role),
                "time": hub.now(),
            }
        )

    async def limits(self, _request: Request, _principal: Principal) -> Response:
        """How full the rate limits of models' providers are, by what gateways tell."""
        rows = [limit.model_dump(mode="json") for limit in self._hub.desk.hub_row().limits]
        return answer({"rows": rows, "time": self._hub.now()})

    async def present(self, _request: Request, _principal: Principal) -> Response:
        """Who is here, and what each console has open."""
        rows = [one.model_dump(mode="json", exclude_none=True) for one in self._hub.presence.shown()]
        return answer({"rows": rows, "time": self._hub.now()})

    # -- runs and approvals ----------------------------------------------------------------------------------------

    async def runs(self, request: Request, _principal: Principal) -> Response:
        """Rows of runs, newest started last."""
        agent = request.query_params.get("agent", "")
        limit = number(request, "limit", 1_000, low=1, high=ROWS_MAX)
        feed = self._hub.follows["board"].feed
        rev, texts = feed.rev, []
        for count, run in enumerate(reversed(self._hub.desk.run_ids(flag(request, "live")))):
            if count % ROWS_A_TURN == 0:
                await asyncio.sleep(0)
            if agent and getattr(self._hub.desk.run_row(run), "agent", "") != agent:
                continue
            row = feed.row(run)
            texts += [row.text] if row else []
            if len(texts) >= limit:
                break
        return spliced("rows", reversed(texts), epoch=self._hub.epoch, rev=rev, time=self._hub.now())

    async def run(self, request: Request, _principal: Principal) -> Response:
        """One run and its approvals."""
        run = path_id(request, "run")
        row = self._hub.follows["board"].feed.row(run)
        if row is None:
            raise not_found(f"there is no run {run}")
        approvals = await self._approvals(run, pending_only=False)
        body = f'{{"time":{self._hub.now()},"row":{row.text},"approvals":[{",".join(approvals)}]}}'
        return Response(body, media_type="application/json")

    async def _approvals(self, run: str, *, pending_only: bool) -> list[str]:
        feed, desk = self._hub.follows["approvals"].feed, self._hub.desk
        texts = []
        for count, approval in enumerate([*desk.approval_ids(pending_only), *self._hub.decoys.ids]):
            if not run or getattr(desk.approval_row(approval), "run", "") == run:
                row = feed.row(approval)
                texts += [row.text] if row else []
            if count % ROWS_A_TURN == 0:
                await asyncio.sleep(0)
        return texts

    async def approvals(self, request: Request, _principal: Principal) -> Response:
        """Rows of approvals, oldest first."""
        status = request.query_params.get("status", "pending")
        if status not in ("pending", "all"):
            raise bad("status is pending or all")
        run = request.query_params.get("run", "")
        texts = await self._approvals(run, pending_only=status == "pending")
        feed = self._hub.follows["approvals"].feed
        return spliced("rows", texts[-ROWS_MAX:], epoch=self._hub.epoch, rev=feed.rev, time=self._hub.now())

    async def budgets(self, _request: Request, _principal: Principal) -> Response:
        """Every cap of the policy's breakers that counts a live run."""
        now = self._hub.now()
        return answer({"budgets": self._hub.desk.budgets(now), "time": now})

    async def grants(self, _request: Request, _principal: Principal) -> Response:
        """Standing grants, and the latest that are over."""
        now = self._hub.now()
        return answer({"grants": self._hub.desk.grants(now), "time": now})

    async def events(self, request: Request, _principal: Principal) -> Response:
        """A stretch of a run's timeline: after a position, or the newest (before one)."""
        run = path_id(request, "run")
        limit = number(request, "limit", 200, low=1, high=EVENTS_MAX)
        if flag(request, "tail") or "before" in request.query_params:
            before = number(request, "before", 0) or None
            batches = await newest(self._hub.events, run, limit=limit, before=before)
        else:
            batches = await forward(self._hub.events, run, after=number(request, "after", 0), limit=limit)
        if not batches and self._hub.desk.run_row(run) is None:
            raise not_found(f"there is no run {run}")
        rows = await asyncio.to_thread(all_rows, batches)
        after = number(request, "after", 0)
        places = {"next": batches[-1].position if batches else after, "first": batches[0].position if batches else 0}
        return spliced("events", (row.text for row in rows), **places)

    # -- commands --------------------------------------------------------------------------------------------------

    async def command(self, request: Request, principal: Principal) -> Response:
        """Give a command; answered once it is on record. The same id and body give the same answer."""
        try:
            command = Command.model_validate_json(await read_body(request))
        except ValidationError as error:
            raise bad(explain(error)) from None
        reply_to = f"http{next(self._numbers)}"
        reply: asyncio.Future[Res] = asyncio.get_running_loop().create_future()
        self._hub.repliers[reply_to] = lambda res: None if reply.done() else reply.set_result(res)
        try:
            self._hub.command(command, principal, reply_to)
            async with asyncio.timeout(REPLY_SECONDS_MAX):
                res = await reply
        except TimeoutError:
            raise busy("the command is not on record yet: send it again with the same id") from None
        finally:
            del self._hub.repliers[reply_to]
        return _command_answer(res)

    async def command_report(self, request: Request, _principal: Principal) -> Response:
        """How a command went; waits until it is settled if asked to."""
        cmd = path_id(request, "cmd")
        wait = seconds(request, "wait", self._hub.limits.wait_seconds_max)
        if self._hub.desk.command_report(cmd) is None:
            raise not_found(f"there is no command {cmd}")
        await self._hub.waiters.until(lambda: self._is_settled(cmd), wait)
        report = self._hub.desk.command_report(cmd)
        if report is None:
            raise not_found(f"there is no command {cmd}")
        return answer(report.to_json())

    def _is_settled(self, cmd: str) -> bool:
        report = self._hub.desk.command_report(cmd)
        return report is None or report.settled


def _is_local(request: Request) -> bool:
    """Whether this machine asks by its own name; a web page's name that was rebound to it is not."""
    try:
        named = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return is_loopback(named) and is_loopback(address(request.scope).rpartition(":")[0])


def _command_answer(res: Res) -> Response:
    body = res.model_dump(mode="json", exclude_none=True)
    if res.ok:
        return answer(body)
    status = RES_STATUS.get(res.code, 409)
    error = {"code": res.code, "message": res.message, "current": res.current}
    return answer(body | {"error": error}, status)


_CODES = {404: "not_found", 405: "method_not_allowed"}


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "error"
    return failure(status, _CODES.get(status, "error"), detail)


async def _defect(_request: Request, _error: Exception) -> JSONResponse:
    return failure(500, "internal", "the hub made a mistake; its log tells more")
