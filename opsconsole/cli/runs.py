"""`runs` and `show`: what the hub knows of runs, printed; it changes nothing."""

from __future__ import annotations

from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.approval_text import approval_lines
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.options import json_option, shared_options
from opsconsole.cli.receipt_text import receipt_lines
from opsconsole.cli.resolve import one_run
from opsconsole.cli.timeline_text import timeline_lines
from opsconsole.config import Settings
from opsconsole.domain.command import Role

HEADERS = ("RUN", "AGENT", "STATE", "LINK", "TURNS", "TOKENS", "COST", "$/MIN", "AGE", "NOW")
NUMBERS = frozenset({4, 5, 6, 7, 8})


@click.command()
@click.option("--all", "every", is_flag=True, help="Ended runs too.")
@click.option("--agent", help="Only runs of this agent.")
@json_option
@shared_options
def runs(settings: Settings, every: bool, agent: str | None, as_json: bool) -> None:
    """List the runs: live ones, or all."""
    with connect(settings, Role.OPERATOR) as client:
        rows = client.rows("runs", live=0, agent=agent) if every else _of_concern(client, agent)
    rows.sort(key=lambda row: float(row.get("started_at", 0)))
    if as_json:
        output.echo_json(rows)
    elif rows:
        output.echo(output.table(HEADERS, [run_cells(row, client.now) for row in rows], NUMBERS))
    else:
        output.note("no runs" if every else "no live runs (--all lists ended ones)")


@click.command()
@click.argument("run")
@click.option("--events", "events_max", default=40, type=click.IntRange(0, 1_000), help="Newest events to print [40].")
@json_option
@shared_options
def show(settings: Settings, run: str, events_max: int, as_json: bool) -> None:
    """Show one run: its state, points, limits and timeline."""
    with connect(settings, Role.OPERATOR) as client:
        run = one_run(client, run)
        found = client.get("runs", run)
        events: list[dict[str, Any]] = []
        if events_max:
            events = client.get("runs", run, "events", tail=1, limit=events_max).get("events", [])
    if as_json:
        output.echo_json({**found["row"], "approvals": found.get("approvals", []), "events": events})
        return
    output.echo(run_text(found["row"], client.now))
    for approval in found.get("approvals", []):
        if approval.get("status") == "pending":
            output.echo("\n" + approval_lines(approval, client.now))
    if events:
        output.echo("\nTIMELINE")
        output.echo("\n".join(timeline_lines(events)))


def _of_concern(client: HubClient, agent: str | None) -> list[dict[str, Any]]:
    """The live runs, and those that say they ended while nothing proves that their kill reached all of them."""
    found = {row["run"]: row for row in client.rows("runs", live=0, agent=agent) if _is_unconfirmed(row)}
    return list({**found, **{row["run"]: row for row in client.rows("runs", live=1, agent=agent)}}.values())


def _is_unconfirmed(row: dict[str, Any]) -> bool:
    return (row.get("kill") or {}).get("status") == "unconfirmed"


def run_cells(row: dict[str, Any], now: float) -> list[str]:
    """One line of the table. A run whose link is lost is not said to be in any state."""
    ended = row.get("ended_at")
    tokens = int(row.get("input_tokens", 0)) + int(row.get("output_tokens", 0))
    return [
        output.cell(row.get("run")),
        output.cell(row.get("agent"), 24),
        state_text(row),
        output.cell(row.get("link")),
        str(row.get("turns", 0)),
        output.count(tokens),
        output.money(float(row.get("cost_usd", 0)), known=bool(row.get("cost_known", True))),
        output.money(float(row.get("cost_per_minute_usd", 0))),
        output.span((ended or now) - float(row.get("started_at", now))),
        _now_text(row, now),
    ]


def state_text(row: dict[str, Any]) -> str:
    """The run's state; unknown since when, where a live run is not heard any more."""
    if row.get("link") == "lost" and row.get("ended_at") is None:
        return f"unknown since {output.clock(row.get('link_since'))}"
    return output.cell(row.get("state"))


def _now_text(row: dict[str, Any], now: float) -> str:
    """What matters most about it now: a kill without proof, else what it waits for, else what it does."""
    if _is_unconfirmed(row):
        return "KILL UNCONFIRMED"
    waiting = waiting_text(row, now)
    return f"waits for {waiting}" if waiting else output.cell(row.get("doing"), 50)


def waiting_text(row: dict[str, Any], now: float) -> str:
    """What it waits for and for how long, if it does."""
    waiting = row.get("waiting")
    if not waiting:
        return ""
    since = output.span(now - float(waiting.get("since", now)))
    return f"{output.cell(waiting.get('kind'))} {output.cell(waiting.get('what'), 40)} {since}"


def run_text(row: dict[str, Any], now: float) -> str:
    """Everything about one run but its timeline."""
    caps = row.get("caps") or {}
    ended = row.get("ended_at")
    lasted = output.span((ended or now) - float(row.get("started_at", now)))
    parts = [
        output.fields(
            {
                "run": output.cell(row.get("run")),
                "agent": output.cell(row.get("agent")),
                "name": output.cell(row.get("name"), 200),
                "parent": output.cell(row.get("parent")),
                "children": str(row.get("children") or ""),
                "owner": output.cell(row.get("owner")),
                "labels": ", ".join(f"{output.cell(k)}={output.cell(v)}" for k, v in (row.get("labels") or {}).items()),
                "state": output.tone(state_text(row)),
                "reason": output.cell(row.get("reason"), 400),
                "error": output.cell(row.get("error"), 400),
                "link": f"{output.cell(row.get('link'))} since {output.clock(row.get('link_since'))}",
                "waiting for": waiting_text(row, now),
                "doing": output.cell(row.get("doing"), 400),
                "started": f"{output.clock(row.get('started_at'))}, {'ran' if ended else 'running'} for {lasted}",
                "ended": output.clock(ended) if ended else "",
                "exit": _exit_text(row),
                "turns": f"{row.get('turns', 0)} of {_limit(caps.get('turns'))}",
                "tokens": f"{row.get('input_tokens', 0):,} in, {row.get('output_tokens', 0):,} out "
                f"of {_limit(caps.get('tokens'))}",
                "cost": f"{output.money(row.get('cost_usd', 0), known=bool(row.get('cost_known', True)))} of "
                f"{_limit(caps.get('cost_usd'), '$')}, {output.money(row.get('cost_per_minute_usd', 0))} a minute",
                "runway": f"reaches {output.cell(row['runway'], 80)} at {output.clock(row.get('runway_at'))}"
                if row.get("runway")
                else "",
                "held by": ", ".join(output.cell(one) for one in row.get("held_by") or []),
                "models": ", ".join(output.cell(model) for model in row.get("models") or []),
                "taken over": _baton_text(row.get("baton")),
                "checkpoint": output.cell(row.get("checkpoint")),
            }
        )
    ]
    if row.get("points"):
        parts.append("\nPOINTS\n" + _points_text(row["points"], now))
    if row.get("kill"):
        parts.append("\nKILL\n" + receipt_lines({"run": row.get("run"), **row["kill"]}))
    for alert in row.get("alerts") or []:
        level, text = output.cell(alert.get("level")), output.cell(alert.get("text"), 400)
        answered = f" ({output.cell(alert['verdict'])})" if alert.get("verdict") else ""
        parts.append(f"\nALERT {level} {output.clock(alert.get('at'))}  {text}{answered}")
    return "\n".join(parts)


def _points_text(points: list[dict[str, Any]], now: float) -> str:
    rows = [
        [
            output.cell(point.get("name")),
            output.cell(point.get("link")),
            output.span(now - point["heard_at"]) if point.get("heard_at") else "-",
            f"{output.cell(point.get('host'))}:{point.get('pid', 0)}",
            " ".join(output.cell(cap) for cap in point.get("caps") or []),
        ]
        for point in points
    ]
    return output.table(("POINT", "LINK", "HEARD", "PROCESS", "CAN"), rows)


def _limit(limit: float | None, unit: str = "") -> str:
    return "unlimited" if limit is None else f"{unit}{limit:,}"


def _exit_text(row: dict[str, Any]) -> str:
    if row.get("exit_signal"):
        return output.cell(row["exit_signal"])
    return "" if row.get("exit_code") is None else f"status {row['exit_code']}"


def _baton_text(baton: dict[str, Any] | None) -> str:
    return f"by {output.cell(baton.get('by'))} until {output.clock(baton.get('until'))}" if baton else ""
