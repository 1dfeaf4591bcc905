"""The limit that breaks first is named, whichever it is; the same seed gives the same report."""

import json

import pytest

from opsconsole.domain.usage import Usage
from opsconsole.gateway.flow.gauges import Lane
from opsconsole.gateway.rehearse.recorded import Recording
from opsconsole.gateway.rehearse.rehearsal import Load, Plan, Report, peak, rehearse
from opsconsole.gateway.rehearse.scripted import Limits, ScriptedProvider
from opsconsole.gateway.rehearse.shift import service_seconds, worked
from tests.gateway.rehearse.traffic import recording

LANE: Lane = ("openai", "", "gpt-4o")
SEEDS = range(1, 6)
WIDE = {"tokens": 10_000_000.0, "requests": 100_000.0}


def price(_provider: str, _model: str, usage: Usage) -> float | None:
    return usage.tokens * 1e-6


def reported(recorded: Recording, limits: dict[str, float | None] | None = None, **plan: object) -> Report:
    given = {"seconds_per_event": 1e-5, "usd_per_hour": 1_000.0, "operators": 50} | plan
    return rehearse(recorded, Plan(limits={LANE: Limits(**(limits or WIDE))}, **given), price)  # type: ignore[arg-type]


def first(report: Report) -> str:
    assert report.first is not None
    return report.first.what


def load(report: Report, what: str) -> Load:
    return next(one for one in report.loads if one.what == what)


@pytest.mark.parametrize("seed", SEEDS)
def test_tokens_a_minute_break_first(seed: int) -> None:
    report = reported(recording(seed=seed, tokens=5_000), {"tokens": 200_000.0, "requests": 10_000.0}, seed=seed)
    found = load(report, "TPM")
    assert (first(report), found.first_at_seconds is not None) == ("TPM", True)
    assert found.more["waited_max_seconds"] > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_requests_a_minute_break_first(seed: int) -> None:
    report = reported(recording(seed=seed, tokens=100), {"tokens": 1_000_000.0, "requests": 30.0}, seed=seed)
    assert (first(report), load(report, "RPM").first_at_seconds is not None) == ("RPM", True)


@pytest.mark.parametrize("seed", SEEDS)
def test_dollars_an_hour_break_first(seed: int) -> None:
    report = reported(recording(seed=seed), usd_per_hour=0.1, seed=seed)
    assert (first(report), load(report, "dollars an hour").first_at_seconds is not None) == ("dollars an hour", True)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_people_on_shift_break_first(seed: int) -> None:
    report = reported(recording(seed=seed, questions=60), operators=1, seed=seed)
    found = load(report, "approvals an hour")
    assert (first(report), found.first_at_seconds is not None) == ("approvals an hour", True)
    assert found.more["waited_p95_seconds"] > 300


@pytest.mark.parametrize("seed", SEEDS)
def test_the_hubs_cpu_breaks_first(seed: int) -> None:
    report = reported(recording(seed=seed, events=5_000), seconds_per_event=5e-3, seed=seed)
    assert first(report) == "hub CPU"


def test_what_does_not_break_says_at_how_many_times_it_would() -> None:
    report = reported(recording(tokens=1_000), {"tokens": 500_000.0, "requests": 10_000.0}, times=2)
    found = load(report, "TPM")
    assert report.to_json()["breaks"] is False
    assert found.breaks_at_times == pytest.approx(2 * 500_000 / found.load)
    assert (found.more["refused_by_provider"], found.more["given_up"], found.first_at_seconds) == (0, 0, None)


def test_more_operators_share_the_questions() -> None:
    alone, four = (reported(recording(questions=60), operators=count) for count in (1, 4))
    assert load(alone, "approvals an hour").load == 4 * load(four, "approvals an hour").load


def test_the_same_seed_gives_the_same_report() -> None:
    reports = [
        json.dumps(reported(recording(tokens=5_000, questions=9), {"tokens": 9e4, "requests": 60}, seed=7).to_json())
        for _ in range(2)
    ]
    assert reports[0] == reports[1]


def test_one_time_the_traffic_is_the_traffic() -> None:
    recorded = recording()
    report = reported(recorded, times=1)
    assert load(report, "RPM").load == peak(((turn.at, 1.0) for turn in recorded.turns), 60.0)


def test_a_limit_that_nobody_knows_is_not_judged() -> None:
    report = reported(recording(), {"tokens": None, "requests": None}, usd_per_hour=None, seconds_per_event=None)
    assert (report.first, load(report, "TPM").share) == (None, None)


def test_a_model_without_a_price_is_named_and_not_free() -> None:
    report = rehearse(recording(), Plan(), lambda provider, model, usage: None)
    assert load(report, "dollars an hour").more == {"unpriced_models": ["gpt-4o"]}


def test_nothing_recorded_breaks_nothing() -> None:
    assert reported(Recording(turns=(), questions=(), events=())).loads == ()


def test_every_turn_of_every_copy_is_answered_or_given_up() -> None:
    report = reported(recording(tokens=5_000), {"tokens": 200_000.0, "requests": 10_000.0})
    assert load(report, "TPM").more["turns"] == 10 * 80


def test_a_peak_is_the_fullest_window() -> None:
    assert peak([(0.0, 1.0), (59.0, 1.0), (60.0, 5.0), (130.0, 1.0)], 60.0) == 6.0


def test_the_scripted_provider_refuses_what_has_no_room_and_says_when_it_will() -> None:
    provider = ScriptedProvider(Limits(tokens=6_000))
    assert provider.ask(6_000, 0.0)[0] == 200
    status, headers = provider.ask(1_000, 1.0)
    assert (status, headers["retry-after-ms"]) == (429, "9000")
    assert provider.ask(1_000, 10.0)[0] == 200


def test_questions_wait_for_a_free_operator() -> None:
    result = worked([0.0, 0.0, 0.0], 2, 100.0, 60.0)
    assert (result.waits, result.first_late_at) == ([0.0, 0.0, 100.0], 0.0)


def test_a_decision_takes_what_the_quick_ones_took() -> None:
    assert (service_seconds([10, 20, 100, 400, 500]), service_seconds([1, 1]), service_seconds([])) == (20, 5.0, 30.0)
