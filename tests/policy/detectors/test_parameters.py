"""Calls whose parameters are invented."""

from __future__ import annotations

from opsconsole.policy.file.settings import ParameterSettings
from tests.policy.detectors.seeing import only, proposed, restarted, texts, told


def invented(seen):
    return texts(told(only(parameters=ParameterSettings()), seen))


def test_each_kind_of_invention_warns_with_what_was_invented() -> None:
    assert invented([proposed(unknown_tool=True)]) == [("warn", "search: no such tool")]
    assert invented([proposed(schema_errors=("amount is no number",))]) == [
        ("warn", "search: against its schema: amount is no number")
    ]
    assert invented([proposed(unknown_names=("users.emial",), ungrounded=("card_7334",))]) == [
        ("warn", "search: unknown names: users.emial; never seen before: card_7334")
    ]


def test_many_values_are_counted_and_not_all_named() -> None:
    assert invented([proposed(ungrounded=("a", "b", "c", "d", "e"))]) == [
        ("warn", "search: never seen before: a, b, c and 2 more")
    ]


def test_three_in_ten_calls_trip() -> None:
    seen = [proposed(unknown_tool=True), *[proposed()] * 7, proposed(unknown_tool=True)]
    assert invented([*seen, proposed(unknown_tool=True)])[-1] == (
        "trip",
        "3 of the last 10 calls have invented parameters; search: no such tool",
    )
    assert [severity for severity, _ in invented([*seen, proposed(), proposed(unknown_tool=True)])] == ["warn"]


def test_what_was_wrong_outlives_a_restart() -> None:
    detectors = only(parameters=ParameterSettings())
    told(detectors, [proposed(unknown_tool=True)] * 2)
    assert [severity for severity, _ in texts(told(restarted(detectors, "r"), [proposed(unknown_tool=True)]))] == [
        "trip"
    ]
