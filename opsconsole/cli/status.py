"""`status`: whether the hub answers, as whom it knows us, and what is going on; it changes nothing."""

from __future__ import annotations

from collections import Counter

import click

from opsconsole.cli import output
from opsconsole.cli.client import connect
from opsconsole.cli.options import json_option, shared_options
from opsconsole.config import Settings
from opsconsole.domain.command import Role


@click.command()
@json_option
@shared_options
def status(settings: Settings, as_json: bool) -> None:
    """Is the hub there, who am I, what is going on."""
    with connect(settings, Role.OPERATOR) as client:
        info = client.get("info")
        runs = client.rows("runs", live=1)
        pending = client.rows("approvals", status="pending")
    states = Counter(str(row.get("state")) for row in runs)
    lost = sum(row.get("link") == "lost" for row in runs)
    if as_json:
        counts = {"live_runs": len(runs), "lost_runs": lost, "states": states, "pending_approvals": len(pending)}
        output.echo_json({"hub": settings.hub, **info, **counts})
        return
    by_state = ", ".join(f"{number} {output.cell(state)}" for state, number in sorted(states.items()))
    output.echo(
        output.fields(
            {
                "hub": f"{settings.hub} ({settings.source['hub']})",
                "version": output.cell(info.get("version")),
                "up since": output.clock(info.get("started_at")),
                "policy": output.cell(f"{info['policy']} {info.get('policy_hash', '')}", 100)
                if "policy" in info
                else "",
                "amiss": "; ".join(output.cell(one.get("text"), 600) for one in info.get("alerts", [])),
                "you are": f"{output.cell(info.get('principal'))}, {output.cell(info.get('role'))}",
                "live runs": f"{len(runs)}{f' ({by_state})' if by_state else ''}",
                "lost": str(lost) if lost else "",
                "to decide": str(len(pending)),
            }
        )
    )
