"""`hub`: runs a hub in the foreground from the settings; everything it does is opsconsole.hub's."""

from __future__ import annotations

import functools
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.gateway_child import GatewayChild
from opsconsole.config import Settings, load
from opsconsole.hub.serve import serve
from opsconsole.hub.settings import HubSettings

OTHERS = stat.S_IRWXG | stat.S_IRWXO
OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("--host", "server.host", {"help": "Where to listen [127.0.0.1]."}),
    ("--port", "server.port", {"help": "Where to listen; 0 = any free port [8787]."}),
    ("--data-dir", "data_dir", {"help": "The data directory (OPSCONSOLE_DATA_DIR)."}),
    (
        "--policy",
        "policy",
        {"metavar": "FILE", "help": "The policy file (OPSCONSOLE_POLICY); taken up when it changes."},
    ),
    ("--tls-cert", "server.tls_cert", {"metavar": "PEM", "help": "The certificate; with --tls-key."}),
    ("--tls-key", "server.tls_key", {"metavar": "PEM", "help": "Its key."}),
    ("--checkpoint-copy", "server.checkpoint_copy", {"metavar": "FILE", "help": "A second file for the checkpoint."}),
    ("--events-days", "server.events_days", {"help": "Days that events are kept [30]."}),
    ("--config", "config", {"metavar": "FILE", "help": "The TOML file of settings (OPSCONSOLE_CONFIG)."}),
)
"""flag, the setting it gives, how click shows it."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = [click.option(flag, _name(key), **shown) for flag, key, shown in OPTIONS]
    return functools.reduce(lambda made, option: option(made), reversed(options), function)


def _name(key: str) -> str:
    return key.replace(".", "__")


@click.command()
@_options
@click.option("--insecure-bind", is_flag=True, default=None, help="Listen beyond loopback without TLS all the same.")
@click.option("--gateway/--no-gateway", "gateway", default=None, help="Start an LLM gateway beside it [yes].")
@click.option("--allow-origin", "allowed_origins", multiple=True, metavar="ORIGIN", help="A web page's origin; repeat.")
@click.pass_context
def hub(
    context: click.Context,
    /,
    insecure_bind: bool | None,
    gateway: bool | None,
    allowed_origins: tuple[str, ...],
    **given: Any,
) -> int:
    """Run a hub in the foreground, and an LLM gateway beside it; SIGTERM or Ctrl-C ends both."""
    outer = context.obj if isinstance(context.obj, dict) else {}
    flags = {**outer, **{name.replace("__", "."): value for name, value in given.items() if value is not None}}
    flags["server.insecure_bind"] = insecure_bind
    flags["server.allowed_origins"] = list(allowed_origins) or None
    flags["gateway.enabled"] = gateway
    settings = load(flags)
    _warn_of_others(settings.data_dir)
    if not settings.gateway.enabled:
        return serve(hub_settings(settings))
    with GatewayChild(settings, flags.get("config")):
        return serve(hub_settings(settings))


def _warn_of_others(data_dir: Path) -> None:
    """One line where other users may look into the directory; the files that the hub keeps there are closed to them."""
    try:
        mode = data_dir.stat().st_mode
    except OSError:
        return  # it is made, for its owner alone, or the hub says what is wrong
    if stat.S_ISDIR(mode) and mode & OTHERS:
        close = f"chmod 700 {shlex.quote(str(data_dir))}"
        output.note(f"{data_dir} is open to other users ({stat.filemode(mode)}): {close}")


def hub_settings(settings: Settings) -> HubSettings:
    """What the hub needs of the settings."""
    server, limits = settings.server, settings.limits
    return HubSettings(
        host=server.host,
        port=server.port,
        data_dir=settings.data_dir,
        policy=settings.policy,
        tls_cert=server.tls_cert,
        tls_key=server.tls_key,
        insecure_bind=server.insecure_bind,
        allowed_origins=server.allowed_origins,
        checkpoint_copy=server.checkpoint_copy,
        events_days=server.events_days,
        decoys_per_day=server.decoys_per_day,
        cost_usd=limits.cost_usd,
        turns=limits.turns,
        tokens=limits.tokens,
        approval_ttl_seconds=limits.approval_ttl_seconds,
        prices=settings.prices,
    )
