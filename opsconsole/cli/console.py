"""`console`: opens the console on a hub, starting one on this machine where none answers; the console is elsewhere."""

from __future__ import annotations

import sys

import click

from opsconsole.cli import output
from opsconsole.cli.hub_file import at_running_hub, find_token
from opsconsole.cli.launch import ensure_hub
from opsconsole.cli.options import shared_options
from opsconsole.config import Settings
from opsconsole.console.keymap import keymap
from opsconsole.domain.command import Role


@click.command()
@shared_options
def console(settings: Settings) -> int:
    """Open the console; a hub is started first if none answers at a local address."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the console needs a terminal; `opsconsole runs`, `approvals`, ... do without one")
    started = ensure_hub(settings)
    if started is not None:
        output.note(f"no hub answered at {settings.hub}: started one (process {started.pid}, log {started.log})")
    return open_console(at_running_hub(settings))


def open_console(settings: Settings) -> int:
    """Runs the console until it is quit; its exit status. Raises: ConfigError for want of a token, or for its keys."""
    keymap(settings.console.keys)
    token = find_token(settings, Role.OPERATOR)
    from opsconsole.console.settings import ConsoleSettings  # textual is heavy: loaded only once a hub is there
    from opsconsole.console.start import run_console

    return run_console(
        ConsoleSettings(
            url=settings.hub,
            token=token,
            kill_key=settings.console.kill_key,
            no_mouse=not settings.console.mouse,
            ascii=settings.console.ascii,
            theme=settings.console.theme,
            keys=settings.console.keys,
            log_path=settings.data_dir / "logs" / "console.log",
        )
    )
