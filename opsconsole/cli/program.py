"""The program `opsconsole`: its commands by name, each loaded only when used, and errors turned into exit codes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any, NoReturn

import click

from opsconsole import __version__
from opsconsole.cli.exits import MEANINGS, Exit, exit_of
from opsconsole.errors import OpsconsoleError

COMMANDS: dict[str, tuple[str, str]] = {
    "console": ("console:console", "Open the console (what `opsconsole` alone does)."),
    "status": ("status:status", "Is the hub there, who am I, what is going on."),
    "runs": ("runs:runs", "List the runs."),
    "show": ("runs:show", "Show one run: its state, points, limits and timeline."),
    "approvals": ("approvals:approvals", "List the calls that wait for a decision."),
    "approve": ("approvals:approve", "Let one held call run exactly as it was shown."),
    "edit": ("approvals:edit", "Let one held call run with other arguments."),
    "reject": ("approvals:reject", "Refuse one held call; the agent reads the reason."),
    "respond": ("approvals:respond", "Answer one held call yourself, instead of the tool or the model."),
    "claim": ("claim:claim", "Say that you look at a held call, or who should."),
    "grants": ("grants:grants", "List, give and revoke standing grants."),
    "alerts": ("alerts:alerts", "List what detectors and breakers have found, and answer it."),
    "budget": ("budget:budget", "List the budgets that breakers keep, or set other caps."),
    "kill": ("control:kill", "Kill runs and wait for the proof."),
    "pause": ("control:pause", "Hold runs at their next step."),
    "resume": ("control:resume", "Let paused runs go on, with higher limits if given."),
    "freeze": ("control:freeze", "Stop the processes of a run where they are."),
    "thaw": ("control:thaw", "Let the processes of a frozen run go on."),
    "inject": ("control:inject", "Give a run a message from the operator."),
    "takeover": ("control:takeover", "Take a run over: you answer as its model."),
    "release": ("control:release", "Hand a taken-over run back."),
    "audit": ("audit:audit", "Read, verify, prove and export the record."),
    "digest": ("digest:digest", "Sum up the shift: kills, decisions, what is left, what it cost."),
    "note": ("notes:note", "Leave a note on a run."),
    "notes": ("notes:notes", "List the notes on runs."),
    "tokens": ("tokens:tokens", "Create, list and revoke tokens."),
    "limits": ("limits:limits", "Show which limit of a model's provider fills first, and when."),
    "keys": ("keys:keys", "Print the keys of the console, and check those of the settings."),
    "rehearse": ("rehearse:rehearse_command", "Replay recorded traffic at several times its rate: what breaks?"),
    "policy": ("backtest:policy", "Check a policy file, run its cases, ask it why, try it on the past."),
    "record": ("record:record", "Pin a run as a case that tests can replay."),
    "test": ("scenario_test:test", "Hold cases against a policy."),
    "backup": ("backup:backup", "Copy the hub's data while it runs."),
    "notify": ("notify:notify", "Tell people elsewhere what needs them."),
    "hub": ("hub:hub", "Run a hub in the foreground."),
    "gateway": ("gateway:gateway", "Run an LLM gateway in the foreground."),
    "run": ("run:run", "Run any command as a supervised agent."),
    "web": ("web:web", "Open the console in a browser, behind a token."),
    "demo": ("demo:demo", "Start a hub, demo agents and the console on them."),
}
"""name -> (module and attribute under opsconsole.cli, one line of help); the order is that of `--help`."""


class Program(click.Group):
    """A group whose commands are imported by name, so that `--help` costs no more than click itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"opsconsole.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = "opsconsole",
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Runs one command and exits with its status; a command's callback returns it, None being 0."""
        sys.exit(self._status(args, prog_name, complete_var, extra))

    def _status(
        self,
        args: Sequence[str] | None,
        prog_name: str | None,
        complete_var: str | None,
        extra: MutableMapping[str, Any],
    ) -> int:
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            return status if isinstance(status, int) else Exit.OK
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except click.Abort:
            click.echo("opsconsole: interrupted", err=True)
            return Exit.INTERRUPTED
        except OpsconsoleError as error:
            click.echo(f"opsconsole: {error}", err=True)
            return exit_of(error)


@click.group(
    cls=Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--hub", metavar="URL", help="The hub's address (OPSCONSOLE_HUB).")
@click.option("--token", metavar="TOKEN", help="The token to use (better: OPSCONSOLE_TOKEN).")
@click.option("--data-dir", metavar="DIR", help="The data directory (OPSCONSOLE_DATA_DIR).")
@click.option("--config", metavar="FILE", help="The TOML file of settings (OPSCONSOLE_CONFIG).")
@click.version_option(__version__, prog_name="opsconsole")
@click.pass_context
def program(
    context: click.Context, hub: str | None, token: str | None, data_dir: str | None, config: str | None
) -> int | None:
    """The console from which people on call run AI agents: watch, approve, kill with proof, take over, audit.

    Without a command it opens the console, and starts a hub if none answers at a local address.
    """
    context.obj = {"hub": hub, "token": token, "data_dir": data_dir, "config": config}
    if context.invoked_subcommand is not None:
        return None
    command = program.get_command(context, "console")
    assert command is not None
    status: int | None = context.invoke(command)
    return status


def main() -> NoReturn:
    """The entry point of the installed script."""
    program.main()
