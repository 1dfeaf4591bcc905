"""Running all detectors: each trouble told once, memories that come back, settings that change under way."""

from __future__ import annotations

import json

import pytest

from opsconsole.policy.detectors.finding import Detector
from opsconsole.policy.detectors.observation import Closed
from opsconsole.policy.detectors.registry import REGISTRY
from opsconsole.policy.detectors.tuning import Answer
from opsconsole.policy.detectors.watch import Detectors, Watch
from opsconsole.policy.file.settings import DetectorSettings, LatencySettings, LoopSettings
from tests.policy.detectors.recorded import all_runs
from tests.policy.detectors.seeing import ONLY, call, only, restarted, said, texts, told, turn
from tests.policy.facts.recorded_runs import ABSENT, is_present


def test_the_same_trouble_is_told_once_and_again_after_an_hour() -> None:
    detectors = only(loop=LoopSettings())
    assert len(told(detectors, [call(at=at) for at in range(20)])) == 2
    assert told(detectors, [call(at=3_600)]) == []
    assert len(told(detectors, [call(at=3_604)])) == 1


def test_trouble_that_was_dealt_with_is_told_when_it_comes_back() -> None:
    detectors = only(loop=LoopSettings())
    found = told(detectors, [call()] * 4)
    detectors.rearm(found[-1])
    assert texts(told(detectors, [call()])) == [("trip", "loop: search called 5 times with the same outcome")]


def test_two_fines_raise_the_threshold_of_that_agent_only() -> None:
    detectors = only(loop=LoopSettings())
    warned = told(detectors, [call()] * 3)[0]
    for _ in range(2):
        detectors.answer(warned, Answer.FINE, {"r": "bot"})
    assert told(detectors, [call()]) == []
    assert texts(told(detectors, [call()])) == [("trip", "loop: search called 5 times with the same outcome")]
    assert [severity for severity, _ in texts(told(detectors, [call(run="q", agent="other")] * 4))] == ["warn", "trip"]


def test_answers_tune_what_the_fleet_shares_too() -> None:
    detectors = only(latency=LatencySettings())
    usual = [turn(at=number, latency_ms=1_000.0) for number in range(20)]
    slow = [turn(at=30 + number, latency_ms=3_100.0) for number in range(3)]
    found = told(detectors, [*usual, *slow])[0]
    for _ in range(2):
        detectors.answer(found, Answer.FINE, {})
    later = [turn(at=300 + number, latency_ms=3_100.0) for number in range(3)]
    assert told(detectors, [turn(at=200, latency_ms=900.0), *later]) == []


def test_other_settings_hold_over_what_was_seen_before() -> None:
    detectors = only(loop=LoopSettings(trip=12))
    told(detectors, [call()] * 5)
    detectors.retune(DetectorSettings(**(ONLY | {"loop": LoopSettings(trip=6)})), {"r": "bot"})
    assert [severity for severity, _ in texts(told(detectors, [call()]))] == ["trip"]


def test_a_run_that_is_over_is_forgotten_and_its_end_remembers_nothing() -> None:
    detectors = only(loop=LoopSettings())
    told(detectors, [call()])
    detectors.forget("r")
    told(detectors, [Closed(run="r", at=1.0)])
    assert detectors.dump_run("r") is None


@pytest.mark.parametrize("state", [None, {}, [], {"version": 1}, {"version": 1, "memories": {"loop": [3]}, "told": 7}])
def test_a_memory_that_cannot_be_read_begins_anew(state: object) -> None:
    settings = DetectorSettings()
    watch = Watch.load("run", lambda agent: settings, state)
    assert watch.dump() == Watch("run", lambda agent: settings).dump()


def test_no_memory_holds_what_was_said_or_given() -> None:
    detectors = Detectors(DetectorSettings(agreement=True))
    secret = "hunter2hunter2"
    words = f"my password is {secret} and it is verified"
    told(detectors, [call(outcome=secret), call(outcome=words, ok=False), said("ana", words), said("ana", words)])
    assert secret not in json.dumps([detectors.dump_run("r"), detectors.fleet.dump()])


@pytest.mark.skipif(not is_present(), reason=ABSENT)
def test_a_restart_at_any_event_of_recorded_runs_changes_no_finding() -> None:
    settings = DetectorSettings(agreement=True)
    for number, seen in enumerate(all_runs()):
        if number % 400:
            continue
        whole, name = told(Detectors(settings), seen), seen[0].run
        for cut in {1, len(seen) // 3, len(seen) // 2, len(seen) - 1}:
            first = Detectors(settings)
            before = told(first, seen[:cut])
            assert before + told(restarted(first, name), seen[cut:]) == whole


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry.name)
def test_every_detector_can_be_made_and_remembers_as_json(entry) -> None:
    settings = DetectorSettings(agreement=True)
    detector: Detector = entry.make(lambda agent: settings)
    assert detector.watches
    detector.load(json.loads(json.dumps(detector.dump())))
