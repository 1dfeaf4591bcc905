"""`note` and `notes`: words that stay on a run, in its record, for whoever looks at it next; agents never read them."""

from __future__ import annotations

from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.approvals import words
from opsconsole.cli.audit_source import open_source
from opsconsole.cli.client import connect
from opsconsole.cli.options import json_option, shared_options
from opsconsole.cli.resolve import one_run
from opsconsole.config import Settings
from opsconsole.domain.command import Role

HEADERS = ("WHEN", "WHO", "RUN", "NOTE")
NOTE_CHARS = 400


@click.command()
@click.argument("run")
@click.argument("text", metavar="TEXT|@FILE|-")
@json_option
@shared_options
def note(settings: Settings, run: str, text: str, as_json: bool) -> None:
    """Leave a note on a run, also on one that has ended; the agent does not read it."""
    with connect(settings, Role.OPERATOR) as client:
        found = one_run(client, run)
        cmd = client.command("annotate", run=found, text=words(text, "TEXT"))
    if as_json:
        output.echo_json({"cmd": cmd, "do": "annotate", "run": found, "status": "recorded"})
    else:
        output.echo(f"noted on {found}")


@click.command()
@click.argument("run", required=False)
@click.option("--limit", default=50, type=click.IntRange(1, 1_000), help="At most so many, the newest [50].")
@json_option
@shared_options
def notes(settings: Settings, run: str | None, limit: int, as_json: bool) -> None:
    """List the notes on a run, or on all of them."""
    with open_source(settings) as source:
        entries = source.entries(kind="run.annotate", run=run, limit=limit)
    if as_json:
        output.echo_json(entries)
    elif entries:
        output.echo(output.table(HEADERS, [_cells(entry) for entry in entries]))
    else:
        output.note("no notes")


def _cells(entry: dict[str, Any]) -> list[str]:
    who = entry.get("who")
    return [
        output.clock(entry.get("at")),
        output.cell(who.get("principal") if isinstance(who, dict) else who, 24),
        output.cell(entry.get("run"), 34),
        output.cell(entry.get("text") or entry.get("note"), NOTE_CHARS),
    ]
