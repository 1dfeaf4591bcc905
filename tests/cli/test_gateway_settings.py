"""What a person sets for the gateway reaches it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from opsconsole.cli.gateway import gateway_settings
from opsconsole.config import load
from opsconsole.gateway.options import GatewayOptions, fallbacks

OTHERS_MATTER = {"url": "clients look for it there", "enabled": "the hub starts one or not"}
"""Options that are not the gateway process's own, and whose."""
OTHER: dict[str, Any] = {
    "openai_url": "https://elsewhere.example/v1",
    "anthropic_url": "https://elsewhere.example",
    "openai_key": "sk-other",
    "anthropic_key": "sk-other",
    "host": "127.0.0.2",
    "deny": "stop",
    "provider_tools": "ask",
    "clamp": "off",
    "hub_lost": "wait",
    "background": True,
    "fallbacks": fallbacks(["openai/gpt-4o=gpt-4o-mini"]),
}
"""A value that is not the default; numbers are one more."""


def settings(options: GatewayOptions) -> dict[str, Any]:
    """What the process would be started with, but for functions, which are never equal."""
    made = gateway_settings(replace(load({}, {"OPSCONSOLE_CONFIG": ""}), gateway=options))
    return {one.name: getattr(made, one.name) for one in fields(made) if one.name != "token"}


@pytest.mark.parametrize("name", sorted({one.name for one in fields(GatewayOptions)} - OTHERS_MATTER.keys()))
def test_every_setting_of_the_gateway_reaches_it(name: str) -> None:
    default = GatewayOptions()
    other = OTHER[name] if name in OTHER else getattr(default, name) + 1
    assert settings(replace(default, **{name: other})) != settings(default)
