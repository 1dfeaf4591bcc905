"""`tokens`: who may talk to the hub; a token's secret is printed once, when it is made."""

from __future__ import annotations

import click

from opsconsole.cli import output
from opsconsole.cli.client import connect
from opsconsole.cli.options import duration, json_option, shared_options
from opsconsole.cli.resolve import listed, match
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed

HEADERS = ("ID", "NAME", "ROLE", "CREATED", "EXPIRES", "STATE")


@click.group()
def tokens() -> None:
    """Create, list and revoke tokens (needs an admin token)."""


@tokens.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@click.option("--ttl", type=duration, help="Valid for so long, e.g. 12h or 30d [for ever].")
@click.option("--agent-prefix", help="For the role agent: only agents whose name begins so.")
@json_option
@shared_options
def create(
    settings: Settings, name: str, role: str, ttl: float | None, agent_prefix: str | None, as_json: bool
) -> None:
    """Create a token; its secret is shown this once."""
    body = {"name": name, "role": role, "ttl_seconds": ttl, "agent_prefix": agent_prefix}
    with connect(settings, Role.ADMIN) as client:
        made = client.post("tokens", body={key: value for key, value in body.items() if value is not None})
    if as_json:
        output.echo_json(made)
        return
    output.note(f"token {output.cell(made.get('id'))} for {output.cell(name)}, {role}; it is not shown again")
    output.echo(output.cell(made.get("token"), 400))


@tokens.command("list")
@json_option
@shared_options
def list_tokens(settings: Settings, as_json: bool) -> None:
    """List the tokens, never their secrets."""
    with connect(settings, Role.ADMIN) as client:
        found = client.get("tokens").get("tokens", [])
    if as_json:
        output.echo_json(found)
        return
    rows = [
        [
            output.cell(token.get("id")),
            output.cell(token.get("name")),
            output.cell(token.get("role")),
            output.clock(token.get("created_at")),
            output.clock(token.get("expires_at")),
            "revoked" if token.get("revoked_at") else "valid",
        ]
        for token in found
    ]
    output.echo(output.table(HEADERS, rows))


@tokens.command()
@click.argument("token_id", metavar="ID")
@click.option("--force", is_flag=True, help="Also when live runs of an agent's token are then out of reach.")
@json_option
@shared_options
def revoke(settings: Settings, token_id: str, force: bool, as_json: bool) -> None:
    """Revoke a token; its connections are closed."""
    with connect(settings, Role.ADMIN) as client:
        found = [str(token["id"]) for token in client.get("tokens").get("tokens", [])]
        token_id = match(token_id, found, "token", "")
        try:
            answer = client.delete("tokens", token_id, force=1 if force else None)
        except CommandFailed as error:
            raise _explained(error) from None
    output.echo_json(answer) if as_json else output.echo(f"revoked {output.cell(token_id)}")


def _explained(error: CommandFailed) -> CommandFailed:
    """The refusal, with the live runs that are the reason, where they are."""
    runs = error.current.get("runs")
    if not runs:
        return error
    text = f"{error}: {listed([str(run) for run in runs])}; kill them first, or --force"
    return CommandFailed(text, code=error.code, current=error.current)
