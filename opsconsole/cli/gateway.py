"""`gateway`: runs an LLM gateway in the foreground from the settings; everything it does is opsconsole.gateway's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from opsconsole.cli.gateway_tokens import revoke_token, token
from opsconsole.cli.hub_file import at_running_hub, find_token
from opsconsole.config import Settings, load
from opsconsole.domain.command import Role
from opsconsole.errors import ConfigError
from opsconsole.gateway.providers import PROVIDERS
from opsconsole.gateway.serve import serve
from opsconsole.gateway.settings import GatewaySettings
from opsconsole.sdk.settings import agent_url

OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("--hub", "hub", {"metavar": "URL", "help": "The hub's address (OPSCONSOLE_HUB)."}),
    ("--token", "token", {"metavar": "TOKEN", "help": "A token of the role gateway (better: OPSCONSOLE_TOKEN)."}),
    ("--data-dir", "data_dir", {"metavar": "DIR", "help": "The data directory (OPSCONSOLE_DATA_DIR)."}),
    ("--host", "gateway.host", {"help": "Where to listen [127.0.0.1]."}),
    ("--port", "gateway.port", {"help": "Where to listen; 0 = any free port [8788]."}),
    ("--openai-url", "gateway.openai_url", {"metavar": "URL", "help": "Where OpenAI's API is asked."}),
    ("--anthropic-url", "gateway.anthropic_url", {"metavar": "URL", "help": "Where Anthropic's API is asked."}),
    ("--deny", "gateway.deny", {"help": "What a refused call becomes: reask, strip or stop [reask]."}),
    ("--config", "config", {"metavar": "FILE", "help": "The TOML file of settings (OPSCONSOLE_CONFIG)."}),
)
"""flag, the setting it gives, how click shows it."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = [click.option(flag, key.replace(".", "__"), **shown) for flag, key, shown in OPTIONS]
    return functools.reduce(lambda made, option: option(made), reversed(options), function)


@click.group(invoke_without_command=True)
@_options
@click.option("--any-port", is_flag=True, hidden=True, help="Another free port where this one is taken.")
@click.option("--ends-with-stdin", is_flag=True, hidden=True, help="End when standard input does.")
@click.pass_context
def gateway(context: click.Context, /, any_port: bool, ends_with_stdin: bool, **given: Any) -> int | None:
    """Run an LLM gateway in the foreground; SIGTERM or Ctrl-C ends it. With a command: make or revoke run tokens.

    An agent whose OPENAI_BASE_URL or ANTHROPIC_BASE_URL points here is seen, held, steered and stopped.
    `opsconsole hub` starts one by itself, and `opsconsole run` points agents at it.
    """
    outer = context.obj if isinstance(context.obj, dict) else {}
    flags = {**outer, **{name.replace("__", "."): value for name, value in given.items() if value is not None}}
    if context.invoked_subcommand is not None:
        context.obj = flags
        return None
    settings = at_running_hub(load(flags))
    return serve(gateway_settings(settings, any_port=any_port), ends_with_stdin=ends_with_stdin)


gateway.add_command(token)
gateway.add_command(revoke_token)


def gateway_settings(settings: Settings, *, any_port: bool = False) -> GatewaySettings:
    """What the gateway needs of the settings."""
    chosen = settings.gateway
    named = {"openai": chosen.openai_url, "anthropic": chosen.anthropic_url}
    held = {"openai": chosen.openai_key, "anthropic": chosen.anthropic_key}
    return GatewaySettings(
        hub=agent_url(settings.hub),
        token=lambda: _token(settings),
        data_dir=settings.data_dir,
        host=chosen.host,
        port=chosen.port,
        port_is_wish=any_port,
        upstreams={name: named[name] or provider.base for name, provider in PROVIDERS.items()},
        configured=frozenset(name for name, url in named.items() if url),
        keys={name: key for name, key in held.items() if key},
        deny=chosen.deny,
        keepalive_seconds=chosen.keepalive_seconds,
        patience_seconds=chosen.patience_seconds,
        grace_seconds=chosen.grace_seconds,
        idle_seconds=chosen.idle_seconds,
        share_seconds=chosen.share_seconds,
        fallbacks=chosen.fallbacks,
        provider_tools=chosen.provider_tools,
        clamp=chosen.clamp == "on",
        answer_tokens=chosen.answer_tokens,
        held_mib=chosen.held_mib,
        background=chosen.background,
        hub_lost=chosen.hub_lost,
        prices=settings.prices,
    )


def _token(settings: Settings) -> str | None:
    """The gateway's token, or None while there is none: a hub may write it after we start."""
    try:
        return find_token(settings, Role.GATEWAY)
    except ConfigError:
        return None
