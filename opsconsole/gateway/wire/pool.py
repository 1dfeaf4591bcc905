"""Connections to providers, kept while they can serve again: asks over one of them or opens one; it reads no answer."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from opsconsole.gateway.wire.headers import BadHead, Headers, written_lines
from opsconsole.gateway.wire.outgoing import Arriving, Outgoing, Untold, UpstreamFailed
from opsconsole.gateway.wire.tunnel import Proxy, TunnelRefused, open_tunnel, proxy_for

KEEPALIVE_SECONDS = 50.0
IDLE_MAX = 512
"""Of one provider; more are closed once they have served."""
ORIGINS_MAX = 1_000
"""Places asked; settings name a handful."""
URL_KEPT_CHARS_MAX = 500
"""Of an address whose requests' beginning is kept; clients write the end of it."""
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
"""May be sent again where a kept connection had ended unseen: they change nothing."""
AT_ONCE_BYTES = 65_536
"""A head and a body up to so many are one write."""


@dataclass(slots=True, kw_only=True)
class Origin:
    """A place that is asked."""

    host: str
    port: int
    is_secure: bool
    head: Headers
    """What goes with every request: the host, and the credentials that stand in the URL."""
    proxy: Proxy | None
    idle: deque[Outgoing] = field(default_factory=deque)
    """The newest at the end."""


class Pool:
    """All providers. Everything happens on one loop."""

    def __init__(self, *, connect_seconds: float, read_seconds: float) -> None:
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._origins: dict[str, Origin] = {}
        self._openings: dict[tuple[str, str], tuple[Origin, bytes]] = {}
        """Method and URL -> how their requests begin, where nothing of a request changes that."""
        self._open: set[Outgoing] = set()
        self._ssl: ssl.SSLContext | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def ask(
        self, method: str, url: str, headers: Headers, body: bytes, going: Callable[[], None] = lambda: None
    ) -> Coroutine[Any, Any, Arriving]:
        """Sends a request once it is awaited; gives the head of its answer. `going` is called where a connection had to
        be waited for, right before the request is sent, and may raise instead.
        Raises: UpstreamFailed, and what `going` raises."""
        try:
            origin, opening = self._openings.get((method, url)) or self._opening(method, url, headers)
            sized = b"content-length: %d\r\n\r\n" % len(body) if body or method not in REPEATABLE else b"\r\n"
            head = opening + written_lines(headers) + sized
        except (ValueError, BadHead) as error:
            raise UpstreamFailed(f"the address of the model's provider is not one: {error}") from None
        data = [head + body] if len(body) <= AT_ONCE_BYTES else [head, body]
        if method not in REPEATABLE and (way := self._idle(origin)) is not None:
            return way.ask(data)
        return self._ask(origin, data, going, is_repeatable=method in REPEATABLE)

    async def _ask(
        self, origin: Origin, data: list[bytes], going: Callable[[], None], *, is_repeatable: bool
    ) -> Arriving:
        while True:
            way = self._idle(origin)
            is_new = way is None
            if way is None:
                way = await self._connected(origin)
                try:
                    going()
                except BaseException:
                    way.abort()
                    raise
            try:
                return await way.ask(data)
            except Untold:
                if is_new or not is_repeatable:
                    raise

    def close(self) -> None:
        """Ends them all."""
        self._is_closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for way in list(self._open):
            way.abort()

    # -- places ----------------------------------------------------------------------------------------------------

    def _opening(self, method: str, url: str, headers: Headers) -> tuple[Origin, bytes]:
        """The place that is asked, and how the request begins. Raises: BadHead, ValueError."""
        base, target = _parted(url)
        origin = self._origins.get(base) or self._known(base)
        found = origin, _opening(origin, method, target, headers)
        if len(origin.head) == 1 and len(url) <= URL_KEPT_CHARS_MAX:
            if len(self._openings) >= ORIGINS_MAX:
                self._openings.clear()
            self._openings[method, url] = found
        return found

    def _known(self, base: str) -> Origin:
        """Raises: ValueError."""
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it begins with neither http:// nor https://, or names no host")
        is_secure = parts.scheme == "https"
        place = parts.netloc.rpartition("@")[2]
        head: Headers = [(b"host", place.encode("idna" if not place.isascii() else "ascii"))]
        if parts.username is not None:
            said = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            head.append((b"authorization", b"Basic " + base64.b64encode(said)))
        if len(self._origins) >= ORIGINS_MAX:
            self._origins.clear()
            self._openings.clear()
        found = self._origins[base] = Origin(
            host=parts.hostname,
            port=parts.port or (443 if is_secure else 80),
            is_secure=is_secure,
            head=head,
            proxy=proxy_for(parts.scheme, parts.hostname, parts.port),
        )
        return found

    # -- connections -----------------------------------------------------------------------------------------------

    def _idle(self, origin: Origin) -> Outgoing | None:
        while origin.idle:
            way = origin.idle.pop()
            if way.is_open and way.idle_seconds <= KEEPALIVE_SECONDS:
                return way
            way.abort()
        return None

    async def _connected(self, origin: Origin) -> Outgoing:
        """Raises: UpstreamFailed."""
        place = f"{origin.host}:{origin.port}"
        try:
            async with asyncio.timeout(self._connect_seconds):
                way = await self._opened(origin)
        except TimeoutError:
            raise UpstreamFailed(f"{place} did not answer in time", timed_out=True) from None
        except (OSError, TunnelRefused) as error:  # ssl.SSLError is an OSError
            raise UpstreamFailed(f"{place} cannot be asked: {type(error).__name__}: {error}"[:400]) from None
        self._open.add(way)
        return way

    async def _opened(self, origin: Origin) -> Outgoing:
        loop = asyncio.get_running_loop()
        proxy = origin.proxy

        def made() -> Outgoing:
            return Outgoing(self._read_seconds, lambda way: self._keep(origin, way), self._open.discard)

        if proxy is not None and origin.is_secure:
            return await open_tunnel(proxy, origin.host, origin.port, self._context(), made)
        host, port = (proxy.host, proxy.port) if proxy is not None else (origin.host, origin.port)
        context = self._context() if origin.is_secure else None
        _, way = await loop.create_connection(made, host, port, ssl=context)
        return way

    def _context(self) -> ssl.SSLContext:
        if self._ssl is None:
            self._ssl = ssl.create_default_context()
            self._ssl.set_alpn_protocols(["http/1.1"])
        return self._ssl

    def _keep(self, origin: Origin, way: Outgoing) -> None:
        if self._is_closed or len(origin.idle) >= IDLE_MAX:
            way.abort()
            return
        origin.idle.append(way)
        if self._sweep_timer is None:
            self._sweep_timer = asyncio.get_running_loop().call_later(KEEPALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Closes what has been idle for long."""
        self._sweep_timer = None
        loop = asyncio.get_running_loop()
        for origin in self._origins.values():
            kept = deque(way for way in origin.idle if way.is_open and way.idle_seconds < KEEPALIVE_SECONDS)
            for way in origin.idle:
                if way not in kept:
                    way.abort()
            origin.idle = kept
        if any(origin.idle for origin in self._origins.values()):
            self._sweep_timer = loop.call_later(KEEPALIVE_SECONDS / 2, self._sweep)


def _parted(url: str) -> tuple[str, str]:
    """Scheme and place, and what is asked for there."""
    scheme, mark, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    if not mark:
        raise ValueError("it has no scheme")
    return f"{scheme}://{place}", slash + path or "/"


def _opening(origin: Origin, method: str, target: str, headers: Headers) -> bytes:
    """The first line, and the headers of the place. Raises: BadHead, ValueError."""
    if " " in target or not target.isprintable():
        raise ValueError("a space or control character stands in its path")
    first, added = target, origin.head
    if origin.proxy is not None and not origin.is_secure:
        first, added = f"http://{added[0][1].decode()}{target}", [*added, *origin.proxy.credentials]
    if len(added) > 1 and any(name == b"authorization" for name, _ in headers):
        added = [one for one in added if one[0] != b"authorization"]
    return f"{method} {first} HTTP/1.1\r\n".encode("ascii") + written_lines(added)
