"""What the demo's processes are given: they reach this demo's hub and nothing of the user's."""

from __future__ import annotations

from pathlib import Path

from opsconsole.demo.surroundings import Places, environment

PLACES = Places(base=Path("/base"), data=Path("/data"))


def test_the_users_hub_keys_and_proxies_stay_outside() -> None:
    outer = {
        "PATH": "/bin",
        "OPSCONSOLE_HUB": "https://production",
        "OPSCONSOLE_TOKEN": "theirs",
        "OPENAI_API_KEY": "theirs",
        "https_proxy": "http://proxy",
        "HTTP_PROXY": "http://proxy",
    }
    assert environment(outer, PLACES) == {
        "PATH": "/bin",
        "OPSCONSOLE_CONFIG": "/base/opsconsole.toml",
        "OPSCONSOLE_DATA_DIR": "/data",
        "OPSCONSOLE_DEMO_DIR": "/base/shop",
        "OPENAI_API_KEY": "demo",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def test_the_mark_of_an_outer_supervisor_and_the_pace_pass() -> None:
    outer = {"OPSCONSOLE_TREE": "abc", "OPSCONSOLE_DEMO_PACE": "0"}
    assert environment(outer, PLACES).items() >= outer.items()
