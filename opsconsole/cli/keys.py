"""`keys`: the keys of the console as the settings make them, or why they cannot stand; it opens no console."""

from __future__ import annotations

import click

from opsconsole.cli import output
from opsconsole.cli.options import json_option
from opsconsole.config import load
from opsconsole.console.actions import EVERYWHERE
from opsconsole.console.keymap import keymap

HEADERS = ("ACT", "KEYS", "IN", "DOES")
_WIDE = {EVERYWHERE: "everywhere", EVERYWHERE - {"draft"}: "everywhere but in a draft"}


@click.command()
@json_option
@click.option("--config", metavar="FILE", help="The TOML file of settings (OPSCONSOLE_CONFIG).")
@click.pass_context
def keys(context: click.Context, as_json: bool, config: str | None) -> None:
    """Print the keys of the console, and check those of the settings file."""
    outer = context.obj if isinstance(context.obj, dict) else {}
    settings = load({**outer, **({"config": config} if config else {})})
    made = keymap(settings.console.keys)
    if as_json:
        output.echo_json([{"act": one.id, "keys": list(one.keys), "views": sorted(one.views)} for one in made.actions])
        return
    rows = [
        [
            one.id,
            one.key_text,
            _WIDE.get(one.views, " ".join(sorted(one.views))),
            one.help,
        ]
        for one in made.actions
    ]
    output.echo(output.table(HEADERS, rows))
    changed = len(settings.console.keys)
    output.note(f"{changed} of them by {settings.source['keys']}" if changed else "all of them are the defaults")
