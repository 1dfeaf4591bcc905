"""Who is let in, before any upgrade or handler: origin, token, role, version; it says what of it to record."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from opsconsole.domain.command import Role, may
from opsconsole.hub.accounts import Accounts
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.rates import Bucket, Collapsed
from opsconsole.hub.settings import ShellLimits
from opsconsole.protocol.limits import BEARER_SUBPROTOCOL_PREFIX, SUBPROTOCOL

WINDOW_SECONDS = 60.0
"""Equal logins and refusals of this long are one entry of the audit, with their number."""
FACT_KEYS_MAX = 200
"""Different refusals told singly in that time; more are counted together, so that strangers cannot fill the audit."""
LOGIN_KEYS_MAX = 10_000
"""The same for logins, which only holders of tokens can make."""
ADDRESSES_MAX = 1_000
"""Addresses whose refusals are counted singly."""
TOKEN_CHARS_MAX = 300

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something for the audit."""

    kind: str
    principal: Principal | None
    details: dict[str, Any]


class Refusal(Exception):
    """Somebody is not let in: the answer to give, and what to record of it."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.details = dict(details or {})
        self.facts: list[Fact] = []

    def response(self) -> JSONResponse:
        """The answer."""
        error = {"code": self.code, "message": self.message, **self.details}
        return JSONResponse({"error": error}, status_code=self.status, headers=self.headers)


class Door:
    """Admits or refuses, and gives the facts worth recording."""

    def __init__(self, accounts: Accounts, allowed_origins: Iterable[str], limits: ShellLimits) -> None:
        self._accounts = accounts
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)
        self._limits = limits
        self._refusals_told = Collapsed(WINDOW_SECONDS, FACT_KEYS_MAX)
        self._logins_told = Collapsed(WINDOW_SECONDS, LOGIN_KEYS_MAX)
        self._refusals: dict[str, Bucket] = {}

    def admit(self, scope: Mapping[str, Any], needed: Role, now: float) -> tuple[Principal, list[Fact]]:
        """The principal of a request or upgrade, and what to record of it. Raises: Refusal."""
        headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
        try:
            self._check_origin(headers)
            principal = self._authenticate(headers, scope)
            if not may(principal.role, needed):
                message = f"a token of role {principal.role} may not do this"
                raise Refusal(status=403, code="forbidden", message=message)
        except Refusal as refusal:
            raise self._refused(refusal, scope, now) from None
        return principal, self._login(principal, scope, now)

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").rstrip("/").lower() not in self._origins:
            raise Refusal(status=403, code="origin", message="web pages of this origin may not talk to the hub")

    def _authenticate(self, headers: Headers, scope: Mapping[str, Any]) -> Principal:
        text = bearer(headers, scope.get("subprotocols", ()))
        client = headers.get(b"user-agent", b"").decode("latin-1")[:200]
        principal = self._accounts.authenticate(text, origin=address(scope), client=client) if text else None
        if principal is None:
            reason = "the token is unknown, expired or revoked" if text else "a bearer token is needed"
            challenge = 'Bearer realm="opsconsole"' + (', error="invalid_token"' if text else "")
            raise Refusal(status=401, code="unauthorised", message=reason, headers={"WWW-Authenticate": challenge})
        return principal

    def _refused(self, refusal: Refusal, scope: Mapping[str, Any], now: float) -> Refusal:
        """The refusal with its fact; 429 instead where one address is refused too often."""
        origin = address(scope)
        host = origin.rpartition(":")[0]
        if len(self._refusals) >= ADDRESSES_MAX and host not in self._refusals:
            self._refusals.clear()
        bucket = self._refusals.setdefault(host, Bucket(self._limits.refusals_per_second, self._limits.burst_seconds))
        early = bucket.take(1.0, now)
        facts = []
        if self._refusals_told.admit((refusal.code, host), now):
            path = str(scope["path"])[:200]
            details = {"status": refusal.status, "code": refusal.code, "path": path, "from": origin}
            facts.append(Fact(kind="login.refused", principal=None, details=details))
        if early > 0:
            refusal = Refusal(
                status=429,
                code="too_many_refusals",
                message="too many refused requests from this address",
                headers={"Retry-After": str(int(early) + 1)},
            )
        refusal.facts = facts
        return refusal

    def _login(self, principal: Principal, scope: Mapping[str, Any], now: float) -> list[Fact]:
        how = "websocket" if scope["type"] == "websocket" else "http"
        host = principal.origin.rpartition(":")[0]
        if not self._logins_told.admit((principal.token_id, host, how), now):
            return []
        return [Fact(kind="login", principal=principal, details={"how": how, "path": str(scope["path"])[:200]})]

    def counted(self, now: float) -> list[Fact]:
        """What was collapsed and whose window has ended."""
        found = [("login.refused", key, more) for key, more in self._refusals_told.ended(now)]
        found += [("login.repeated", key, more) for key, more in self._logins_told.ended(now)]
        return [
            Fact(kind=kind, principal=None, details={"of": list(key), "more": more, "seconds": WINDOW_SECONDS})
            for kind, key, more in found
        ]


def check_subprotocol(offered: Iterable[str]) -> None:
    """Raises: Refusal when the peer does not offer the version that this hub speaks."""
    if SUBPROTOCOL not in offered:
        raise Refusal(
            status=426,
            code="version",
            message=f"this hub speaks {SUBPROTOCOL}",
            headers={"Upgrade": "websocket", "Sec-WebSocket-Protocol": SUBPROTOCOL},
            details={"supported": [SUBPROTOCOL]},
        )


def busy(message: str, seconds: int = 5) -> Refusal:
    """No room, or not ready: come back later."""
    return Refusal(status=503, code="unavailable", message=message, headers={"Retry-After": str(seconds)})


def bearer(headers: Headers, subprotocols: Iterable[str]) -> str:
    """The token of the Authorization header, else of the offered subprotocols; empty when there is none."""
    scheme, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and text:
        return text.strip()[:TOKEN_CHARS_MAX]
    for name in subprotocols:
        if name.startswith(BEARER_SUBPROTOCOL_PREFIX):
            return _unpadded(name.removeprefix(BEARER_SUBPROTOCOL_PREFIX)[: 2 * TOKEN_CHARS_MAX])
    return ""


def _unpadded(encoded: str) -> str:
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


def address(scope: Mapping[str, Any]) -> str:
    """`host:port` of the peer."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "unknown:0"
