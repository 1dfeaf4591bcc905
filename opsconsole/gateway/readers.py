"""What the hub says of tokens that are shown to the gateway: whether they may see one of its pages; it knows none."""

from __future__ import annotations

import asyncio
import hashlib
import time
import urllib.error
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
NO = frozenset({401, 403})
"""Answers that say no; any other is none."""


class Readers:
    """The tokens that the hub has said yes to."""

    def __init__(self, hub: str, *, page: str = "info") -> None:
        """`hub`: the WebSocket address of its agent endpoint; `page`: for whom it is says who may read."""
        parts = urlsplit(hub)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        path = parts.path.rstrip("/").removesuffix(AGENT_PATH)
        self._url = urlunsplit((scheme, parts.netloc, f"{path}/v1/{page}", "", ""))
        proxies = urllib.request.ProxyHandler({} if is_loopback(parts.hostname) else None)
        self._opener = urllib.request.build_opener(proxies, _NoRedirect)
        self._known: OrderedDict[bytes, float] = OrderedDict()
        """Digest of a token -> until when it is believed, monotonic."""
        self._asking: dict[bytes, asyncio.Task[bool | None]] = {}
        self._asked: list[float] = []

    async def may_read(self, authorization: str) -> bool:
        """Whether the hub lets the token of an `authorization` header see the page."""
        return await self.asks(authorization) is True

    async def asks(self, authorization: str) -> bool | None:
        """The same; None where the hub cannot be asked, or has been asked too often."""
        token = authorization.removeprefix("Bearer ").strip()
        if not token or len(token) > TOKEN_CHARS_MAX or not token.isascii() or not token.isprintable():
            return False
        digest, now = hashlib.sha256(token.encode()).digest(), time.monotonic()
        if self._known.get(digest, 0.0) > now:
            return True
        asking = self._asking.get(digest)
        if asking is None:
            self._asked = [at for at in self._asked if now - at < 1.0]
            if len(self._asked) >= ASKED_PER_SECOND:
                return None
            self._asked.append(now)
            asking = self._asking[digest] = asyncio.create_task(self._learn(digest, token))
        return await asyncio.shield(asking)

    async def _learn(self, digest: bytes, token: str) -> bool | None:
        try:
            said = await asyncio.to_thread(self._ask, token)
        finally:
            del self._asking[digest]
        if said:
            self._known[digest] = time.monotonic() + KNOWN_SECONDS
            while len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        else:
            self._known.pop(digest, None)
        return said

    def _ask(self, token: str) -> bool | None:
        request = urllib.request.Request(self._url, headers={"Authorization": f"Bearer {token}"})
        try:
            with self._opener.open(request, timeout=ASK_SECONDS) as answer:
                return True if answer.status == 200 else None
        except urllib.error.HTTPError as refused:
            refused.close()
            return False if refused.code in NO else None
        except (OSError, ValueError):
            return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the hub and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None
