"""The console in a browser: a token first, then a window; nothing for strangers."""

from __future__ import annotations

import asyncio
import shlex
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pyte
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

pytest.importorskip("textual_serve")

from aiohttp import web
from click.testing import CliRunner

from opsconsole.cli.program import program
from opsconsole.cli.web import PORT
from opsconsole.cli.web import web as web_command
from opsconsole.config.settings import DEFAULT_PORT
from opsconsole.console import sample
from opsconsole.console.web import COOKIE, LOGINS_WAITING_MAX, SESSION_SECONDS, ConsoleServer, Handler
from opsconsole.gateway.options import GatewayOptions
from tests.console.fake_hub import TOKEN, FakeHub, fake_hub
from tests.console.support import FakeClock
from tests.support.hub import held_port

PATIENCE_SECONDS = 60.0
"""How long anything may take on a machine that does much else."""


class Window:
    """What a browser makes of the bytes that come."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.screen = pyte.Screen(100, 30)
        self.stream = pyte.ByteStream(self.screen)

    async def until(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while text not in "\n".join(self.screen.display):
                data = await self.socket.recv()
                if isinstance(data, bytes):
                    self.stream.feed(data)


@asynccontextmanager
async def served(
    hub: FakeHub, data_dir: Path, *, accounts_say: Handler | None = None, **options: Any
) -> AsyncIterator[str]:
    """The server on a free port of loopback, its address."""
    info = web.Application()
    info.add_routes([web.get("/v1/info", accounts_say or _info)])
    accounts = await _listen(info)
    environment = {"OPSCONSOLE_HUB": hub.url, "OPSCONSOLE_DATA_DIR": str(data_dir), "PYTHONUTF8": "1"}
    server = ConsoleServer(hub=accounts[1], environment=environment, host="127.0.0.1", port=1, **options)
    runner, address = await _listen(await server.application())
    try:
        yield address
    finally:
        await runner.cleanup()
        await accounts[0].cleanup()


async def _info(request: web.Request) -> web.Response:
    return web.json_response({}, status=200 if request.headers["Authorization"] == f"Bearer {TOKEN}" else 401)


async def _listen(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, shutdown_timeout=30.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def browser_at(address: str, **options: Any) -> httpx.AsyncClient:
    """A browser that waits for a busy machine."""
    return httpx.AsyncClient(base_url=address, timeout=PATIENCE_SECONDS, **options)


def browser_socket(address: str, key: str, *, origin: str | None = None) -> connect:
    """A browser's socket, which pages of `origin` opened."""
    place = address.replace("http", "ws") + "/ws?width=100&height=30"
    return connect(
        place,
        origin=origin or address,  # type: ignore[arg-type]
        additional_headers={"Cookie": f"{COOKIE}={key}"} if key else {},
        max_size=None,
        open_timeout=PATIENCE_SECONDS,
    )


@pytest.fixture
def idle_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of each console a process that shows nothing and ends when it is told anything."""
    command = shlex.join([sys.executable, "-S", "-c", "import os; os.read(0, 1)"])
    monkeypatch.setattr("opsconsole.console.web._command", lambda: command)


async def logged_in(browser: httpx.AsyncClient) -> str:
    answer = await browser.post("/login", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    return answer.cookies[COOKIE]


@pytest.mark.process
async def test_a_stranger_gets_the_form_and_nothing_else(tmp_path: Path) -> None:
    async with fake_hub() as hub, served(hub, tmp_path) as address, browser_at(address) as browser:
        form = await browser.get("/")
        assert ('name="token"' in form.text, "textual" in form.text) == (True, False)
        assert "frame-ancestors 'none'" in form.headers["Content-Security-Policy"]
        assert [(await browser.get(path)).status_code for path in ("/static/js/textual.js", "/download/x")] == [
            401,
            401,
        ]
        with pytest.raises(InvalidStatus, match="401"):
            await browser_socket(address, "").__aenter__()


@pytest.mark.process
async def test_a_wrong_token_opens_nothing(tmp_path: Path) -> None:
    async with fake_hub() as hub, served(hub, tmp_path) as address, browser_at(address) as browser:
        answer = await browser.post("/login", data={"token": "ops_wrong"})
        assert (answer.status_code, "does not accept" in answer.text, answer.cookies.get(COOKIE)) == (403, True, None)


@pytest.mark.process
async def test_a_token_opens_a_session_that_scripts_and_other_sites_cannot_use(tmp_path: Path) -> None:
    async with fake_hub() as hub, served(hub, tmp_path) as address, browser_at(address) as browser:
        answer = await browser.post("/login", data={"token": TOKEN})
        kept = answer.headers["Set-Cookie"]
        assert all(word in kept for word in ("HttpOnly", "SameSite=Strict"))
        assert TOKEN not in kept
        page = await browser.get("/")
        assert (page.status_code, TOKEN in page.text, 'class="textual-terminal"' in page.text) == (200, False, True)
        key = answer.cookies[COOKIE]
        with pytest.raises(InvalidStatus, match="403"):
            await browser_socket(address, key, origin="http://elsewhere.example").__aenter__()


@pytest.mark.process
async def test_a_window_shows_the_fleet_and_takes_keys(tmp_path: Path) -> None:
    async with fake_hub() as hub, served(hub, tmp_path) as address, browser_at(address) as browser:
        hub.rows["board"] = {row["key"]: row for row in sample.runs()}
        key = await logged_in(browser)
        async with browser_socket(address, key) as socket:
            window = Window(socket)
            await window.until("13 runs")
            await socket.send("no envelope")
            await socket.send('["stdin", "?"]')
            await window.until("Move down.")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_an_address_that_others_reach_wants_tls(host: str) -> None:
    result = CliRunner().invoke(web_command, ["--host", host])
    assert (result.exit_code, "must not travel in the clear" in result.output) == (2, True)


def test_a_port_that_is_taken_is_one_line_and_no_address_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(program, ["--data-dir", str(tmp_path), "web", "--port", str(port)])
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert result.stderr.startswith(f"opsconsole: cannot listen at http://127.0.0.1:{port}: ")


def test_the_address_is_told_once_it_listens(tmp_path: Path) -> None:
    answered = []

    def reach() -> None:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS).close()
        answered.append(server.url)
        raise web.GracefulExit

    with held_port() as port:
        server = ConsoleServer(hub="http://127.0.0.1:1", environment={}, host="127.0.0.1", port=port)
        server.run(reach)
    assert answered == [f"http://127.0.0.1:{port}"]


def test_an_address_of_six_is_written_as_browsers_read_it() -> None:
    assert ConsoleServer(hub="http://127.0.0.1:1", environment={}, host="::1", port=9).url == "http://[::1]:9"


def test_hub_gateway_and_web_have_ports_of_their_own() -> None:
    assert len({DEFAULT_PORT, GatewayOptions().port, PORT}) == 3


@pytest.mark.process
@pytest.mark.usefixtures("idle_windows")
async def test_a_window_ends_when_its_session_is_logged_out_and_no_other_does(tmp_path: Path) -> None:
    async with fake_hub() as hub, served(hub, tmp_path) as address, browser_at(address) as browser:
        stays, goes = await logged_in(browser), await logged_in(browser)
        async with browser_socket(address, stays) as kept, browser_socket(address, goes) as closed:
            await browser.post("/logout", headers={"Cookie": f"{COOKIE}={goes}"})
            async with asyncio.timeout(PATIENCE_SECONDS):
                await closed.wait_closed()
            await kept.send('["ping", 7]')
            assert await kept.recv() == '["pong", 7]'


@pytest.mark.process
@pytest.mark.usefixtures("idle_windows")
async def test_a_window_ends_when_the_time_of_its_session_is_over(tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        fake_hub() as hub,
        served(hub, tmp_path, clock=clock) as address,
        browser_at(address) as browser,
    ):
        key = await logged_in(browser)
        clock.now += SESSION_SECONDS - 0.5
        async with browser_socket(address, key) as socket, asyncio.timeout(PATIENCE_SECONDS):
            await socket.wait_closed()


@pytest.mark.process
@pytest.mark.usefixtures("idle_windows")
async def test_a_window_counts_from_before_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.console.web.WINDOWS_MAX", 1)
    coming, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(server: ConsoleServer) -> web.Application:
        made = await application(server)
        made.on_response_prepare.append(wait)
        return made

    async def wait(_request: web.Request, answer: web.StreamResponse) -> None:
        if isinstance(answer, web.WebSocketResponse):
            coming.set()
            await go_on.wait()

    application = ConsoleServer.application
    monkeypatch.setattr(ConsoleServer, "application", slowly)
    async with fake_hub() as hub, served(hub, tmp_path) as address, browser_at(address) as browser:
        key = await logged_in(browser)
        first = asyncio.create_task(browser_socket(address, key).__aenter__())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await coming.wait()
            with pytest.raises(InvalidStatus, match="503"):
                await browser_socket(address, key).__aenter__()
            go_on.set()
            await (await first).close()


@pytest.mark.process
async def test_the_hub_is_asked_about_one_token_at_a_time_and_not_about_too_many(tmp_path: Path) -> None:
    go_on, under_way, most = asyncio.Event(), 0, 0

    async def slow(request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go_on.wait()
        under_way -= 1
        return await _info(request)

    async with (
        fake_hub() as hub,
        served(hub, tmp_path, accounts_say=slow) as address,
        browser_at(address) as browser,
    ):
        asked = [
            asyncio.create_task(browser.post("/login", data={"token": TOKEN})) for _ in range(LOGINS_WAITING_MAX + 2)
        ]
        [early], others = await asyncio.wait(asked, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        assert early.result().status_code == 429
        go_on.set()
        assert {answer.status_code for answer in await asyncio.gather(*others)} == {303}
        assert most == 1


@pytest.mark.process
@pytest.mark.parametrize(
    ("is_behind_proxy", "told", "is_secure"),
    [(True, "https", True), (True, "http", False), (True, "gopher", False), (False, "https", False)],
)
async def test_only_a_proxy_in_front_is_believed_that_the_browser_speaks_tls(
    tmp_path: Path, is_behind_proxy: bool, told: str, is_secure: bool
) -> None:
    async with (
        fake_hub() as hub,
        served(hub, tmp_path, is_behind_proxy=is_behind_proxy) as address,
        browser_at(address, headers={"X-Forwarded-Proto": told}) as browser,
    ):
        answer = await browser.post("/login", data={"token": TOKEN})
        page = await browser.get("/", headers={"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}"})
        assert ("Secure" in answer.headers["Set-Cookie"], "wss://" in page.text) == (is_secure, is_secure)
