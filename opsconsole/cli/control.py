"""What an operator does to runs: kill, pause, freeze, inject, take over; the hub and the points carry it out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.approvals import words
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.exits import Exit, exit_of
from opsconsole.cli.options import duration, json_option, shared_options
from opsconsole.cli.receipt_text import is_proven, receipt_lines
from opsconsole.cli.resolve import many_runs, one_run
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed

KILL_SECONDS = "20"
"""Longer than the hub takes to call a kill unconfirmed."""
APPLY_SECONDS = "10"
"""A point that is there answers in milliseconds; after this a person should look."""

timeout_option = click.option(
    "--timeout", type=duration, default=APPLY_SECONDS, help="Wait so long until it is applied; 3 if it was not [10]."
)


def on_runs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds RUN..., --reason, --timeout, --json and the shared options."""
    options = (
        shared_options,
        json_option,
        timeout_option,
        click.option("--reason", "note", help="Why, for the audit."),
        click.argument("runs", nargs=-1, required=True, metavar="RUN..."),
    )
    return functools.reduce(lambda made, option: option(made), options, function)


def cap_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that together become the keyword `caps`; None where none is given."""

    @click.option("--cost", type=click.FloatRange(min=0), help="New limit, US dollars.")
    @click.option("--turns", type=click.IntRange(min=0), help="New limit, turns.")
    @click.option("--tokens", type=click.IntRange(min=0), help="New limit, tokens.")
    @click.option("--tool-calls", type=click.IntRange(min=0), help="New limit of a breaker, calls of tools.")
    @click.option("--wall-clock", type=duration, help="New limit of a breaker, how long a run may last.")
    @functools.wraps(function)
    def with_caps(
        *args: Any,
        cost: float | None,
        turns: int | None,
        tokens: int | None,
        tool_calls: int | None,
        wall_clock: float | None,
        **more: Any,
    ) -> Any:
        given = {
            "cost_usd": cost,
            "turns": turns,
            "tokens": tokens,
            "tool_calls": tool_calls,
            "wall_clock": wall_clock,
        }
        caps = {name: value for name, value in given.items() if value is not None}
        return function(*args, caps=caps or None, **more)

    return with_caps


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN...")
@click.option("--all", "every", is_flag=True, help="Every live run.")
@click.option("--now", is_flag=True, help="No asking: freeze and kill at once.")
@click.option("--reason", help="Why, for the audit.")
@click.option("--timeout", type=duration, default=KILL_SECONDS, help="Wait so long for the proof [20].")
@json_option
@shared_options
def kill(
    settings: Settings, runs: tuple[str, ...], every: bool, now: bool, reason: str | None, timeout: float, as_json: bool
) -> Exit:
    """Kill runs and wait for the proof.

    Exits 0 only with proof of death for every run named; 3 when any is unconfirmed.
    """
    if every == bool(runs):
        raise click.UsageError("name the runs to kill, or give --all (not both)")
    mode = "now" if now else "ladder"
    with connect(settings, Role.OPERATOR) as client:
        found, problems = ([], {}) if every else many_runs(client, runs)
        receipts = _killed(client, found, every, mode, reason, timeout)
    receipts += [_unknown(wanted, problem) for wanted, problem in problems.items()]
    if as_json:
        output.echo_json(receipts)
    else:
        output.echo("\n".join(map(receipt_lines, receipts)) if receipts else "no live runs")
        for problem in problems.values():
            output.note(str(problem))
    return _kill_exit(receipts, problems)


def _killed(
    client: HubClient, runs: list[str], every: bool, mode: str, reason: str | None, timeout: float
) -> list[dict[str, Any]]:
    if not (runs or every):
        return []
    body: dict[str, Any] = {"all": True} if every else {"run": runs[0]} if len(runs) == 1 else {"runs": runs}
    cmd = client.command("kill", mode=mode, note=reason, **body)
    report = client.follow(cmd, timeout)
    receipts = [_receipt(line) for line in report.get("runs", [])]
    told = {receipt["run"] for receipt in receipts}
    return receipts + [_receipt({"run": run, "status": "unconfirmed"}) for run in runs if run not in told]


def _receipt(line: dict[str, Any]) -> dict[str, Any]:
    points = [{name: point.get(name) for name in ("name", "ms", "outcome")} for point in line.get("points") or []]
    return {
        "run": line.get("run"),
        "proof": line.get("proof") or "none",
        "points": points,
        "total_ms": line.get("total_ms"),
        "status": line.get("status"),
    }


def _unknown(wanted: str, problem: CommandFailed) -> dict[str, Any]:
    return _receipt({"run": wanted, "status": problem.code})


def _kill_exit(receipts: list[dict[str, Any]], problems: dict[str, CommandFailed]) -> Exit:
    """A run that was found and is not proven dead matters most, then a name that fits none or several."""
    found = [receipt for receipt in receipts if receipt["run"] not in problems]
    if not all(map(is_proven, found)):
        return Exit.UNCONFIRMED
    return max((exit_of(problem) for problem in problems.values()), default=Exit.OK)


def _act(settings: Settings, do: str, runs: tuple[str, ...], timeout: float, as_json: bool, **body: Any) -> Exit:
    """Gives one command to each run, and waits for each; the first refusal ends it."""
    told = []
    with connect(settings, Role.OPERATOR) as client:
        given = [(run, client.command(do, run=run, **body)) for run in [one_run(client, wanted) for wanted in runs]]
        for run, cmd in given:
            status = "recorded"
            if timeout > 0:
                status = str(client.follow(cmd, timeout).get("status", status))
            told.append({"cmd": cmd, "do": do, "run": run, "status": status})
    if as_json:
        output.echo_json(told)
    else:
        output.echo("\n".join(f"{do}: {output.cell(one['run'])} {output.cell(one['status'])}" for one in told))
    applied = timeout <= 0 or all(one["status"] == "applied" for one in told)
    return Exit.OK if applied else Exit.UNCONFIRMED


@click.command()
@on_runs
def pause(settings: Settings, runs: tuple[str, ...], timeout: float, as_json: bool, **body: Any) -> Exit:
    """Hold runs at their next step."""
    return _act(settings, "pause", runs, timeout, as_json, **body)


@click.command()
@cap_options
@on_runs
def resume(
    settings: Settings,
    runs: tuple[str, ...],
    caps: dict[str, float] | None,
    timeout: float,
    as_json: bool,
    **body: Any,
) -> Exit:
    """Let paused runs go on, with higher limits if given.

    The limits given are those of the breakers that hold the run, or else the run's own: one decision raises the cap and
    lets the run go on.
    """
    return _act(settings, "resume", runs, timeout, as_json, caps=caps, **body)


@click.command()
@on_runs
def freeze(settings: Settings, runs: tuple[str, ...], timeout: float, as_json: bool, **body: Any) -> Exit:
    """Stop the processes of a run where they are (needs `opsconsole run`)."""
    return _act(settings, "freeze", runs, timeout, as_json, **body)


@click.command()
@on_runs
def thaw(settings: Settings, runs: tuple[str, ...], timeout: float, as_json: bool, **body: Any) -> Exit:
    """Let the processes of a frozen run go on."""
    return _act(settings, "thaw", runs, timeout, as_json, **body)


@click.command()
@click.argument("run")
@click.argument("text", metavar="TEXT|@FILE|-")
@click.option("--interrupt", is_flag=True, help="As soon as the agent can take it, not at its next step.")
@click.option("--timeout", type=duration, default="0", help="Wait so long until the agent has it; 3 if it has not [0].")
@json_option
@shared_options
def inject(settings: Settings, run: str, text: str, interrupt: bool, timeout: float, as_json: bool) -> Exit:
    """Give a run a message from the operator."""
    when = "interrupt" if interrupt else "next_step"
    return _act(settings, "inject", (run,), timeout, as_json, text=words(text, "TEXT"), when=when)


@click.command()
@click.argument("run")
@click.option("--reason", "note", help="Why, for the audit; needed to take it from another operator.")
@timeout_option
@json_option
@shared_options
def takeover(settings: Settings, run: str, timeout: float, as_json: bool, **body: Any) -> Exit:
    """Take a run over: you answer as its model.

    Its model calls then wait among the approvals: answer them with `opsconsole respond ID --text ...` or `--call NAME
    --args JSON`, and hand back with `opsconsole release RUN`.
    """
    return _act(settings, "takeover", (run,), timeout, as_json, **body)


@click.command()
@click.argument("run")
@click.option("--summary", metavar="TEXT|@FILE|-", help="What you did, for the agent to read.")
@click.option("--reason", "note", help="Why, for the audit.")
@click.option("--timeout", type=duration, default="0", help="Wait so long until the agent has it; 3 if it has not [0].")
@json_option
@shared_options
def release(settings: Settings, run: str, summary: str | None, timeout: float, as_json: bool, **body: Any) -> Exit:
    """Hand a taken-over run back."""
    text = None if summary is None else words(summary, "--summary")
    return _act(settings, "release", (run,), timeout, as_json, text=text, **body)
