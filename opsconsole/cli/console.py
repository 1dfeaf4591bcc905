"""`console`: opens the console on a hub, starting one on this machine where none answers; the console is elsewhere."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.hub_file import at_running_hub, find_token
from opsconsole.cli.launch import ensure_hub
from opsconsole.cli.options import shared_options
from opsconsole.config import Settings
from opsconsole.console.keymap import keymap
from opsconsole.console.surroundings import is_in_browser
from opsconsole.console.witness import Witness
from opsconsole.domain.command import Role


@click.command()
@shared_options
def console(settings: Settings) -> int:
    """Open the console; a hub is started first if none answers at a local address."""
    if not (is_in_browser(os.environ) or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise click.UsageError("the console needs a terminal; `opsconsole runs`, `approvals`, ... do without one")
    started = ensure_hub(settings)
    if started is not None:
        output.note(f"no hub answered at {settings.hub}: started one (process {started.pid}, log {started.log})")
    return open_console(at_running_hub(settings))


def open_console(settings: Settings) -> int:
    """Runs the console until it is quit; its exit status. Raises: ConfigError for want of a token, or for its keys."""
    keymap(settings.console.keys)
    token = find_token(settings, Role.OPERATOR)
    gc.disable()  # what is imported stays: looking it over costs the first paint; from then on the console sees to it
    from opsconsole.console.settings import ConsoleSettings  # textual is heavy: loaded only once a hub is there
    from opsconsole.console.start import run_console

    log_path = settings.data_dir / "logs" / "console.log"
    witness = remembering(None if is_in_browser(os.environ) else settings.data_dir)
    return run_console(
        ConsoleSettings(url=settings.hub, token=token, log_path=log_path, witness=witness, **looks(settings))
    )


def remembering(directory: Path | None) -> Callable[[str], Witness]:
    """What makes the memory of a hub's signed heads, in this directory; None: for as long as the process lives."""

    def make(hub: str) -> Witness:
        from opsconsole.cli.audit_pins import PINS_FILE, AuditWitness, Pins  # loads the checking of signatures

        return AuditWitness(Pins(None if directory is None else directory / PINS_FILE), hub)

    return make


def looks(settings: Settings) -> dict[str, Any]:
    """What the settings say of the console, whatever hub it is opened on."""
    chosen = settings.console
    return {
        "kill_key": chosen.kill_key,
        "no_mouse": not chosen.mouse,
        "ascii": chosen.ascii,
        "theme": chosen.theme,
        "keys": chosen.keys,
        "previews": chosen.previews,
        "notify": chosen.notify,
        "quiet": settings.notify.quiet.hold if settings.notify.quiet else no_quiet_hours,
    }


def no_quiet_hours(_minute: int) -> bool:
    """Nobody asked for any."""
    return False
