"""`run`: any command as a supervised agent; it says where the hub is, the supervisor does the rest."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from opsconsole.cli.gateway_ask import ask_gateway
from opsconsole.cli.gateway_environment import LABEL, ThroughGateway, described, through_gateway, through_named
from opsconsole.cli.hub_file import find_token
from opsconsole.cli.options import shared_options
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.domain.ids import is_id, sealed_run_id
from opsconsole.domain.text import safe_line
from opsconsole.errors import CannotStart, ConfigError
from opsconsole.sdk.journal import journal_path
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.opening import RESUME
from opsconsole.sdk.settings import agent_url
from opsconsole.supervisor.foreground import status_of
from opsconsole.supervisor.ladder import LadderSettings
from opsconsole.supervisor.report import Description
from opsconsole.supervisor.supervise import Supervision, child_environment, own_run, supervise

LABELS_MAX = 32
AGENT_CHARS_MAX = 200


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--agent", help="The agent's name [from the command].")
@click.option("--name", help="What this run is about.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may be repeated.")
@click.option("--resume", metavar="RUN", help="Go on from the last checkpoint of this run, which was stopped.")
@click.option("--gateway", "gateway_url", metavar="URL", help="A gateway that is not beside it (OPSCONSOLE_GATEWAY).")
@click.option("--cwd", type=click.Path(file_okay=False, path_type=Path), help="Where to run it [here].")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@shared_options
def run(
    settings: Settings,
    agent: str | None,
    name: str | None,
    labels: tuple[str, ...],
    resume: str | None,
    cwd: Path | None,
    command: tuple[str, ...],
) -> int:
    """Run any command as a supervised agent: it can be seen, frozen and killed with proof.

    Where the hub has a gateway, OPENAI_BASE_URL, OPENAI_API_BASE and ANTHROPIC_BASE_URL lead through it: its turns are
    counted and its risky calls held; on a terminal, a line says so first. Its input, output and exit status are
    untouched. The hub need not be there: what happens is then reported later.
    """
    if resume is not None and not journal_path(settings.data_dir / "journal", resume).exists():
        raise ConfigError(f"{resume} left no journal on this machine: a run with a key keeps one, until it is resumed")
    key = secrets.token_urlsafe(32)
    run_id = sealed_run_id(new_id("run"), key)
    named = (agent or agent_name(command))[:AGENT_CHARS_MAX]
    gateway = _gateway(settings, run_id, named, key)
    description = Description(
        run=run_id,
        agent=named,
        name=name or " ".join(command)[:AGENT_CHARS_MAX],
        parent=_parent(),
        labels=_gateway_labels(gateway) | _labels(labels),
    )
    _quiet()
    if sys.stderr.isatty():
        click.echo(f"opsconsole: {described(gateway)}", err=True)
    elif gateway is not None and gateway.trouble:
        click.echo(f"opsconsole: {gateway.trouble}", err=True)
    try:
        supervision = _supervision(settings, command, cwd, description, key, gateway, resume)
        return asyncio.run(supervise(supervision, on_trouble=_tell))
    except CannotStart as error:
        click.echo(f"opsconsole: {error}", err=True)
        return status_of(error)
    except OSError as error:
        raise ConfigError(f"no journal can be kept in {settings.data_dir}: {error}") from None


def _gateway(settings: Settings, run_id: str, agent: str, key: str) -> ThroughGateway | None:
    """The way to the models: by the gateway that a setting names, else by the data directory's."""
    if settings.gateway.url is None:
        return through_gateway(os.environ, data_dir=settings.data_dir, hub=settings.hub, run=run_id, agent=agent)
    asked = ask_gateway(settings.gateway.url, run=run_id, key=key, token=_token(settings))
    return through_named(os.environ, asked, run=run_id, agent=agent)


def _supervision(
    settings: Settings,
    command: Sequence[str],
    cwd: Path | None,
    description: Description,
    key: str,
    gateway: ThroughGateway | None,
    resume: str | None,
) -> Supervision:
    token = _token(settings)
    inherited = {name: value for name, value in os.environ.items() if name != RESUME}
    outer = {**inherited, **(gateway.environment if gateway else {}), **({RESUME: resume} if resume else {})}
    environment = child_environment(
        outer, hub=settings.hub, token=token, run=description.run, data_dir=settings.data_dir
    )
    return Supervision(
        argv=command,
        environment=environment,
        cwd=cwd,
        description=description,
        key=key,
        url=agent_url(settings.hub),
        token=lambda: _token(settings),
        data_dir=settings.data_dir,
        ladder=LadderSettings(
            cooperative_ms=settings.kill.cooperative_ms,
            term_ms=settings.kill.term_ms,
            verify_ms=settings.kill.verify_ms,
        ),
    )


def _gateway_labels(gateway: ThroughGateway | None) -> dict[str, str]:
    """Says on the run which of its model calls nobody here sees."""
    return {LABEL: f"bypassed: {', '.join(gateway.bypassed)}"} if gateway and gateway.bypassed else {}


def agent_name(command: Sequence[str]) -> str:
    """A name for what a command runs: a script's or module's own, else the program's."""
    program = Path(command[0]).name
    if program.startswith("python") or program in ("uv", "node", "bash", "sh", "ruby"):
        rest = list(command[1:])
        if "-m" in rest[:-1]:
            return rest[rest.index("-m") + 1].rpartition(".")[2] or program
        script = next((word for word in rest if Path(word).suffix and not word.startswith("-")), None)
        if script is not None:
            return Path(script).stem
    return program or "agent"


def _labels(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [label.partition("=") for label in given]
    for label, (key, sign, _) in zip(given, pairs, strict=True):
        if not (key and sign):
            raise click.BadParameter(f"{label!r} is no label; accepted: KEY=VALUE")
    if len(pairs) > LABELS_MAX:
        raise click.BadParameter(f"{len(pairs)} labels; at most {LABELS_MAX}")
    return {key: value for key, _, value in pairs}


def _parent() -> str | None:
    outer = own_run()
    return outer if outer and is_id(outer) else None


def _token(settings: Settings) -> str | None:
    """The agent token, or None while there is none: a hub may write it after we start."""
    try:
        return find_token(settings, Role.AGENT)
    except ConfigError:
        return None


def _quiet() -> None:
    """Nothing of ours but `_tell` reaches the command's terminal."""
    log = logging.getLogger("opsconsole")
    log.addHandler(logging.NullHandler())
    log.propagate = False


def _tell(trouble: str) -> None:
    # The command's terminal may be in raw mode, where a line ends with both.
    end = "\r\n" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"opsconsole: {safe_line(trouble)}; the command goes on, and is reported later{end}")
    sys.stderr.flush()
