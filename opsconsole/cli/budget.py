"""`budget`: what breakers count and have left, and other caps for a run or an account, live and for a reason."""

from __future__ import annotations

from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.control import cap_options
from opsconsole.cli.options import json_option, shared_options
from opsconsole.cli.resolve import match, one_run
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed

HEADERS = ("ACCOUNT", "LIMIT", "WINDOW", "USED", "RESERVED", "CAP", "A MINUTE", "FULL IN", "RUNS", "STATE")
NUMBERS = frozenset({3, 4, 5, 6, 8})


@click.command()
@click.argument("target", required=False, metavar="[RUN|ACCOUNT]")
@cap_options
@click.option("--reason", help="Why, for the audit; needed for a change.")
@click.option("--go-on", is_flag=True, help="Let what the breaker alone holds go on.")
@json_option
@shared_options
def budget(
    settings: Settings,
    target: str | None,
    caps: dict[str, float] | None,
    reason: str | None,
    go_on: bool,
    as_json: bool,
) -> None:
    """List the budgets that breakers keep, or set other caps for a run or an account.

    An account is named as the list names it, by a beginning, or by what follows its last `/` where that fits only one.
    """
    if target is None or not caps:
        if caps or reason or go_on:
            raise click.UsageError("name a run or an account, and its new caps")
        _list(settings, target, as_json)
        return
    if not (reason or "").strip():
        raise click.UsageError("a budget is changed for a reason: give --reason")
    with connect(settings, Role.OPERATOR) as client:
        about = _target(client, target)
        cmd, answer = client.give("budget", **about, caps=caps, note=reason, go_on=go_on or None)
    going_on = {name: value for name, value in answer.get("current", {}).items() if name == "going_on"}
    if as_json:
        output.echo_json({"cmd": cmd, **about, "caps": caps, **going_on})
    else:
        told = ", ".join(f"{name} {value:g}" for name, value in caps.items())
        runs = "".join(f"; runs that go on: {output.number(count)}" for count in going_on.values())
        output.echo(f"{output.cell(next(iter(about.values())))}: {told}{runs}")


def _list(settings: Settings, target: str | None, as_json: bool) -> None:
    with connect(settings, Role.OPERATOR) as client:
        found = _budgets(client)
        if target is not None:
            account = _account(found, target)
            found = [one for one in found if one.get("account") == account]
    if as_json:
        output.echo_json(found)
    elif found:
        output.echo(output.table(HEADERS, [_cells(one) for one in found], right=NUMBERS))
    else:
        output.note("no breaker counts a live run; the limits of single runs are in `opsconsole show RUN`")


def _budgets(client: HubClient) -> list[dict[str, Any]]:
    return [one for one in client.get("budgets").get("budgets", []) if isinstance(one, dict)]


def _target(client: HubClient, target: str) -> dict[str, str]:
    """What a name means: an account, else a run. Raises: CommandFailed."""
    try:
        return {"account": _account(_budgets(client), target)}
    except CommandFailed as error:
        if error.code != "not_found":
            raise
    return {"run": one_run(client, target)}


def _account(found: list[dict[str, Any]], target: str) -> str:
    accounts = sorted({str(one.get("account")) for one in found})
    named = [one for one in accounts if one.rpartition("/")[2] == target]
    return named[0] if len(named) == 1 else match(target, accounts, "account", "")


def _cells(one: dict[str, Any]) -> list[str]:
    is_cost = str(one.get("limit", "")).startswith("cost")
    full = one.get("full_in_seconds")
    tripped = one.get("tripped")
    return [
        output.cell(one.get("account"), 80),
        output.cell(one.get("limit")),
        output.cell(one.get("window")),
        *(_amount(one.get(name), is_cost) for name in ("used", "reserved", "cap", "per_minute")),
        "-" if full is None else output.span(float(full)),
        output.cell(one.get("runs")),
        f"TRIPPED {output.cell(tripped)}" if tripped else "ok",
    ]


def _amount(value: Any, is_cost: bool) -> str:
    return output.money(float(value or 0.0)) if is_cost else output.number(value)
