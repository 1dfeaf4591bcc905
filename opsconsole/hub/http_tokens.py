"""What administrators do over HTTP: make, list and revoke tokens, and back the hub up; every act is in the audit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from opsconsole.domain.command import Role
from opsconsole.hub.accounts import NAME_CHARS_MAX, Accounts, NewToken, describe
from opsconsole.hub.admission import Fact, Refusal
from opsconsole.hub.answers import answer, bad, flag, not_found, path_id, read_as
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.http_points import HttpPoints
from opsconsole.hub.records import Records
from opsconsole.hub.server import Hub
from opsconsole.hub.sockets import Sockets

TTL_SECONDS_MAX = 10 * 365 * 86_400.0
RUNS_A_TURN = 50
"""Runs looked at before the loop may serve others."""
_STARTERS = frozenset({Role.AGENT, Role.GATEWAY})
"""Roles whose principals own runs."""
RUNS_TOLD_MAX = 1_000
"""Runs named when a token is still needed; their number is told whole."""


class TokenBody(BaseModel):
    """What a new token shall be."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@+\- ]*$")]
    role: Role
    ttl_seconds: Annotated[float, Field(gt=0, le=TTL_SECONDS_MAX)] | None = None
    agent_prefix: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class BackupBody(BaseModel):
    """Where a copy goes: a directory of the hub's machine that does not exist yet."""

    target: Annotated[str, Field(min_length=1, max_length=4_096)]


class Administration:
    """The handlers; every one is for admins."""

    def __init__(self, *, hub: Hub, accounts: Accounts, records: Records, sockets: Sockets, points: HttpPoints) -> None:
        self._hub = hub
        self._accounts = accounts
        self._records = records
        self._sockets = sockets
        self._points = points

    async def tokens(self, _request: Request, _principal: Principal) -> Response:
        """All tokens, without their secrets."""
        return answer({"tokens": self._accounts.listing()})

    async def create(self, request: Request, principal: Principal) -> Response:
        """A new token: recorded, then kept, then told, once."""
        body = await read_as(TokenBody, request)
        if body.agent_prefix is not None and body.role is not Role.AGENT:
            raise bad("agent_prefix is for tokens of the role agent")
        if self._accounts.is_full:
            raise Refusal(status=409, code="too_many", message="no more tokens can be made")
        token = self._accounts.mint(
            body.name, body.role, by=principal.name, ttl_seconds=body.ttl_seconds, agent_prefix=body.agent_prefix
        )
        await self._keep(token, principal)
        return answer(describe(token.row) | {"token": token.text}, 201)

    async def _keep(self, token: NewToken, principal: Principal) -> None:
        details = {"token_id": token.row.id, "name": token.row.name, "for": token.row.role}
        more = {"expires_at": token.row.expires_at, "agent_prefix": token.row.agent_prefix}
        try:
            await self._hub.recorded_fact(Fact(kind="token.created", principal=principal, details=details | more))
            await self._accounts.keep(token)
        except Exception:
            self._hub.fact(Fact(kind="token.not_created", principal=principal, details=details))
            raise

    async def revoke(self, request: Request, principal: Principal) -> Response:
        """End a token at once, and every connection that came with it; recorded afterwards.

        The runs of an agent's token hear of a kill over those connections: while any lives, only `force` ends it.
        """
        token_id = path_id(request, "token")
        row = self._accounts.find(token_id)
        if row is None:
            raise not_found(f"there is no token {token_id}")
        left = await self._runs_of(row.name) if row.role in _STARTERS and row.revoked_at is None else []
        if left and not flag(request, "force"):
            raise _still_needed(row.name, left)
        closed = 0
        if row.revoked_at is None:
            try:
                await self._accounts.revoke(token_id)
            finally:
                closed = self._sockets.cut(token_id, "the token was revoked")
                self._points.cut(token_id)
                details = {"token_id": token_id, "name": row.name, "connections_closed": closed}
                lost = {"runs_left": len(left)} if left else {}
                self._hub.fact(Fact(kind="token.revoked", principal=principal, details=details | lost))
        kept = self._accounts.find(token_id)
        return answer((describe(kept) if kept else {}) | {"connections_closed": closed})

    async def _runs_of(self, owner: str) -> list[str]:
        """The live runs that a principal started."""
        owned = []
        for count, run in enumerate(self._hub.desk.run_ids(live_only=True), start=1):
            if getattr(self._hub.desk.run_row(run), "owner", "") == owner:
                owned.append(run)
            if count % RUNS_A_TURN == 0:
                await asyncio.sleep(0)
        return owned

    async def backup(self, request: Request, principal: Principal) -> Response:
        """Copy the audit, the events and the hub's own file while all are in use."""
        body = await read_as(BackupBody, request)
        target = Path(body.target)
        if not target.is_absolute():
            raise bad("target is an absolute path on the hub's machine")
        try:
            await self._hub.storage.backup(target)
            await self._records.backup(target)
        except FileExistsError:
            raise Refusal(status=409, code="exists", message=f"{target} exists already") from None
        except OSError as error:
            raise Refusal(status=422, code="bad_request", message=f"{target}: {error.strerror or error}") from None
        self._hub.fact(Fact(kind="backup.made", principal=principal, details={"target": str(target)}))
        return answer({"ok": True, "target": str(target)})


def _still_needed(owner: str, runs: list[str]) -> Refusal:
    left = "1 live run" if len(runs) == 1 else f"{len(runs)} live runs"
    return Refusal(
        status=409,
        code="precondition_failed",
        message=f"{owner} has {left}, which no kill would reach without this token",
        details={"current": {"runs": runs[:RUNS_TOLD_MAX]}},
    )
