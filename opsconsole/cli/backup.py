"""`backup`: asks the hub for a copy of its data while it runs; the hub writes it, on its own machine."""

from __future__ import annotations

from pathlib import Path

import click

from opsconsole.cli import output
from opsconsole.cli.client import connect
from opsconsole.cli.options import json_option, shared_options
from opsconsole.config import Settings
from opsconsole.domain.command import Role


@click.command()
@click.argument("target")
@json_option
@shared_options
def backup(settings: Settings, target: str, as_json: bool) -> None:
    """Copy the hub's data to the new directory TARGET on the hub's machine, while it runs."""
    place = str(Path(target).absolute()) if settings.hub_is_local else target
    with connect(settings, Role.ADMIN) as client:
        answer = client.post("backup", body={"target": place})
    output.echo_json(answer) if as_json else output.echo(f"copied to {output.cell(place, 400)}")
