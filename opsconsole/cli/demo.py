"""`demo`: a hub, demo agents and the console on them, all on this machine; what they do is opsconsole.demo's."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from opsconsole.cli.console import looks, remembering
from opsconsole.config import load
from opsconsole.console.keymap import keymap
from opsconsole.demo.launch import run_demo


@click.command()
@click.option("--port", default=0, type=click.IntRange(0, 65_535), help="The hub's port [any free one].")
@click.option("--no-console", is_flag=True, help="Only start everything, and say where to connect.")
@click.option("--keep", is_flag=True, help="Keep the data directory afterwards.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Where [a new temporary directory].")
@click.pass_context
def demo(context: click.Context, port: int, no_console: bool, keep: bool, data_dir: Path | None) -> int:
    """Start a hub, demo agents and the console on them; no key and no network is needed."""
    console = not no_console
    if console and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the console needs a terminal; give --no-console")
    outer = context.obj if isinstance(context.obj, dict) else {}
    chosen = load({"config": outer.get("config")}) if console else None
    if chosen is not None:
        keymap(chosen.console.keys)
    shown = {**looks(chosen), "witness": remembering(None)} if chosen else {}
    return run_demo(data_dir=data_dir, port=port, console=console, keep=keep, chosen=shown)
