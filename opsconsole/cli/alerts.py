"""`alerts`: what detectors, breakers and the hub's own rules have found, and an operator's answer to it."""

from __future__ import annotations

from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.options import json_option, shared_options
from opsconsole.cli.resolve import match, one_run
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed

HEADERS = ("ALERT", "SEVERITY", "BY", "RUN", "AGENT", "AGE", "ANSWER", "WHAT")
PREFIX = "alr_"
ORDER = {"trip": 0, "critical": 0, "warn": 1, "warning": 1}
WHAT_CHARS = 120
EVIDENCE_CHARS_MAX = 300
OWN = "the hub"
"""Who found what no detector did; no answer is awaited, it goes when its cause does."""


@click.group(invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help="Those that were answered, and those of ended runs, too.")
@click.option("--run", help="Only those of one run.")
@json_option
@shared_options
@click.pass_context
def alerts(context: click.Context, settings: Settings, every: bool, run: str | None, as_json: bool) -> None:
    """List what detectors and breakers have found, and what the hub itself holds amiss, worst first.

    `alerts answer ID real|fine` answers a detector or breaker.
    """
    if context.invoked_subcommand is not None:
        return
    with connect(settings, Role.OPERATOR) as client:
        named = one_run(client, run) if run else None
        found = _found(client, every=every or named is not None, run=named)
        shown = [one for one in found if every or not one["verdict"]]
        now = client.now
    if as_json:
        output.echo_json(shown)
    elif shown:
        output.echo(output.table(HEADERS, [_cells(one, now) for one in shown]))
    else:
        output.note("no alerts" if every else "no open alerts")


@alerts.command()
@click.argument("alert")
@shared_options
@json_option
def show(settings: Settings, alert: str, as_json: bool) -> None:
    """Show one alert with its evidence."""
    with connect(settings, Role.OPERATOR) as client:
        one, now = _one(client, alert), client.now
    if as_json:
        output.echo_json(one)
    else:
        output.echo(_text(one, now))


@alerts.command()
@click.argument("alert")
@click.argument("verdict", type=click.Choice(["real", "fine"]))
@click.option("--note", help="Why, for the audit.")
@json_option
@shared_options
def answer(settings: Settings, alert: str, verdict: str, note: str | None, as_json: bool) -> None:
    """Say whether an alert is real trouble or fine; the thresholds of its agent follow.

    Two answers `fine` raise a detector's thresholds for that agent by a step, one `real` lowers them by one, never
    below what the policy says. A paused run stays paused: `opsconsole resume` lets it go on.
    """
    with connect(settings, Role.OPERATOR) as client:
        one = _one(client, alert)
        if not one["detector"]:
            words = f"{one['id']} awaits no answer: it goes when its cause does"
            raise CommandFailed(words, code="precondition_failed")
        cmd = client.command("answer_alert", alert=one["id"], run=one["run"] or None, verdict=verdict, note=note)
    if as_json:
        output.echo_json({"cmd": cmd, "alert": one["id"], "run": one["run"], "verdict": verdict})
    else:
        output.echo(f"{verdict}: {output.cell(one['text'], WHAT_CHARS)}")


def _one(client: HubClient, alert: str) -> dict[str, Any]:
    """The alert that an id means. Raises: CommandFailed."""
    found = {one["id"]: one for one in _found(client, every=True, run=None)}
    return found[match(alert, found, "alert", PREFIX)]


def _found(client: HubClient, *, every: bool, run: str | None) -> list[dict[str, Any]]:
    """Alerts, one each however many runs it concerns, worst and newest first; of a run's own alarms the critical."""
    rows = client.rows("runs", live=0 if every else 1)
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if run is not None and row.get("run") != run:
            continue
        for alert in row.get("alerts") or []:
            if isinstance(alert, dict) and (alert.get("detector") or alert.get("level") == "critical"):
                found.setdefault(str(alert.get("id")), _flat(alert, row))
    if run is None:
        for alert in client.get("info").get("alerts") or []:
            if isinstance(alert, dict):
                found[str(alert.get("id"))] = _flat(alert, {})
    return sorted(found.values(), key=lambda one: (ORDER.get(one["severity"], 2), -one["at"]))


def _flat(alert: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(alert.get("id")),
        "run": str(row.get("run") or ""),
        "agent": str(row.get("agent") or ""),
        "runs": alert.get("runs") or [],
        "detector": str(alert.get("detector") or ""),
        "kind": str(alert.get("kind") or ""),
        "severity": str(alert.get("severity") or alert.get("level")),
        "text": str(alert.get("text")),
        "evidence": alert.get("evidence") or {},
        "at": float(alert.get("at") or 0.0),
        "paused": bool(alert.get("paused")),
        "verdict": str(alert.get("verdict") or ""),
        "verdict_by": str(alert.get("verdict_by") or ""),
    }


def _cells(alert: dict[str, Any], now: float) -> list[str]:
    more = len(alert["runs"]) - 1
    return [
        output.cell(alert["id"]),
        output.cell(alert["severity"]),
        output.cell(alert["detector"]) or OWN,
        (output.cell(alert["run"]) or "the hub") + (f" +{more}" if more > 0 else ""),
        output.cell(alert["agent"], 24),
        output.span(now - alert["at"]),
        _answered(alert) or "-",
        output.cell(alert["text"], WHAT_CHARS),
    ]


def _answered(alert: dict[str, Any]) -> str:
    return f"{output.cell(alert['verdict'])} by {output.cell(alert['verdict_by'], 24)}" if alert["verdict"] else ""


def _text(alert: dict[str, Any], now: float) -> str:
    about = output.fields(
        {
            "alert": output.cell(alert["id"]),
            "what": output.cell(alert["text"], 400),
            "found by": output.cell(alert["detector"]) or OWN,
            "severity": output.cell(alert["severity"]) + (", the run was paused for it" if alert["paused"] else ""),
            "run": output.cell(alert["run"]) or "the hub's own",
            "agent": output.cell(alert["agent"], 200),
            "runs": ", ".join(output.cell(one) for one in alert["runs"]) if len(alert["runs"]) > 1 else "",
            "age": output.span(now - alert["at"]),
            "answer": _answered(alert),
        }
    )
    evidence = {output.cell(name): output.cell(value, EVIDENCE_CHARS_MAX) for name, value in alert["evidence"].items()}
    return about + ("\n\nEVIDENCE\n" + output.fields(evidence) if evidence else "")
