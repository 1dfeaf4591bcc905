"""What `run` tells a command about the gateway, and what it says of that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from opsconsole.cli.gateway_environment import ThroughGateway, described, through_gateway
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
