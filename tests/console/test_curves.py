"""A run's numbers over time: charts, lanes and curves that are exactly as wide as asked, whatever was told."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.console.sample import NOW
from opsconsole.console.sample_history import events
from opsconsole.console.view.axis import LANES, Repeats, axis_lines, held_long, marks
from opsconsole.console.view.curves import context_points, cost_points, curve_lines
from opsconsole.console.view.line import width_of
from opsconsole.console.view.sparkline import by_column, chart, column_of
from opsconsole.console.view.timeline import Timeline
from opsconsole.protocol.rows import Alert
from tests.console.test_timeline import row, timeline, usage

TIMES = st.floats(-10, 110)
POINTS = st.lists(st.tuples(TIMES, st.floats(allow_nan=True, allow_infinity=True)), max_size=20)


def sample() -> Timeline:
    return timeline(*events())


def steps(one: Timeline) -> list[Any]:
    return [one.steps[key] for key in one.order()]


@given(POINTS, st.integers(0, 40), st.booleans())
def test_a_point_stands_in_the_column_of_its_time(points: list[Any], columns: int, steady: bool) -> None:
    values = by_column(points, start=0.0, end=100.0, columns=columns, steady=steady)
    assert len(values) == columns
    for at, value in points:
        column = column_of(at, start=0.0, end=100.0, columns=columns)
        if column is not None and abs(value) < float("inf"):
            known = values[column]
            assert known is not None
            assert known >= value


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), max_size=40), st.integers(1, 6))
def test_a_chart_is_as_high_and_wide_as_asked_and_every_value_is_seen(values: list[Any], height: int) -> None:
    rows = chart(values, height=height)
    assert [len(line) for line in rows] == [len(values)] * height
    assert [mark != " " for mark in rows[-1]] == [bool(value) for value in values]


def test_a_chart_reaches_its_top() -> None:
    assert chart([0.0, 1.0, 4.0, 8.0, None], height=2) == ["   █ ", " ▂██ "]


def test_cost_is_what_the_author_told_else_laid_out_by_tokens() -> None:
    told = timeline(usage(1, 1, cost_usd=0.5), usage(2, 2, cost_usd=0.75)).readings()
    assert cost_points(told, total_usd=9.0) == ([(NOW + 1, 0.5), (NOW + 2, 0.75)], True)
    untold = timeline(usage(1, 1), usage(2, 2)).readings()
    assert cost_points(untold, total_usd=9.0) == ([(NOW + 1, 4.5), (NOW + 2, 9.0)], False)


def test_the_context_is_what_one_turn_sent() -> None:
    one = timeline(usage(1, 1, input_tokens=100), usage(2, 2, input_tokens=350))
    assert context_points(one.readings()) == [(NOW + 1, 100.0), (NOW + 2, 250.0)]


def test_curves_say_what_they_show() -> None:
    lines = curve_lines(sample().readings(), total_usd=4.7, start=NOW - 600, end=NOW, width=60, height=2)
    words = "\n".join("".join(text for text, _ in line) for line in lines)
    assert "$4.7000  ≈ the run's total by tokens used" in words
    assert "1.2k in the latest request, 1.2k in the largest" in words


def test_every_kind_of_happening_has_its_lane() -> None:
    again = row(201, type="note", level="warning", text="retry 1 in 2.0 s: openai answered 529")
    one = timeline(*events(), {**again, "at": NOW - 30})
    alert = Alert(id="a", kind="loop", text="t", level="critical", at=NOW - 20)
    found = list(marks(steps(one), asked={"tool:call_sql"}.__contains__, alerts=[alert]))
    assert {mark.lane for mark in found} == set(LANES)
    lines = axis_lines(found, start=NOW - 600, end=NOW, width=80, zone=UTC)
    assert [line[0][0].strip() for line in lines] == [*LANES, ""]


def test_a_turn_after_a_failed_one_and_the_same_call_again_are_retries() -> None:
    call = {"type": "tool", "name": "http_get", "args": {"url": "/a"}}
    one = timeline(
        row(1, id="c1", status="failed", **call),
        row(2, id="c2", status="completed", **call),
        row(3, id="c3", status="completed", **call),
        row(4, id="c4", status="completed", **{**call, "args": {"url": "/b"}}),
    )
    repeats = Repeats()
    assert [step.key for step in steps(one) if repeats.is_one(step)] == ["tool:c2"]


@settings(deadline=None)
@given(st.integers(1, 120), st.floats(NOW - 700, NOW + 100), st.floats(0, 900), st.one_of(st.none(), TIMES))
def test_every_lane_is_exactly_as_wide_as_asked(width: int, start: float, seconds: float, at: float | None) -> None:
    found = marks(steps(sample()), asked=lambda _key: False)
    lines = axis_lines(found, start=start, end=start + seconds, width=width, zone=UTC, at=at)
    assert {width_of(line) for line in lines} == {width}


def test_calls_that_waited_as_only_a_person_lets_them_wait_were_asked_about() -> None:
    gate = {"type": "tool", "name": "x", "gate": True}
    one = timeline(
        {**row(1, id="quick", status="proposed", **gate), "at": NOW},
        {**row(2, id="quick", status="running", **gate), "at": NOW + 0.01},
        {**row(3, id="slow", status="proposed", **gate), "at": NOW},
        {**row(4, id="slow", status="running", **gate), "at": NOW + 3},
        {**row(5, id="slow", status="completed", **gate), "at": NOW + 9},
        {**row(6, id="open", status="held", **gate), "at": NOW},
        {**row(7, id="turn", status="held", kind="model_call", **gate), "at": NOW},
    )
    assert held_long(one) == {"tool:slow", "tool:open"}
    assert one.steps["tool:slow"].gate_seconds == 3.0
