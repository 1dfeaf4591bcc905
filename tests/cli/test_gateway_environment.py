"""What `run` tells a command about the gateway, and what it says of that."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from opsconsole.cli.gateway_ask import Asked, ask_gateway
from opsconsole.cli.gateway_environment import ThroughGateway, described, through_gateway, through_named
from opsconsole.config import load
from opsconsole.errors import ConfigError
from opsconsole.gateway.gateway_file import GatewayFile, write_gateway_file
from opsconsole.gateway.keys import secret_of
from opsconsole.sdk.settings import hub_name

HUB = "http://127.0.0.1:8787"


def through(data_dir: Path, environ: Mapping[str, str], *, held: tuple[str, ...] = ()) -> ThroughGateway | None:
    file = GatewayFile(
        url="http://127.0.0.1:8788",
        pid=os.getpid(),
        hub=hub_name(HUB),
        upstreams={},
        configured=(),
        held=held,
    )
    write_gateway_file(data_dir, file)
    return through_gateway(environ, data_dir=data_dir, hub=HUB, run="run_1", agent="sre")


def test_the_base_urls_name_run_and_agent(tmp_path: Path) -> None:
    found = through(tmp_path, {})
    assert found is not None
    assert found.environment["OPENAI_BASE_URL"] == "http://127.0.0.1:8788/r/run_1/sre/openai/v1"
    assert found.environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8788/r/run_1/sre/anthropic"


def test_what_was_set_is_said_on_one_line(tmp_path: Path) -> None:
    assert described(through(tmp_path, {})) == (
        "model calls go through the gateway (OPENAI_BASE_URL, OPENAI_API_BASE, ANTHROPIC_BASE_URL)"
    )


def test_what_was_left_alone_is_said_too(tmp_path: Path) -> None:
    said = described(through(tmp_path, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}))
    assert said.endswith("(ANTHROPIC_BASE_URL); left alone, because it points elsewhere: openai")


def test_a_run_token_is_named_and_not_shown(tmp_path: Path) -> None:
    secret_of(tmp_path)
    found = through(tmp_path, {}, held=("openai",))
    assert found is not None
    assert found.environment["OPENAI_API_KEY"] not in described(found)
    assert "a run token stands in for the key (OPSCONSOLE_RUN_TOKEN, OPENAI_API_KEY)" in described(found)


@pytest.mark.parametrize("hub", ["http://127.0.0.1:9", HUB])
def test_without_a_gateway_of_this_hub_it_is_said_that_nothing_is_held(tmp_path: Path, hub: str) -> None:
    found = through_gateway({}, data_dir=tmp_path, hub=hub, run="run_1", agent="sre")
    assert (found, "neither counted nor held" in described(found)) == (None, True)


def asked(**told: object) -> Asked:
    place = GatewayFile(url="https://gateway.example", pid=0, hub="", upstreams={}, configured=(), held=("openai",))
    return Asked(place=place, **told)  # type: ignore[arg-type]


def test_a_gateway_that_a_setting_names_is_where_model_calls_go() -> None:
    found = through_named({"OPENAI_API_KEY": "sk-own"}, asked(token="opsrun-1"), run="run_1", agent="sre")
    assert found.environment == {
        "OPSCONSOLE_GATEWAY": "https://gateway.example",
        "OPSCONSOLE_RUN_TOKEN": "opsrun-1",
        "OPENAI_API_KEY": "opsrun-1",
        "OPENAI_BASE_URL": "https://gateway.example/r/run_1/sre/openai/v1",
        "OPENAI_API_BASE": "https://gateway.example/r/run_1/sre/openai/v1",
        "ANTHROPIC_BASE_URL": "https://gateway.example/r/run_1/sre/anthropic",
    }


def test_a_gateway_that_gives_no_token_is_where_model_calls_go_all_the_same() -> None:
    found = through_named({}, asked(trouble="the gateway is away"), run="run_1", agent="sre")
    assert "OPENAI_API_KEY" not in found.environment
    assert found.environment["OPENAI_BASE_URL"].startswith("https://gateway.example/r/run_1/")
    assert described(found).endswith("; the gateway is away")


def test_the_gateway_s_address_is_a_setting() -> None:
    assert load({}, {"OPSCONSOLE_GATEWAY": "http://127.0.0.1:8788/"}).gateway.url == "http://127.0.0.1:8788"
    with pytest.raises(ConfigError, match=r"gateway\.url from OPSCONSOLE_GATEWAY"):
        load({}, {"OPSCONSOLE_GATEWAY": "8788"})


class Gateway(BaseHTTPRequestHandler):
    """Answers with what a test put there, in order."""

    answers: ClassVar[list[tuple[int, bytes]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status, body = self.answers.pop(0)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def gateway() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


BUSY = (503, b'{"error": {"code": "hub_lost", "message": "ask again"}}')


def says(gateway: str, *answers: tuple[int, bytes]) -> Asked:
    Gateway.answers[:] = answers
    return ask_gateway(gateway, run="run_1.x", key="key", token="ops_agent", sleep=lambda _: None)


def test_a_gateway_that_says_to_come_again_is_asked_again(gateway: str) -> None:
    found = says(gateway, BUSY, BUSY, (200, b'{"token": "opsrun-1", "held": ["openai"]}'))
    assert (found.token, found.place.held, found.trouble) == ("opsrun-1", ("openai",), "")


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([BUSY] * 4, "503, ask again"),
        ([(401, b'{"error": {"message": "no\\u001b[2J"}}')], "401, no"),
        ([(404, b"<html>")], "404, it does not answer like a gateway"),
        ([(200, b"[]")], "it does not answer like a gateway"),
        ([(200, b"{")], "Expecting"),
        ([(302, b"")], "302"),
    ],
)
def test_why_a_gateway_gave_no_token_is_said_in_words(gateway: str, answers: list[tuple[int, bytes]], why: str) -> None:
    found = says(gateway, *answers)
    assert (found.token, found.place.url) == ("", gateway)
    assert f"the gateway at {gateway} gives no run token: {why}" in found.trouble
    assert "\x1b" not in found.trouble
