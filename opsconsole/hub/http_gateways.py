"""What gateways ask the hub over HTTP: whether a token is an agent's, and that run tokens they made are on record."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from opsconsole.hub.admission import Fact
from opsconsole.hub.answers import answer, read_as
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.server import Hub
from opsconsole.protocol.events import Id


class RunTokenBody(BaseModel):
    """A run token that was made beside a gateway, or revoked there; never its text."""

    id: Id
    agent: Annotated[str, Field(max_length=200)] = ""
    run: Id | None = None
    expires_at: Annotated[float, Field(gt=0)] | None = None
    revoked: bool = False


class ForGateways:
    """The handlers."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def whoami(self, _request: Request, principal: Principal) -> Response:
        """Who asks; only those who may speak for runs get here."""
        found = {"principal": principal.name, "role": str(principal.role), "agent_prefix": principal.agent_prefix}
        return answer(found)

    async def run_token(self, request: Request, principal: Principal) -> Response:
        """A token was made, or revoked: answered when that is on record."""
        body = await read_as(RunTokenBody, request)
        kind = "run_token.revoked" if body.revoked else "run_token.created"
        details = {"token_id": body.id, "agent": body.agent, "of_run": body.run, "expires_at": body.expires_at}
        told = {name: value for name, value in details.items() if value}
        await self._hub.recorded_fact(Fact(kind=kind, principal=principal, details=told))
        return answer({"ok": True})
