"""`policy`: check a policy file, run the cases it states, and tell why it judges a call so; it asks no hub."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.approvals import json_object
from opsconsole.cli.exits import Exit
from opsconsole.cli.options import json_option
from opsconsole.domain.tool_call import CallKind
from opsconsole.policy.file.expectations import Outcome
from opsconsole.policy.file.loader import TEXT_CHARS_MAX, load
from opsconsole.policy.file.policy import Explanation, FilePolicy
from opsconsole.policy.file.problem import PolicyError, Problem
from opsconsole.policy.file.sources import FILE_BYTES_MAX
from opsconsole.policy.interface import Decision, Proposal, Verdict

FACT_CHARS = 100
RULE_HEADERS = ("RULE", "DECISION", "OUTCOME", "WHEN")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
UTF8_BYTES_MAX = 4
"""Of one character: a file of more bytes than that for each character allowed is too long whatever it holds."""


@click.group()
def policy() -> None:
    """Check a policy file, run the cases it states, ask it why. No hub is needed."""


@policy.command()
@click.argument("file", type=FILE)
@json_option
def check(file: Path, as_json: bool) -> Exit:
    """Load FILE and tell everything that is wrong with it; 2 if anything is."""
    try:
        found = read_policy(file)
    except PolicyError as error:
        return _tell_problems(file, error, as_json)
    counts = {
        "rules": len(found.ruleset.rules),
        "facts": len(found.ruleset.facts),
        "breakers": len(found.breakers),
        "expectations": len(found.expectations),
    }
    if as_json:
        output.echo_json({"ok": True, "name": found.name, "hash": found.hash, **counts, "problems": []})
    else:
        parts = ", ".join(f"{number} {name[:-1] if number == 1 else name}" for name, number in counts.items())
        output.echo(f"{output.cell(str(file), 200)} is in order: {parts}\n{found.hash}")
    return Exit.OK


@policy.command()
@click.argument("file", type=FILE)
@json_option
def test(file: Path, as_json: bool) -> Exit:
    """Run the [[expect]] cases of FILE; 1 if one does not come out as it says, 2 if the file does not load."""
    try:
        outcomes = read_policy(file).test()
    except PolicyError as error:
        return _tell_problems(file, error, as_json)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if as_json:
        output.echo_json({"ok": not failed, "cases": [_outcome_json(outcome) for outcome in outcomes]})
    else:
        for outcome in failed:
            output.echo(_outcome_text(file, outcome))
        output.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases came out as expected")
    return Exit.FAILED if failed else Exit.OK


@policy.command()
@click.argument("file", type=FILE)
@click.option("--tool", required=True, help="The tool's name.")
@click.option("--args", "arguments", default="{}", metavar="JSON|@FILE|-", help="Its arguments [{}].")
@click.option("--server", help="The MCP server that offers the tool [none: the agent's own].")
@click.option("--annotations", default="{}", metavar="JSON", help="What the server says of the tool [{}].")
@click.option(
    "--schema", metavar="FILE", help="The JSON Schema of its arguments, as it would come with the call [none]."
)
@click.option("--agent", default="agent", help="The agent's name [agent].")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the run; may be repeated.")
@click.option("--starter", help="Who started the run.")
@click.option("--at", metavar="TIME", help="When: ISO 8601 or unix seconds [now].")
@json_option
def explain(
    file: Path,
    tool: str,
    arguments: str,
    annotations: str,
    agent: str,
    labels: tuple[str, ...],
    at: str | None,
    as_json: bool,
    **more: str | None,
) -> Exit:
    """Tell what FILE says of one call: the verdict, every rule, every fact."""
    proposal = Proposal(
        run="run_explained",
        agent=agent,
        call="call_explained",
        kind=CallKind.TOOL_CALL,
        tool=tool,
        args=json_object(arguments, "--args"),
        annotations=json_object(annotations, "--annotations"),
        schema=None if more["schema"] is None else json_object(f"@{more['schema']}", "--schema"),
        labels=_labels(labels),
        now=time.time() if at is None else _moment(at),
        server=more["server"],
        starter=more["starter"],
    )
    try:
        found = read_policy(file).explain(proposal)
    except PolicyError as error:
        return _tell_problems(file, error, as_json)
    output.echo_json(_explanation_json(found)) if as_json else output.echo(_explanation_text(found))
    return Exit.OK


def read_policy(file: Path) -> FilePolicy:
    """The policy of a file, and of the files beside it that it names. Raises: PolicyError."""

    def read(name: str) -> bytes:
        with (file.parent / name).open("rb") as source:
            return source.read(FILE_BYTES_MAX + 1)

    try:
        with file.open("rb") as source:
            text = source.read(UTF8_BYTES_MAX * TEXT_CHARS_MAX + 1).decode("utf-8")
    except OSError as error:
        raise PolicyError((_problem(f"cannot be read: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise PolicyError((_problem("is not UTF-8"),)) from None
    return load(text, read=read)


def _problem(message: str) -> Problem:
    return Problem(line=None, field="", message=f"the file {message}")


def _tell_problems(file: Path, error: PolicyError, as_json: bool) -> Exit:
    if as_json:
        problems = [{"line": one.line, "field": one.field, "message": one.message} for one in error.problems]
        output.echo_json({"ok": False, "problems": problems})
    for problem in error.problems if not as_json else ():
        place = output.cell(str(file), 200) + (f":{problem.line}" if problem.line else "")
        field = f"{problem.field}: " if problem.field else ""
        click.echo(f"{place}: {field}{problem.message}", err=True)
    return Exit.USAGE


def _outcome_text(file: Path, outcome: Outcome) -> str:
    case = outcome.expectation
    name = output.cell(case.name or case.proposal.tool)
    wrong = [f"{what}: expected {one}, found {other}" for what, (one, other) in outcome.differences.items()]
    head = f"{output.cell(str(file), 200)}:{case.line}: case {case.number} ({name})"
    return f"{head}: {'; '.join(wrong)}\n  {output.cell(outcome.verdict.reason, 400)}"


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    case = outcome.expectation
    return {
        "case": case.number,
        "line": case.line,
        "name": case.name,
        "tool": case.proposal.tool,
        "ok": outcome.passed,
        "differences": {name: list(pair) for name, pair in outcome.differences.items()},
        "verdict": _verdict_json(outcome.verdict),
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    said = {"decision": verdict.decision, "rule": verdict.rule, "risk": verdict.risk, "reason": verdict.reason}
    if verdict.decision is not Decision.ASK:
        return said
    return said | {
        "approvers": verdict.approvers,
        "quorums": [{"group": one.group, "approvers": one.approvers} for one in verdict.quorums],
        "timeout_seconds": verdict.ttl_seconds,
        "may_edit": verdict.may_edit,
        "not_by": list(verdict.not_by),
    }


def _explanation_json(found: Explanation) -> dict[str, Any]:
    rules = [
        {"rule": one.id, "decision": one.decision, "outcome": one.outcome, "when": one.when, "why": one.why}
        for one in found.rules
    ]
    return {"verdict": _verdict_json(found.verdict), "rules": rules, "facts": found.facts}


def _explanation_text(found: Explanation) -> str:
    verdict = found.verdict
    head = f"{output.tone(verdict.decision)} by {verdict.rule}, risk {output.tone(verdict.risk)}"
    lines = [head, f"  {output.cell(verdict.reason, 400)}", *_asking(verdict)]
    if found.rules:
        rows = [(one.id, str(one.decision), one.outcome, output.cell(one.why or one.when, 200)) for one in found.rules]
        lines += ["", output.table(RULE_HEADERS, rows)]
    facts = [
        (f"{root}.{name}", output.cell(_fact(value), FACT_CHARS))
        for root, values in found.facts.items()
        for name, value in values.items()
    ]
    return "\n".join([*lines, *(["", output.table(("FACT", "VALUE"), facts)] if facts else [])])


def _asking(verdict: Verdict) -> list[str]:
    if verdict.decision is not Decision.ASK or not verdict.quorums:
        return []
    people = " and ".join(f"{one.approvers} of {one.group or 'operators'}" for one in verdict.quorums)
    time_left = f" within {output.span(verdict.ttl_seconds)}" if verdict.ttl_seconds else ""
    excluded = f", not by {output.cell(', '.join(verdict.not_by))}" if verdict.not_by else ""
    return [f"  asks {people}{time_left}{excluded}{'' if verdict.may_edit else '; the arguments cannot be edited'}"]


def _fact(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(value) or "none") if isinstance(value, list) else value if value != "" else "(empty)"


def _labels(given: Sequence[str]) -> dict[str, str]:
    pairs = [label.partition("=") for label in given]
    if wrong := [name for name, sign, _ in pairs if not (name and sign)]:
        raise click.UsageError(f"--label {wrong[0]!r}: give NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _moment(text: str) -> float:
    """Unix seconds; a time without an offset is UTC."""
    try:
        return _finite(float(text))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"--at {text!r}: give ISO 8601, such as 2026-11-22T10:00+01:00, or unix seconds"
        ) from None


def _finite(seconds: float) -> float:
    if not math.isfinite(seconds) or abs(seconds) > 1e11:
        raise click.UsageError("--at: no such time")
    return seconds
