"""`limits`: how full the rate limits of models' providers are, as gateways tell the hub; it changes nothing."""

from __future__ import annotations

import math
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.client import connect
from opsconsole.cli.options import json_option, shared_options
from opsconsole.config import Settings
from opsconsole.domain.command import Role

HEADERS = ("PROVIDER", "MODEL", "LIMIT", "A MINUTE", "OF", "USED", "FULL IN", "BY", "GATEWAY")
NUMBERS = frozenset({3, 4, 5, 6})
KINDS = {"tokens": "TPM", "requests": "RPM", "input_tokens": "input TPM", "output_tokens": "output TPM"}


@click.command()
@json_option
@shared_options
def limits(settings: Settings, as_json: bool) -> None:
    """Show which limit of a model's provider fills first, and when."""
    with connect(settings, Role.OPERATOR) as client:
        found = client.get("limits").get("rows") or []
    rows = sorted((row for row in found if isinstance(row, dict)), key=urgency)
    if as_json:
        output.echo_json({"first": rows[0] if rows and rows[0].get("used_share") else None, "limits": rows})
    elif rows:
        output.echo(output.table(HEADERS, [cells(row) for row in rows], NUMBERS))
    else:
        output.note("no gateway has told of any limit")


def urgency(row: dict[str, Any]) -> tuple[float, float]:
    """What fills soonest first, then what is fullest."""
    full_in, share = row.get("full_in_seconds"), row.get("used_share")
    soon = float(full_in) if isinstance(full_in, int | float) else math.inf
    return (soon, -(float(share) if isinstance(share, int | float) else 0.0))


def cells(row: dict[str, Any]) -> list[str]:
    """One line of the table."""
    share, full_in = row.get("used_share"), row.get("full_in_seconds")
    account = row.get("account")
    return [
        output.cell(f"{row.get('provider')}{f' ({account})' if account else ''}"),
        output.cell(row.get("model")),
        KINDS.get(str(row.get("kind")), output.cell(row.get("kind"))),
        output.number(row.get("per_minute")),
        output.number(row.get("limit")) or "?",
        f"{100 * share:.0f} %" if isinstance(share, int | float) else "?",
        output.span(full_in) if isinstance(full_in, int | float) else "-",
        output.cell(row.get("source")),
        output.cell(row.get("gateway")),
    ]
