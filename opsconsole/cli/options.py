"""The options that commands share, and the settings made of them; it asks the hub nothing."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from opsconsole.cli.hub_file import at_running_hub
from opsconsole.config import Settings, load

Function = TypeVar("Function", bound=Callable[..., Any])

SHARED = ("hub", "token", "data_dir", "config")
OF_SOME = {"gateway_url": "gateway.url"}
"""Parameters of single commands that give a setting -> its key."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)\Z")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def duration(text: str) -> float:
    """Seconds from a number, or from a number with s, m, h, d or w."""
    found = _DURATION.match(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration; accepted: seconds, or a number with s, m, h, d or w")
    return float(found[1]) * _UNITS[found[2]]


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --hub, --token, --data-dir and --config; the function's first argument becomes the Settings."""

    @click.pass_context
    @functools.wraps(function)
    def with_settings(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in SHARED}
        given |= {key: kwargs.pop(name) for name, key in OF_SOME.items() if name in kwargs}
        return function(settings_from(context, given), *args, **kwargs)

    options = (
        click.option("--config", metavar="FILE", help="The TOML file of settings (OPSCONSOLE_CONFIG)."),
        click.option("--data-dir", metavar="DIR", help="The data directory (OPSCONSOLE_DATA_DIR)."),
        click.option("--token", metavar="TOKEN", help="The token to use (better: OPSCONSOLE_TOKEN)."),
        click.option("--hub", metavar="URL", help="The hub's address (OPSCONSOLE_HUB)."),
    )
    return functools.reduce(lambda made, option: option(made), options, with_settings)


def settings_from(context: click.Context, given: dict[str, Any]) -> Settings:
    """The settings of one command: its own flags before those given to `opsconsole` itself. Raises: ConfigError."""
    outer = context.obj if isinstance(context.obj, dict) else {}
    flags = {**outer, **{name: value for name, value in given.items() if value is not None}}
    return at_running_hub(load(flags))


def json_option(function: Function) -> Function:
    """Adds --json as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)
