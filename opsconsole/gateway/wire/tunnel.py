"""The way to a provider through a proxy that the environment names, if it names one; it asks nothing there itself."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from opsconsole.domain.address import is_loopback
from opsconsole.gateway.wire.headers import HEAD_BYTES_MAX, Headers, written_head

Spoken = TypeVar("Spoken", bound=asyncio.Protocol)


class TunnelRefused(Exception):
    """The proxy does not let us through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that speaks HTTP."""

    host: str
    port: int
    credentials: Headers


def proxy_for(scheme: str, host: str, port: int | None) -> Proxy | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for a place; loopback has none.
    Raises: ValueError, where it is none that we can speak to."""
    place = f"{host}:{port}" if port else host
    proxies = getproxies()
    named = proxies.get(scheme) or proxies.get("all")
    if is_loopback(host) or not named or proxy_bypass(place):
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"the proxy is not one of http://, but of {parts.scheme}://")
    credentials: Headers = []
    if parts.username is not None:
        said = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        credentials.append((b"proxy-authorization", b"Basic " + base64.b64encode(said)))
    return Proxy(host=parts.hostname, port=parts.port or 80, credentials=credentials)


async def open_tunnel(
    proxy: Proxy, host: str, port: int, context: ssl.SSLContext, made: Callable[[], Spoken]
) -> Spoken:
    """A connection to a place behind the proxy, TLS and all. Raises: TunnelRefused, OSError."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    loop = asyncio.get_running_loop()
    transport, asking = await loop.create_connection(_Asking, proxy.host, proxy.port)
    try:
        asked: Headers = [(b"host", place.encode("ascii")), *proxy.credentials]
        transport.write(written_head(f"CONNECT {place} HTTP/1.1\r\n".encode("ascii"), asked))
        _look_at(await asking.head)
        protocol = made()
        secured = await loop.start_tls(transport, protocol, context, server_hostname=host)
        if secured is None:
            raise TunnelRefused("the connection ended amid the handshake")
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(secured)
    return protocol


class _Asking(asyncio.Protocol):
    """Waits for the head of the proxy's answer; behind it the provider is silent until it is spoken to."""

    def __init__(self) -> None:
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._came = b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self.head.done():
            return
        if b"\r\n\r\n" in self._came:
            self.head.set_result(self._came)
        elif len(self._came) > HEAD_BYTES_MAX:
            self.head.set_exception(TunnelRefused("the proxy's answer has no end"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.head.done():
            self.head.set_exception(TunnelRefused("the proxy answered no head"))


def _look_at(head: bytes) -> None:
    """Raises: TunnelRefused."""
    first = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(first) < 2 or not first[0].startswith(b"HTTP/1.") or first[1] != b"200":
        raise TunnelRefused(f"the proxy said {first[1][:3].decode('ascii', 'replace') if len(first) > 1 else '?'}")
    if not head.endswith(b"\r\n\r\n"):
        raise TunnelRefused("the proxy said more than yes")
