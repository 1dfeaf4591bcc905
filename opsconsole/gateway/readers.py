"""Who may read the gateway's own numbers: whom the hub lets see its rows, by the hub's word; no agent is among them."""

from __future__ import annotations

import asyncio
import hashlib
import time
import urllib.request
from collections import OrderedDict
from urllib.parse import urlsplit, urlunsplit

from opsconsole.domain.address import is_loopback
from opsconsole.sdk.settings import AGENT_PATH

KNOWN_SECONDS = 30.0
"""How long the hub's yes is believed."""
ASK_SECONDS = 5.0
"""How long the hub may take to answer."""
KNOWN_MAX = 100
ASKED_PER_SECOND = 5
"""Tokens that the hub is asked about: who tries many is not passed on."""
TOKEN_CHARS_MAX = 512


class Readers:
    """The tokens that the hub has said yes to."""

    def __init__(self, hub: str) -> None:
        """`hub`: the WebSocket address of its agent endpoint."""
        parts = urlsplit(hub)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        path = parts.path.rstrip("/").removesuffix(AGENT_PATH)
        self._url = urlunsplit((scheme, parts.netloc, f"{path}/v1/info", "", ""))
        proxies = urllib.request.ProxyHandler({} if is_loopback(parts.hostname) else None)
        self._opener = urllib.request.build_opener(proxies, _NoRedirect)
        self._known: OrderedDict[bytes, float] = OrderedDict()
        """Digest of a token -> until when it is believed, monotonic."""
        self._asked: list[float] = []

    async def may_read(self, authorization: str) -> bool:
        """Whether the token of an `authorization` header is an observer's, operator's or administrator's."""
        token = authorization.removeprefix("Bearer ").strip()
        if not token or len(token) > TOKEN_CHARS_MAX or not token.isascii() or not token.isprintable():
            return False
        digest, now = hashlib.sha256(token.encode()).digest(), time.monotonic()
        if self._known.get(digest, 0.0) > now:
            return True
        self._asked = [at for at in self._asked if now - at < 1.0]
        if len(self._asked) >= ASKED_PER_SECOND:
            return False
        self._asked.append(now)
        if not await asyncio.to_thread(self._ask, token):
            self._known.pop(digest, None)
            return False
        self._known[digest] = now + KNOWN_SECONDS
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return True

    def _ask(self, token: str) -> bool:
        request = urllib.request.Request(self._url, headers={"Authorization": f"Bearer {token}"})
        try:
            with self._opener.open(request, timeout=ASK_SECONDS) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the hub and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None
