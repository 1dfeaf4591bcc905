"""The console in a browser: a page behind a token of the hub, and a console process for each window; it knows no runs.

Who has no session gets the form that asks for a token; the hub says whether it is one. A session is a random cookie of
this process; the token stays in its memory and goes to the console processes it starts.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from opsconsole.console.api import http_url
from opsconsole.console.clock import Clock, SystemClock

COOKIE = "opsconsole_session"
SESSION_SECONDS = 12 * 3_600.0
"""A shift; then the token is asked for again."""
SESSIONS_MAX = 100
WINDOWS_MAX = 20
"""Console processes at once: each takes some fifty megabytes and more."""
LOGINS_WAITING_MAX = 10
"""Beside the one that the hub is asked about; more are told to come back later."""
WRONG_SECONDS = 1.0
"""A wrong token is answered after this long, and one at a time: nobody guesses them here."""
CHECK_SECONDS_MAX = 10.0
TOKEN_CHARS_MAX = 512
CELLS_MAX = 500
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_FORM = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>opsconsole</title></head>
<body style="background:#121212;color:#e4e4e4;font-family:monospace;margin:4em">
<form method="post" action="login"><p>opsconsole: the token of an account of the hub</p>
<p><input type="password" name="token" autocomplete="off" autofocus size="48"> <button>open</button></p>
<p>{problem}</p></form></body></html>"""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who showed a token."""

    token: str
    until: float


class ConsoleServer(Server):
    """Pages, sessions, windows."""

    def __init__(
        self,
        *,
        hub: str,
        environment: Mapping[str, str],
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        is_behind_proxy: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.url = f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"
        """Where it is, once it listens."""
        super().__init__(_command(), host=host, port=port, title="opsconsole", public_url=self.url)
        self._hub = http_url(hub)
        self._environment = environment
        self._tls = tls
        self._is_behind_proxy = is_behind_proxy
        """Whether who speaks to us is a proxy that says how the browser spoke to it."""
        self._clock = clock or SystemClock()
        self._sessions: dict[str, Session] = {}
        self._windows = 0
        self._sockets: dict[str, set[web.WebSocketResponse]] = {}
        """Those of each session's windows."""
        self._logins = 0
        self._asking = asyncio.Semaphore(1)
        self._wrong = asyncio.Lock()

    async def application(self) -> web.Application:
        """What answers."""
        made: web.Application = await self._make_app()
        made.add_routes([web.post("/login", self._login), web.post("/logout", self._logout)])
        made.middlewares.append(self._guard)
        return made

    def run(self, say_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until interrupted; `say_ready` is called once it listens. Raises: OSError if it cannot."""
        web.run_app(
            self.application(), host=self.host, port=self.port, ssl_context=self._tls, print=lambda _: say_ready()
        )

    async def on_startup(self, app: web.Application) -> None:
        """Nothing to say here: the command line says it."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nothing but the form is for strangers; a socket is only for pages of this very place."""
        if request.path == "/login":
            return _sealed(await handler(request))
        if self._session(request) is None:
            if request.path == "/" and request.method == "GET":
                return _sealed(_form(""))
            raise web.HTTPUnauthorized(text="show a token first", headers=HEADERS)
        if request.path == "/ws":
            if not _is_own(request):
                raise web.HTTPForbidden(text="this page is not ours", headers=HEADERS)
            return await handler(request)
        return _sealed(await handler(request))

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page of the terminal, with the address that the browser itself uses for this place."""
        self.public_url = f"{self._scheme(request)}://{request.host}"
        page: web.StreamResponse = await super().handle_index(request)
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One window: a console process with the session's token, while the browser stays and the session lasts."""
        session = self._session(request)
        if session is None or self._windows >= WINDOWS_MAX:
            raise web.HTTPServiceUnavailable(text=f"at most {WINDOWS_MAX} windows", headers=HEADERS)
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=1_048_576)
        window = _Window(self, socket, {**self._environment, "OPSCONSOLE_TOKEN": session.token})
        key = request.cookies[COOKIE]
        self._windows += 1
        self._sockets.setdefault(key, set()).add(socket)
        try:
            with suppress(TimeoutError):
                await self._serve_window(request, session, socket, window)
        finally:
            self._windows -= 1
            self._forget_socket(key, socket)
            await _shut([socket])
            await window.stop()
        return socket

    async def _serve_window(
        self, request: web.Request, session: Session, socket: web.WebSocketResponse, window: AppService
    ) -> None:
        """Raises: TimeoutError once the session is over."""
        async with asyncio.timeout(max(0.0, session.until - self._clock.monotonic())):
            await socket.prepare(request)
            if self._session(request) is session:  # nobody has logged out meanwhile
                await window.start(_cells(request, "width", 80), _cells(request, "height", 24))
                await self._process_messages(socket, window)

    def _forget_socket(self, key: str, socket: web.WebSocketResponse) -> None:
        sockets = self._sockets.get(key, set())
        sockets.discard(socket)
        if not sockets:
            self._sockets.pop(key, None)

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        """As the library does it; what is not of its shape is left out instead of ending the window."""
        async for message in websocket:
            if message.type is WSMsgType.TEXT:
                await _pass_on(message.data, websocket, app_service)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        given = (await request.post()).get("token")
        token = given.strip()[:TOKEN_CHARS_MAX] if isinstance(given, str) else ""
        if self._logins > LOGINS_WAITING_MAX:
            return _form("too many people ask at once: try again in a few seconds", status=429)
        self._logins += 1
        try:
            problem = await self._answer_to(token)
        finally:
            self._logins -= 1
        if problem:
            return _form(problem, status=403)
        await self._forget_old()
        key = secrets.token_urlsafe(32)
        self._sessions[key] = Session(token, self._clock.monotonic() + SESSION_SECONDS)
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie(
            COOKIE,
            key,
            httponly=True,
            samesite="Strict",
            secure=self._scheme(request) == "https",
            max_age=int(SESSION_SECONDS),
            path="/",
        )
        return answer

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        await self._end(request.cookies.get(COOKIE, ""))
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.del_cookie(COOKIE)
        return answer

    async def _end(self, key: str) -> None:
        """End a session and its windows."""
        self._sessions.pop(key, None)
        await _shut(list(self._sockets.get(key, ())))

    async def _answer_to(self, token: str) -> str:
        """What is wrong with a token, at the pace of the brake; empty: nothing."""
        async with self._asking:
            problem = await self._problem_with(token)
        if problem:
            async with self._wrong:
                await asyncio.sleep(WRONG_SECONDS)
        return problem

    def _scheme(self, request: web.Request) -> str:
        """How the browser speaks to this place, or to the proxy in front of it."""
        told = request.headers.get("X-Forwarded-Proto", "") if self._is_behind_proxy else ""
        return told if told in ("http", "https") else request.url.scheme

    async def _problem_with(self, token: str) -> str:
        if not token or not token.isascii() or not token.isprintable():
            return "that is no token"
        try:
            async with httpx.AsyncClient(timeout=CHECK_SECONDS_MAX, trust_env=False) as client:
                answer = await client.get(self._hub + "/v1/info", headers={"Authorization": f"Bearer {token}"})
        except httpx.HTTPError:
            return "the hub does not answer"
        return "" if answer.status_code == 200 else "the hub does not accept that token for watching runs"

    def _session(self, request: web.Request) -> Session | None:
        found = self._sessions.get(request.cookies.get(COOKIE, ""))
        return found if found is not None and found.until > self._clock.monotonic() else None

    async def _forget_old(self) -> None:
        now = self._clock.monotonic()
        self._sessions = {key: one for key, one in self._sessions.items() if one.until > now}
        while len(self._sessions) >= SESSIONS_MAX:
            await self._end(next(iter(self._sessions)))


class _Window(AppService):
    """A console process; its token is given in its environment, where no list of processes shows it."""

    def __init__(self, server: ConsoleServer, socket: web.WebSocketResponse, environment: Mapping[str, str]) -> None:
        super().__init__(
            _command(),
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=_closing(socket),
            download_manager=server.download_manager,
        )
        self._own = environment

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        made: dict[str, str] = super()._build_environment(width, height)
        return {**made, **self._own, "TEXTUAL_FPS": "1000"}


async def _pass_on(data: str, socket: web.WebSocketResponse, window: AppService) -> None:
    match _envelope(data):
        case ["stdin", str(text)]:
            await window.send_bytes(text.encode())
        case ["resize", {"width": int(width), "height": int(height)}]:
            await window.set_terminal_size(_bounded(width), _bounded(height))
        case ["ping", ping]:
            await socket.send_json(["pong", ping])
        case ["blur"]:
            await window.blur()
        case ["focus"]:
            await window.focus()


def _closing(socket: web.WebSocketResponse) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        await socket.close()

    return close


async def _shut(sockets: list[web.WebSocketResponse]) -> None:
    await asyncio.gather(*(socket.close() for socket in sockets if socket.prepared))


def _envelope(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_own(request: web.Request) -> bool:
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host


def _form(problem: str, *, status: int = 200) -> web.Response:
    return web.Response(text=_FORM.format(problem=problem), content_type="text/html", status=status)


def _sealed(answer: web.StreamResponse) -> web.StreamResponse:
    answer.headers.update(HEADERS)
    return answer


def _cells(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return _bounded(int(text)) if text.isdecimal() and len(text) < 6 else default


def _bounded(cells: int) -> int:
    return max(1, min(CELLS_MAX, cells))


def _command() -> str:
    return shlex.join([sys.executable, "-P", "-m", "opsconsole.cli", "console"])
