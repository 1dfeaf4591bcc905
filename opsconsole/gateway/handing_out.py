"""Run tokens for supervisors that cannot read the gateway's secret: given over HTTP for a run whose key they hold."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from opsconsole.domain.ids import is_proved_by
from opsconsole.gateway.keys import Keys
from opsconsole.gateway.readers import Readers
from opsconsole.gateway.settings import GatewaySettings

BODY_BYTES_MAX = 4_096
"""A run's id and a proof."""
AGENTS_PAGE = "whoami"
"""Of the hub, for agents' tokens alone."""


class Handed(NamedTuple):
    """An answer: a status and a JSON object."""

    status: int
    body: dict[str, Any]


class HandingOut:
    """Says where models are and gives a run's token: to who has an agent's token of the hub, and the run's key."""

    def __init__(self, settings: GatewaySettings, keys: Keys) -> None:
        self._settings, self._keys = settings, keys
        self._agents = Readers(settings.hub, page=AGENTS_PAGE)

    async def asked(self, authorization: str, body: bytes) -> Handed:
        """One request; `authorization` is its header."""
        run, proof = _asked(body)
        if not is_proved_by(run, proof):
            return _refused(403, "not_proved", "the run's id does not commit to what was shown: this is not your run")
        is_agent = await self._agents.asks(authorization)
        if is_agent is None:
            return _refused(503, "hub_lost", "the hub cannot say just now whose token this is: ask again")
        if not is_agent:
            return _refused(401, "unauthorised", "an agent's token of the hub is needed")
        settings = self._settings
        return Handed(
            200,
            {
                "token": self._keys.token_for(run),
                "upstreams": dict(settings.upstreams),
                "configured": sorted(settings.configured),
                "held": sorted(settings.keys),
            },
        )


def _asked(body: bytes) -> tuple[str, str]:
    """The run and the proof; empty texts where the body says neither."""
    try:
        found = json.loads(body[: BODY_BYTES_MAX + 1]) if len(body) <= BODY_BYTES_MAX else None
    except (ValueError, RecursionError):
        found = None
    told = found if isinstance(found, dict) else {}
    run, proof = told.get("run"), told.get("proof")
    return (run, proof) if isinstance(run, str) and isinstance(proof, str) else ("", "")


def _refused(status: int, code: str, message: str) -> Handed:
    return Handed(status, {"error": {"code": code, "message": message}})
