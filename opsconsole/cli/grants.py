"""`grants`: the standing yes of operators to calls still to come, and the options by which an approval gives one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.approval_text import approval_lines
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.options import duration, json_option, shared_options
from opsconsole.cli.resolve import match, one_approval
from opsconsole.config import Settings
from opsconsole.console.view.outbox import DECOY
from opsconsole.domain.command import Role

HEADERS = ("GRANT", "STATE", "AGENT", "RUN", "TOOL", "USED", "ENDS", "BY", "ARGUMENTS")
WHY_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedGrant:
    """What an operator wants to let run in future."""

    uses: int
    seconds: float
    scope: str
    patterns: dict[str, str]
    """Argument -> text in which `*` stands for one word; the others as they were shown."""


def grant_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that together become the keyword `grant`; None where none is given."""

    @click.option("--grant-uses", type=click.IntRange(1, 1_000), help="Also let so many later calls like it run.")
    @click.option("--grant-for", type=duration, help="For so long at most, e.g. 30m.")
    @click.option("--grant-scope", type=click.Choice(["run", "agent"]), default="run", help="Whose calls [run].")
    @click.option(
        "--grant-arg",
        multiple=True,
        metavar="NAME=TEXT",
        help="This argument may be any TEXT with * for a word; repeat.",
    )
    @functools.wraps(function)
    def with_grant(
        *args: Any,
        grant_uses: int | None,
        grant_for: float | None,
        grant_scope: str,
        grant_arg: tuple[str, ...],
        **more: Any,
    ) -> Any:
        return function(*args, grant=_asked(grant_uses, grant_for, grant_scope, grant_arg), **more)

    return with_grant


def _asked(uses: int | None, seconds: float | None, scope: str, patterns: tuple[str, ...]) -> AskedGrant | None:
    if uses is None and seconds is None and not patterns:
        return None
    if uses is None or not seconds:
        raise click.UsageError("a grant has an end: give both --grant-uses and --grant-for")
    pairs = [pattern.partition("=") for pattern in patterns]
    if not all(name and sign for name, sign, _ in pairs):
        raise click.UsageError("give --grant-arg as NAME=TEXT")
    return AskedGrant(uses=uses, seconds=seconds, scope=scope, patterns={name: text for name, _, text in pairs})


def give_grant(client: HubClient, row: dict[str, Any], digest: str, asked: AskedGrant) -> str:
    """Give a grant for calls like that of an approval's row; its id, none for a decoy. Raises: CommandFailed."""
    return str(_give(client, row, digest, asked).get("current", {}).get("grant", ""))


def _give(client: HubClient, row: dict[str, Any], digest: str, asked: AskedGrant) -> dict[str, Any]:
    likes = {name: {"like": text} for name, text in asked.patterns.items()}
    args = {**(row.get("edited_args") or row.get("args", {})), **likes} if likes else None
    grant = {"uses": asked.uses, "seconds": asked.seconds, "scope": asked.scope}
    body = grant | ({"args": args} if args is not None else {})
    return client.give("grant", approval=row["approval"], digest=digest, grant=body)[1]


@click.group()
def grants() -> None:
    """List, give and revoke standing grants."""


@grants.command()
@click.argument("approval")
@grant_options
@click.option("--digest", help="The digest you were shown; without it the call is fetched and shown now.")
@json_option
@shared_options
def give(settings: Settings, approval: str, grant: AskedGrant | None, digest: str | None, as_json: bool) -> None:
    """Say yes to later calls like a held one, and not to this one; `approve` with the same options says it to both."""
    if grant is None:
        raise click.UsageError("a grant has an end: give both --grant-uses and --grant-for")
    with connect(settings, Role.OPERATOR) as client:
        row = one_approval(client, approval)
        if digest is None and not as_json:
            output.echo(approval_lines(row, client.now))
        told = _give(client, row, digest or str(row["digest"]), grant)
    made, status = str(told.get("current", {}).get("grant", "")), str(told.get("status", ""))
    if as_json:
        found = {"approval": row["approval"], "run": row["run"], "grant": made, "status": status}
        output.echo_json(found | ({"message": told.get("message", "")} if status == DECOY else {}))
    else:
        output.echo(f"grant: {output.cell(told.get('message'), 400)}" if status == DECOY else f"granted: {made}")


@grants.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are over too.")
@json_option
@shared_options
def list_grants(settings: Settings, every: bool, as_json: bool) -> None:
    """List the grants that stand."""
    with connect(settings, Role.OPERATOR) as client:
        found = [one for one in _found(client) if every or one.get("state") == "standing"]
        now = client.now
    if as_json:
        output.echo_json(found)
    elif found:
        output.echo(output.table(HEADERS, [_cells(one, now) for one in found]))
    else:
        output.note("no grants")


@grants.command()
@click.argument("grant")
@click.option("--note", help="Why, for the audit.")
@json_option
@shared_options
def revoke(settings: Settings, grant: str, note: str | None, as_json: bool) -> None:
    """End a grant."""
    with connect(settings, Role.OPERATOR) as client:
        grant = match(grant, [str(one.get("grant")) for one in _found(client)], "grant", "grant.")
        cmd = client.command("revoke_grant", grant_id=grant, note=note)
    if as_json:
        output.echo_json({"cmd": cmd, "grant": grant, "status": "revoked"})
    else:
        output.echo(f"revoked {output.cell(grant)}")


def _found(client: HubClient) -> list[dict[str, Any]]:
    return [one for one in client.get("grants").get("grants", []) if isinstance(one, dict)]


def _why(grant: dict[str, Any]) -> str:
    return f": {output.cell(grant['revoked'], WHY_CHARS)}" if grant.get("revoked") else ""


def _cells(grant: dict[str, Any], now: float) -> list[str]:
    return [
        output.cell(grant.get("grant")),
        output.cell(grant.get("state")) + _why(grant),
        output.cell(grant.get("agent"), 24),
        output.cell(grant.get("run") or "every run"),
        output.cell(grant.get("tool"), 30),
        f"{output.cell(grant.get('used'))} of {output.cell(grant.get('uses'))}",
        output.span(float(grant.get("expires_at", now)) - now) if grant.get("state") == "standing" else "-",
        output.cell(grant.get("by")),
        output.cell(grant.get("pattern")),
    ]
