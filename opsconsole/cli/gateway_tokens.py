"""`gateway token` and `gateway revoke`: run tokens for agents that nobody supervises, made beside the gateway."""

from __future__ import annotations

import time

import click
from ulid import ULID

from opsconsole.cli import output
from opsconsole.cli.client import HubClient
from opsconsole.cli.hub_file import find_token
from opsconsole.cli.options import duration, json_option, shared_options
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.domain.ids import is_id
from opsconsole.errors import ConfigError, OpsconsoleError
from opsconsole.gateway.attribution import AGENT_CHARS_MAX
from opsconsole.gateway.keys import secret_of
from opsconsole.gateway.revoked import revoke
from opsconsole.gateway.run_tokens import SECRET_FILE, Issued, issued_token


@click.command()
@click.option("--agent", metavar="NAME", help="The agent it is for; each of its conversations is a run.")
@click.option("--run", "run_id", metavar="RUN", help="The one run it is good for, by a name of your choice.")
@click.option("--expires", type=duration, metavar="TIME", help="Valid for so long, e.g. 12h or 30d [for ever].")
@json_option
@shared_options
def token(settings: Settings, agent: str | None, run_id: str | None, expires: float | None, as_json: bool) -> None:
    """Make a run token for an agent that nobody supervises; it is shown this once.

    The agent shows it in place of its provider's key. Needs the gateway's data directory, whose secret signs it.
    """
    if not (agent or run_id):
        raise click.UsageError("say for whom: --agent NAME or --run RUN, or both")
    if run_id is not None and not is_id(run_id):
        raise click.BadParameter(f"{run_id!r} is no run; accepted: 1 to 128 of letters, digits and _.:-")
    if expires is not None and expires <= 0:
        raise click.BadParameter("--expires is a time above 0; leave it out for a token without an end")
    until = time.time() + expires if expires else 0.0
    issued = Issued(id=f"rt_{ULID()}", agent=(agent or "")[:AGENT_CHARS_MAX], run=run_id or "", until=until)
    text = issued_token(_secret(settings), issued)
    _record(settings, id=issued.id, agent=issued.agent, run=run_id, expires_at=until or None)
    if as_json:
        output.echo_json({"id": issued.id, "agent": agent, "run": run_id, "expires_at": until or None, "token": text})
        return
    whom = [f"for {output.cell(agent)}"] * bool(agent) + [f"for the run {run_id}"] * bool(run_id)
    output.note(
        f"run token {issued.id} {' '.join(whom)}; it is not shown again, and ends with: gateway revoke {issued.id}"
    )
    output.echo(text)


@click.command("revoke")
@click.argument("token_id", metavar="ID")
@json_option
@shared_options
def revoke_token(settings: Settings, token_id: str, as_json: bool) -> None:
    """Revoke a run token by its id: its next request is refused."""
    if not (is_id(token_id) and token_id.startswith("rt_")):
        raise click.BadParameter("it is no run token's id; accepted: rt_ and what follows it, not the token itself")
    _secret(settings)
    revoke(settings.data_dir, token_id)
    _record(settings, id=token_id, revoked=True)
    output.echo_json({"id": token_id, "revoked": True}) if as_json else output.echo(f"revoked {token_id}")


def _secret(settings: Settings) -> bytes:
    """The secret of the gateway whose data directory this is; none is made here, for it would be nobody's."""
    try:
        if not (settings.data_dir / SECRET_FILE).exists():
            raise ConfigError(f"there is no {SECRET_FILE} in {settings.data_dir}: give the gateway's --data-dir")
        return secret_of(settings.data_dir)
    except OSError as error:
        raise ConfigError(
            f"the gateway's secret in {settings.data_dir} cannot be read: {error.strerror or error}"
        ) from None


def _record(settings: Settings, **told: object) -> None:
    """Puts it into the hub's audit, if the hub is there and knows this gateway; else says that it is not on record."""
    try:
        with HubClient(settings.hub, find_token(settings, Role.GATEWAY), is_local=settings.hub_is_local) as client:
            client.post("run-tokens", body={name: value for name, value in told.items() if value})
    except OpsconsoleError as error:
        output.note(f"not in the hub's audit: {error}")
