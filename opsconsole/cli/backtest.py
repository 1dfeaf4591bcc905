"""`policy backtest`: judges the calls of the last days again under a candidate policy; it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.exits import Exit
from opsconsole.cli.options import duration, json_option, shared_options
from opsconsole.cli.policy import policy
from opsconsole.cli.run_history import entries_since, known_timeline
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.policy.file.problem import PolicyError
from opsconsole.policy.interface import Decision
from opsconsole.policy.prices import PriceList
from opsconsole.scenario.backtest import SHOWN_MAX, Backtest, json_of
from opsconsole.scenario.files import read_policy_file
from opsconsole.scenario.recording import recorded
from opsconsole.scenario.replay import replay

RUNS_MAX = 5_000
"""The newest; what is left out is said. Each costs one or two questions to the hub."""
PROGRESS_RUNS = 100
"""So often a person is told how far it is."""
WORDS = {Decision.ALLOW: "allowed", Decision.ASK: "asked", Decision.DENY: "denied"}


@policy.command()
@click.argument("candidate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--since", default="30d", metavar="TIME", help="How far back: a number with m, h, d or w [30d].")
@click.option("--agent", help="Only runs of this agent.")
@json_option
@shared_options
def backtest(settings: Settings, candidate: Path, since: str, agent: str | None, as_json: bool) -> Exit:
    """Judge the calls of the past under CANDIDATE: verdicts then and now, questions an hour, dollars, stopped runs."""
    seconds = duration(since)
    try:
        judge = read_policy_file(candidate)
    except PolicyError as error:
        raise click.UsageError(f"{candidate} does not load:\n{error}") from None
    with connect(settings, Role.OPERATOR) as client:
        client.get("info")
        since_at = client.now - seconds
        by_run = _entries_by_run(client, since_at, agent)
        oldest = min((float(entries[0]["at"]) for entries in by_run.values()), default=since_at)
        found = Backtest(seconds=client.now - max(oldest, since_at), since=since_at)
        prices = PriceList(settings.prices)
        for number, (run, entries) in enumerate(list(by_run.items())[:RUNS_MAX], 1):
            rows, is_whole = known_timeline(client, run)
            found.unread += not is_whole
            found.add(replay(recorded(run, rows, entries, prices), judge))
            if number % PROGRESS_RUNS == 0 and not as_json:
                output.note(f"{number} of {len(by_run)} runs")
    if as_json:
        about = {"candidate": str(candidate), "policy": judge.hash, "since_seconds": seconds}
        output.echo_json(about | json_of(found))
    else:
        output.echo(_text(found, candidate))
    if len(by_run) > RUNS_MAX:
        output.note(f"only the newest {RUNS_MAX:,} of {len(by_run):,} runs were looked at")
    return Exit.OK


def _entries_by_run(client: HubClient, since: float, agent: str | None) -> dict[str, list[dict[str, Any]]]:
    """run -> its entries, oldest first; the runs with the newest entries first. Runs without a call are left out."""
    by_run: dict[str, list[dict[str, Any]]] = {}
    others: set[str] = set()
    for entry in entries_since(client, since):
        run = entry.get("run")
        if isinstance(run, str) and run:
            by_run.setdefault(run, []).append(entry)
            if agent and entry.get("agent") not in (None, agent):
                others.add(run)
    return {run: entries[::-1] for run, entries in by_run.items() if run not in others}


def _text(found: Backtest, candidate: Path) -> str:
    return "\n".join(_lines(found, candidate))


def _lines(found: Backtest, candidate: Path) -> Iterator[str]:
    name = output.cell(str(candidate), 200)
    yield f"{found.judged} calls of {found.runs} runs in {output.span(found.seconds)}, judged again by {name}\n"
    yield output.table(("", "ALLOW NOW", "ASK NOW", "DENY NOW", "THEN"), _table(found), frozenset({1, 2, 3, 4}))
    yield ""
    asked_then, asked_now = found.questions
    stopped, finished = len(found.stopped), len(found.stopped_finished)
    well = f"{found.finished} runs that had finished well" if found.finished else ""
    yield output.fields(
        {
            "questions an hour": f"{asked_then:,.2f} then, {asked_now:,.2f} now",
            "cost": output.money(found.cost_usd, known=not found.unpriced_turns),
            "saved": f"{output.money(found.saved_usd)}{_share(found)}" if stopped else "nothing",
            "runs stopped": f"{stopped} of {found.runs}" + (f", {finished} of the {well}" if well else ""),
            "calls refused": f"in {found.refused_finished} of the {well}" if well else "",
            "not judged": _not_judged(found),
        }
    )
    if found.changes:
        yield "\nWHAT CHANGES"
        rows = [(str(count), *map(output.cell, change)) for change, count in found.changes.most_common(SHOWN_MAX)]
        yield output.table(("CALLS", "RULE THEN", "SAID", "RULE NOW", "SAYS"), rows, frozenset({0}))
    if found.stopped:
        yield "\nRUNS THAT IT STOPS"
        most = sorted(found.stopped, key=lambda one: -one.saved_usd)[:SHOWN_MAX]
        runs = [
            [
                output.cell(one.run),
                output.cell(one.agent, 24),
                output.cell(one.state or "-"),
                f"{one.turn} of {one.turns}",
                output.money(one.saved_usd),
                output.cell(one.why, 60),
            ]
            for one in most
        ]
        yield output.table(("RUN", "AGENT", "ENDED", "TURN", "SAVES", "WHY"), runs, frozenset({3, 4}))
        if stopped > SHOWN_MAX:
            yield f"… {stopped - SHOWN_MAX} more (--json has all)"


def _table(found: Backtest) -> list[list[str]]:
    rows = [
        [f"{WORDS[then]} then", *(str(found.verdicts[then, now]) for now in Decision), str(found.then(then))]
        for then in Decision
    ]
    return [*rows, ["now", *(str(found.now(now)) for now in Decision), str(found.judged)]]


def _share(found: Backtest) -> str:
    return f" ({found.saved_usd / found.cost_usd:.0%})" if found.cost_usd else ""


def _not_judged(found: Backtest) -> str:
    parts = {
        "masked, no facts kept": found.unjudged,
        "no policy was asked then": found.unasked,
    }
    told = ", ".join(f"{count} calls ({why})" for why, count in parts.items() if count)
    incomplete = f"{found.unread} runs with an incomplete timeline" if found.unread else ""
    return "; ".join(part for part in (told, incomplete) if part)
