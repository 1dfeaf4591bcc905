"""`rehearse`: recorded traffic at several times its rate, replayed in simulated time; it asks the hub, no provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.options import duration, json_option, shared_options
from opsconsole.cli.rehearse_cost import seconds_per_event
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import ConfigError
from opsconsole.gateway.flow.gauges import Lane
from opsconsole.gateway.rehearse.recorded import Recording, read_questions, read_run
from opsconsole.gateway.rehearse.rehearsal import Load, Plan, Report, assumptions, rehearse
from opsconsole.gateway.rehearse.replay import lane_of
from opsconsole.gateway.rehearse.scripted import Limits
from opsconsole.policy.prices import PriceList

TIMES_MAX = 1_000
EVENTS_A_PAGE = 1_000
EVENTS_PER_RUN_MAX = 200_000
"""A longer timeline is read up to here, and said to be cut."""
HEADERS = ("WHAT", "WHERE", "PEAK AT X{times}", "LIMIT", "SHARE", "BREAKS AT", "FIRST TROUBLE")
NUMBERS = frozenset({2, 3, 4, 5, 6})


@click.command(name="rehearse")
@click.option("--times", default=10, type=click.IntRange(1, TIMES_MAX), help="How many times the traffic [10].")
@click.option("--since", default="24h", metavar="TIME", help="How far back the recorded traffic goes [24h].")
@click.option("--runs", "named", multiple=True, metavar="RUN", help="Only these runs; may be given again.")
@click.option("--operators", default=1, type=click.IntRange(1, 1_000), help="People on shift [1].")
@click.option("--tpm", multiple=True, metavar="MODEL=N", help="Tokens a minute that a model's provider allows.")
@click.option("--rpm", multiple=True, metavar="MODEL=N", help="Requests a minute that it allows.")
@click.option("--usd-per-hour", type=click.FloatRange(min=0, min_open=True), help="What may be spent an hour.")
@click.option("--seed", default=1, type=int, help="The same seed gives the same report [1].")
@json_option
@shared_options
def rehearse_command(
    settings: Settings,
    times: int,
    since: str,
    named: tuple[str, ...],
    operators: int,
    tpm: tuple[str, ...],
    rpm: tuple[str, ...],
    usd_per_hour: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Replay recorded traffic at several times its rate, in simulated time, and say what breaks first.

    Nothing is asked of any provider. Limits are those that gateways have last seen, unless --tpm and --rpm say others.
    """
    given = {"tokens": _amounts("--tpm", tpm), "requests": _amounts("--rpm", rpm)}
    with connect(settings, Role.OPERATOR) as client:
        recording = _recorded(client, duration(since), frozenset(named))
        seen = client.get("limits").get("rows") or []
    plan = Plan(
        times=times,
        operators=operators,
        seed=seed,
        limits=limits_of({lane_of(turn) for turn in recording.turns}, given, seen),
        usd_per_hour=usd_per_hour,
        seconds_per_event=seconds_per_event(),
    )
    report = rehearse(recording, plan, PriceList(settings.prices))
    if as_json:
        output.echo_json(report.to_json())
    elif not recording.turns and not recording.questions:
        output.note(f"nothing was recorded in the last {since}")
    else:
        output.echo(report_text(report))


def limits_of(
    lanes: Iterable[Lane], given: Mapping[str, Mapping[str, float]], seen: Iterable[Mapping[str, Any]]
) -> dict[Lane, Limits]:
    """What each model's provider allows: as given, else the lowest that a gateway has been told."""
    told: dict[tuple[str, str], float] = {}
    for row in seen:
        limit, kind = row.get("limit"), str(row.get("kind"))
        if isinstance(limit, int | float) and limit > 0:
            key = (str(row.get("model")), kind)
            told[key] = min(limit, told.get(key, limit))
    found = {}
    for lane in lanes:
        amounts = {kind: _given(given[kind], lane) or told.get((lane[2], kind)) for kind in ("tokens", "requests")}
        found[lane] = Limits(**amounts)
    return found


def report_text(report: Report) -> str:
    """The report for people."""
    recording, plan = report.recording, report.plan
    headers = [header.format(times=plan.times) for header in HEADERS]
    parts = [
        f"recorded: {recording.runs} runs, {len(recording.turns)} turns, {recording.calls} calls, "
        f"{len(recording.questions)} questions over {output.span(recording.seconds)}",
        _first_line(report),
        "",
        output.table(headers, [_cells(load) for load in report.loads], NUMBERS),
        "",
        *(_effect(load) for load in report.loads if load.what in ("TPM", "approvals an hour") and _effect(load)),
        "assumed:",
        *(f"  {line}" for line in assumptions(plan)),
    ]
    return "\n".join(parts)


def _first_line(report: Report) -> str:
    first = report.first
    if first is None or first.breaks_at_times is None:
        return "no limit is known: give --tpm, --rpm or --usd-per-hour"
    what = f"{first.what} ({output.cell(first.where)})"
    if first.breaks_at_times <= report.plan.times:
        return f"breaks first: {what}, at {first.breaks_at_times:.1f} times the recorded traffic"
    return f"nothing breaks at {report.plan.times} times; first would be {what}, at {first.breaks_at_times:.1f} times"


def _cells(load: Load) -> list[str]:
    at = load.first_at_seconds
    return [
        load.what,
        output.cell(load.where),
        _amount(load.load),
        "?" if load.limit is None else _amount(load.limit),
        "?" if load.share is None else f"{100 * load.share:.0f} %",
        "?" if load.breaks_at_times is None else f"x{load.breaks_at_times:.1f}",
        "-" if at is None else f"after {output.span(at)}",
    ]


def _effect(load: Load) -> str:
    more = load.more
    if load.what == "TPM" and (more["refused_by_provider"] or more["given_up"] or more["waited_max_seconds"]):
        return (
            f"{output.cell(load.where)}: turns waited {more['waited_p50_seconds']} s (p50), "
            f"{more['waited_p95_seconds']} s (p95); {more['refused_by_provider']} refused by the provider, "
            f"{more['given_up']} given up by their clients\n"
        )
    if load.what == "approvals an hour":
        return (
            f"held calls waited {more['waited_p50_seconds']} s (p50), {more['waited_p95_seconds']} s (p95) for a "
            f"person; a decision was taken to need {more['decision_seconds']} s\n"
        )
    return ""


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _recorded(client: HubClient, seconds: float, named: frozenset[str]) -> Recording:
    rows = client.rows("runs", live=0)
    since = client.now - seconds
    chosen = [str(row.get("run")) for row in rows if _concerns(row, since) and (not named or row.get("run") in named)]
    missing = named - set(chosen)
    if missing:
        raise ConfigError(f"no such run in this period: {', '.join(sorted(missing))}")
    parts = [read_run(run, _timeline(client, run), since) for run in chosen]
    kept = set(chosen)
    questions = [one for one in read_questions(client.rows("approvals", status="all"), since) if one.run in kept]
    return Recording(
        turns=tuple(turn for part in parts for turn in part.turns),
        questions=tuple(questions),
        events=tuple(at for part in parts for at in part.events),
        calls=sum(part.calls for part in parts),
    )


def _concerns(row: Mapping[str, Any], since: float) -> bool:
    last = row.get("ended_at") or row.get("progress_at")
    return isinstance(last, int | float) and last >= since


def _timeline(client: HubClient, run: str) -> Iterator[Mapping[str, Any]]:
    after, count = 0, 0
    while count < EVENTS_PER_RUN_MAX:
        page = client.get("runs", run, "events", after=after, limit=EVENTS_A_PAGE)
        events = page.get("events") or []
        yield from events
        count += len(events)
        following = page.get("next")
        if not events or not isinstance(following, int) or following <= after:
            return
        after = following
    output.note(f"{output.cell(run)}: only its first {EVENTS_PER_RUN_MAX:,} events are rehearsed")


def _amounts(flag: str, given: Iterable[str]) -> dict[str, float]:
    found = {}
    for one in given:
        model, mark, amount = one.rpartition("=")
        try:
            found[model.strip()] = float(amount.replace("_", "").replace(",", ""))
        except ValueError:
            mark = ""
        if not mark or not model.strip() or not found.get(model.strip(), 0) > 0:
            raise click.BadParameter(f"{one!r}; accepted: MODEL=NUMBER, the number above 0", param_hint=flag)
    return found


def _given(amounts: Mapping[str, float], lane: Lane) -> float | None:
    return amounts.get(f"{lane[0]}/{lane[2]}") or amounts.get(lane[2]) or amounts.get("*")
