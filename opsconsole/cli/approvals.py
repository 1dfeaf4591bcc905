"""`approvals` and the four answers to one; each answer quotes the digest of what was shown, so nothing else can run."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from ulid import ULID

from opsconsole.cli import output
from opsconsole.cli.approval_text import approval_lines, votes
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.exits import Exit
from opsconsole.cli.grants import AskedGrant, give_grant, grant_options
from opsconsole.cli.options import duration, json_option, shared_options
from opsconsole.cli.resolve import one_approval
from opsconsole.config import Settings
from opsconsole.console.view.outbox import DECOY
from opsconsole.domain.command import Role
from opsconsole.errors import OpsconsoleError
from opsconsole.protocol.limits import ARGS_BYTES_MAX

HEADERS = ("APPROVAL", "RISK", "AGENT", "RUN", "TOOL", "EXPIRES", "YES", "ARGUMENTS")
SETTLED_HEADERS = ("APPROVAL", "STATUS", "AGENT", "RUN", "TOOL", "BY", "YES", "ARGUMENTS")

digest_option = click.option(
    "--digest", help="The digest you were shown; without it the call is fetched and shown now."
)
wait_option = click.option(
    "--timeout", type=duration, default="0", help="Wait so long for the agent to apply it; 3 if it did not [0]."
)


@click.command()
@click.option("--all", "every", is_flag=True, help="Settled ones too.")
@click.option("--run", help="Only those of this run.")
@json_option
@shared_options
def approvals(settings: Settings, every: bool, run: str | None, as_json: bool) -> None:
    """List the calls that wait for a decision."""
    with connect(settings, Role.OPERATOR) as client:
        rows = client.rows("approvals", status="all" if every else "pending", run=run)
    rows.sort(key=lambda row: float(row.get("requested_at", 0)))
    if as_json:
        output.echo_json(rows)
    elif rows:
        headers = SETTLED_HEADERS if every else HEADERS
        output.echo(output.table(headers, [_cells(row, every, client.now) for row in rows]))
    else:
        output.note("no approvals" if every else "nothing waits for a decision")


@click.command()
@click.argument("approval")
@digest_option
@click.option("--note", help="Why, for the audit.")
@grant_options
@wait_option
@json_option
@shared_options
def approve(
    settings: Settings,
    approval: str,
    digest: str | None,
    timeout: float,
    as_json: bool,
    grant: AskedGrant | None,
    **answer: Any,
) -> Exit:
    """Let one held call run exactly as it was shown; with --grant-uses and --grant-for, later ones like it too."""
    return _decide(settings, approval, "approve", digest, timeout, as_json, answer, grant)


@click.command()
@click.argument("approval")
@click.option("--args", "arguments", required=True, metavar="JSON|@FILE|-", help="The whole new arguments.")
@digest_option
@click.option("--note", help="Why, for the audit.")
@wait_option
@json_option
@shared_options
def edit(
    settings: Settings, approval: str, arguments: str, digest: str | None, timeout: float, as_json: bool, **answer: Any
) -> Exit:
    """Let one held call run with other arguments."""
    answer["args"] = json_object(arguments, "--args")
    return _decide(settings, approval, "edit", digest, timeout, as_json, answer)


@click.command()
@click.argument("approval")
@click.option("--reason", "note", required=True, help="Why; the agent's model reads it.")
@digest_option
@wait_option
@json_option
@shared_options
def reject(settings: Settings, approval: str, digest: str | None, timeout: float, as_json: bool, **answer: Any) -> Exit:
    """Refuse one held call; the agent reads the reason."""
    return _decide(settings, approval, "reject", digest, timeout, as_json, answer)


@click.command()
@click.argument("approval")
@click.option("--text", metavar="TEXT|@FILE|-", help="Your answer, in place of the tool's result or the model's reply.")
@click.option("--call", "name", help="A call to make, when you answer as the model.")
@click.option("--args", "arguments", metavar="JSON|@FILE|-", help="The arguments of --call.")
@digest_option
@click.option("--note", help="Why, for the audit.")
@wait_option
@json_option
@shared_options
def respond(
    settings: Settings,
    approval: str,
    text: str | None,
    name: str | None,
    arguments: str | None,
    digest: str | None,
    timeout: float,
    as_json: bool,
    **answer: Any,
) -> Exit:
    """Answer one held call yourself, instead of the tool or the model.

    For a held model call (a run you have taken over) the answer may be words, a call, or both.
    """
    if text is None and name is None:
        raise click.UsageError("give --text, --call, or both")
    if arguments is not None and name is None:
        raise click.UsageError("--args belongs to --call")
    if text is not None:
        answer["text"] = words(text, "--text")
    if name is not None:
        args = json_object(arguments, "--args") if arguments is not None else {}
        answer["calls"] = [{"id": f"call_{ULID()}", "name": name, "args": args}]
    return _decide(settings, approval, "respond", digest, timeout, as_json, answer)


def _decide(
    settings: Settings,
    wanted: str,
    answer: str,
    digest: str | None,
    timeout: float,
    as_json: bool,
    rest: dict[str, Any],
    grant: AskedGrant | None = None,
) -> Exit:
    with connect(settings, Role.OPERATOR) as client:
        row = one_approval(client, wanted)
        if digest is None and not as_json:
            output.echo(approval_lines(row, client.now))
        shown = digest or str(row["digest"])
        granted = give_grant(client, row, shown, grant) if grant else None  # first: the next call may follow at once
        try:
            cmd, told = client.give("decide", approval=row["approval"], answer=answer, digest=shown, **rest)
        except BaseException:  # a lost answer or Ctrl-C too: no grant without a yes that is known
            _take_back(client, granted)
            raise
        if told.get("status") == "voted":  # others have to agree first
            _take_back(client, granted)
            granted = None
        if told.get("status") == DECOY:
            _take_back(client, granted)
            return _told_decoy(told, cmd, row, answer, as_json)
        return _told(client, cmd, told, row, answer, timeout, as_json, granted)


def _told_decoy(told: dict[str, Any], cmd: str, row: dict[str, Any], answer: str, as_json: bool) -> Exit:
    """Says that the call was made up: there is nothing to wait for."""
    if as_json:
        found = {"cmd": cmd, "approval": row["approval"], "run": row["run"], "answer": answer}
        output.echo_json(found | {"status": DECOY, "message": told.get("message", "")})
    else:
        output.echo(f"{answer}: {output.cell(told.get('message'), 400)}")
    return Exit.OK


def _take_back(client: HubClient, granted: str | None) -> None:
    """Revoke a grant whose call is not approved, and say what became of it."""
    if not granted:
        return
    became = "may still stand: end it with opsconsole grants revoke"
    try:
        with suppress(OpsconsoleError):
            client.command("revoke_grant", grant_id=granted, note="the call itself was not approved")
            became = "was taken back: the call itself is not known to be approved"
    finally:
        output.note(f"{output.cell(granted)} {became}")


def _told(
    client: HubClient,
    cmd: str,
    told: dict[str, Any],
    row: dict[str, Any],
    answer: str,
    timeout: float,
    as_json: bool,
    granted: str | None,
) -> Exit:
    """Prints what came of a recorded decision. Recorded is done, unless the caller waits for more."""
    status, voted = "recorded", told.get("current", {}) if told.get("status") == "voted" else {}
    if voted:
        status = f"voted, {len(voted.get('votes', []))} of {voted.get('approvers')}"
    elif timeout > 0:
        report = client.follow(cmd, timeout)
        status = str(report.get("status", status))
    if as_json:
        output.echo_json(
            {"cmd": cmd, "approval": row["approval"], "run": row["run"], "answer": answer}
            | {"status": "voted" if voted else status}
            | ({"votes": voted.get("votes"), "approvers": voted.get("approvers")} if voted else {})
            | ({"grant": granted} if granted else {})
        )
    else:
        output.echo(f"{answer}: {output.cell(row['approval'])} {output.cell(status)}")
        if granted:
            output.echo(f"granted: {output.cell(granted)}")
    return Exit.OK if voted or timeout <= 0 or status == "applied" else Exit.UNCONFIRMED


def words(given: str, option: str) -> str:
    """A text of the command line: itself, `@FILE`, or `-` for stdin. Raises: click.BadParameter."""
    try:
        if given == "-":
            return sys.stdin.read(ARGS_BYTES_MAX + 1)
        if given.startswith("@"):
            with Path(given[1:]).open(encoding="utf-8") as file:
                return file.read(ARGS_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{option}: {given!r} cannot be read: {error}") from None
    return given


def json_object(given: str, option: str) -> dict[str, Any]:
    """A JSON object of the command line. Raises: click.BadParameter."""
    text = words(given, option)
    if len(text) > ARGS_BYTES_MAX:
        raise click.BadParameter(f"{option} is longer than {ARGS_BYTES_MAX} characters")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{option} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.BadParameter(f'{option} is not a JSON object; accepted: something like {{"path": "/tmp"}}')
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _cells(row: dict[str, Any], every: bool, now: float) -> list[str]:
    left = float(row.get("expires_at", 0)) - now
    what = [output.cell(row.get("status"))] if every else [output.cell(row.get("risk"))]
    late = [output.cell(row.get("decided_by"))] if every else [output.span(left)]
    return [
        output.cell(row.get("approval")),
        *what,
        output.cell(row.get("agent"), 24),
        output.cell(row.get("run")),
        output.cell(row.get("tool"), 30),
        *late,
        votes(row),
        output.cell(row.get("args")),
    ]
