"""`claim`: who looks at a held call, shown to everybody and binding nobody; it decides nothing."""

from __future__ import annotations

import click

from opsconsole.cli import output
from opsconsole.cli.client import connect
from opsconsole.cli.options import json_option, shared_options
from opsconsole.cli.resolve import one_approval
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed

PENDING = "pending"


@click.command()
@click.argument("approval")
@click.option("--for", "whom", metavar="NAME", help="Who should look [you].")
@click.option("--release", "is_released", is_flag=True, help="You look no longer.")
@json_option
@shared_options
def claim(settings: Settings, approval: str, whom: str | None, is_released: bool, as_json: bool) -> None:
    """Say that you look at a held call, or who should; it binds nobody."""
    if is_released and whom is not None:
        raise click.UsageError("--release is for your own claim: give it without --for")
    if whom is not None and not whom.strip():
        raise click.UsageError("--for needs a name")
    with connect(settings, Role.OPERATOR) as client:
        row = one_approval(client, approval)
        found, before = str(row["approval"]), row.get("claimed_by")
        if row.get("status") != PENDING:
            raise CommandFailed(f"{output.cell(found)} is {output.cell(row.get('status'))}", code="already_settled")
        me = str(client.get("info").get("principal"))
        if is_released and before not in (None, me):
            raise CommandFailed(f"{output.cell(before)} looks at it, not you", code="precondition_failed")
        name = "" if is_released else whom.strip() if whom is not None else me  # never none: that turns on and off
        cmd, told = client.give("claim", approval=found, text=name)
        after = one_approval(client, found).get("claimed_by")
    if as_json:
        status = str(told.get("status", ""))
        output.echo_json({"cmd": cmd, "approval": found, "run": row["run"], "claimed_by": after, "status": status})
    else:
        output.echo(f"{output.cell(found)}: {f'{output.cell(after)} looks at it' if after else 'nobody looks at it'}")
