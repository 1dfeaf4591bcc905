"""Claims that nothing supports: an experimental marker, off until asked for."""

from __future__ import annotations

from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.settings import DetectorSettings
from tests.policy.detectors.seeing import call, only, restarted, said, texts, told


def claimed(seen):
    return texts(told(only(agreement=True), seen))


def test_it_is_off_until_asked_for() -> None:
    assert told(Detectors(DetectorSettings()), [said("ana", "The migration is verified.")]) == []


def test_a_claim_that_no_tool_has_shown_is_marked() -> None:
    assert claimed([said("ana", "I looked. The migration is verified.")]) == [
        ("warn", "unsupported agreement: ana states “The migration is verified”, and no tool has shown it")
    ]


def test_a_success_that_speaks_of_it_supports_it_and_a_failure_does_not() -> None:
    asked, claim = said("ben", "Please run the migration."), said("ana", "The migration is done.")
    assert claimed([asked, call(outcome="migration applied"), claim]) == []
    assert len(claimed([asked, call(outcome="migration failed", ok=False), claim])) == 1


def test_what_was_shown_before_it_came_up_supports_nothing() -> None:
    shown, asked = call(outcome="migration applied"), said("ben", "Now undo the migration.")
    assert len(claimed([shown, asked, said("ana", "The migration is done.")])) == 1


def test_a_question_or_a_plan_is_no_claim() -> None:
    assert claimed([said("ana", "Shall I run the migration?"), said("ana", "I will verify the migration.")]) == []


def test_disagreements_that_end_without_evidence_are_told_after_three() -> None:
    quarrel = [said("ben", "I disagree with that plan."), said("ana", "You are right, let us go on.")]
    assert claimed(quarrel * 2) == []
    assert claimed(quarrel * 3) == [
        ("warn", "unsupported agreement: 3 of 3 disagreements ended in agreement with nothing new shown")
    ]
    assert claimed([one for _ in range(3) for one in (quarrel[0], call(), quarrel[1])]) == []


def test_what_came_up_outlives_a_restart() -> None:
    detectors = only(agreement=True)
    told(detectors, [said("ben", "Please run the migration."), call(outcome="migration applied")])
    assert told(restarted(detectors, "r"), [said("ana", "The migration is done.")]) == []
