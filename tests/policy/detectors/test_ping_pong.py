"""Agents that talk and hand over in circles."""

from __future__ import annotations

from itertools import pairwise

from opsconsole.policy.detectors.observation import Handoff
from opsconsole.policy.file.settings import PingPongSettings
from tests.policy.detectors.seeing import call, only, restarted, said, texts, told


def circling(seen):
    return texts(told(only(ping_pong=PingPongSettings()), seen))


def handed(*names: str) -> list[Handoff]:
    return [Handoff(run="r", at=0.0, source=a, target=b) for a, b in pairwise(names)]


def test_saying_nearly_the_same_three_times_in_eight_is_shown_and_never_trips() -> None:
    polite = "thank you so much for your kind help with this, is there anything else"
    messages = [said("ana", f"{polite} {number}") for number in range(3)]
    assert circling(messages) == [("warn", "ping-pong: ana said nearly the same 3 times in its last 4 messages")]


def test_two_speakers_who_say_the_same_once_each_are_fine() -> None:
    assert circling([said(name, "we will look into that right away") for name in ("a", "b", "c")]) == []


def test_different_messages_are_fine() -> None:
    texts_said = ("the build is green again now", "next I look at the tests", "those three fail since monday noon")
    assert circling([said("ana", one) for one in texts_said]) == []


def test_short_words_of_assent_are_no_ping_pong() -> None:
    assert circling([said("ana", "yes please")] * 8) == []


def test_a_script_without_spaces_is_compared_by_its_characters() -> None:
    assert len(circling([said("ana", "我们需要再检查一次这个问题")] * 3)) == 1


def test_three_cycles_of_handing_over_with_nothing_new_are_shown() -> None:
    found = circling(handed("a", "b", "a", "b", "a", "b", "a"))
    assert found == [("warn", "ping-pong: a and b handed over 6 times, and no tool said anything new")]


def test_a_new_outcome_of_a_tool_breaks_the_circle_and_an_old_one_does_not() -> None:
    way = handed("a", "b", "a", "b", "a", "b", "a")
    assert circling([*way[:4], call(outcome="news"), *way[4:]]) == []
    assert len(circling([call(outcome="old"), *way[:4], call(outcome="old"), *way[4:]])) == 1


def test_messages_outlive_a_restart() -> None:
    detectors = only(ping_pong=PingPongSettings())
    again = said("ana", "we will look into that right away")
    told(detectors, [again, again])
    assert len(told(restarted(detectors, "r"), [again])) == 1
