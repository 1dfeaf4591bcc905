"""A run as a tape: what was known of it after each event, forwards, backwards and played."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.console.sample import NOW
from opsconsole.console.sample_history import events
from opsconsole.console.view.line import width_of
from opsconsole.console.view.playhead import QUIET_SECONDS_MAX, SPEEDS, Playhead
from opsconsole.console.view.replay_lines import headline, moment_line, when_line
from opsconsole.console.view.tape import Moment, Tape
from opsconsole.console.view.timeline import Timeline
from tests.console.test_timeline import row

EVENTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["tool", "message", "state", "note", "command", "usage", "_x"])},
        optional={
            "id": st.sampled_from(["a", "b", 7]),
            "status": st.sampled_from(["proposed", "running", "completed", "failed", 3]),
            "append": st.text(max_size=3),
            "text": st.text(max_size=3),
            "kind": st.sampled_from(["model_call", "tool_call", "checkpoint"]),
            "command": st.sampled_from(["k", None]),
            "gate": st.booleans(),
            "model": st.sampled_from(["m", None]),
            "turns": st.integers(-1, 5),
            "cost_usd": st.floats(0, 9),
        },
    ),
    max_size=12,
).map(lambda found: [row(at, **event) for at, event in enumerate(found, 1)])


def seen(tape: Tape, index: int) -> list[tuple[str, str, str, str]]:
    found = [(key, tape.step(key, index)) for key in tape.order(index)]
    return [(key, step.title, step.outcome, step.text) for key, step in found if step is not None]


@settings(deadline=None)
@given(EVENTS, st.integers(0, 12))
def test_a_moment_shows_the_steps_that_its_events_alone_would_make(rows: list[Any], index: int) -> None:
    index = min(index, len(rows))
    alone = Timeline("r1")
    alone.add(rows[:index])
    steps = [alone.steps[key] for key in alone.order() if not key.startswith("served@")]
    assert seen(Tape("r1", rows), index) == [(step.key, step.title, step.outcome, step.text) for step in steps]


@settings(deadline=None)
@given(EVENTS, st.lists(st.integers(0, 12), max_size=6))
def test_going_back_shows_what_was_there_before(rows: list[Any], jumps: list[int]) -> None:
    tape = Tape("r1", rows)
    before = {index: seen(tape, index) for index in range(len(tape) + 1)}
    assert [seen(tape, min(jump, len(tape))) for jump in jumps] == [before[min(jump, len(tape))] for jump in jumps]


def test_the_numbers_are_those_of_the_moment() -> None:
    tape = Tape("r1", events())
    assert tape.moment(0) == Moment()
    assert tape.moment(8) == Moment(
        agent="refunds", name="refund batch 88", state="working", turns=1, tokens=876, open_calls=0
    )
    last = tape.moment(len(tape))
    assert (last.turns, last.tokens, last.open_calls, last.cost_usd) == (3, 3_211, 1, None)


def test_stops_are_states_held_calls_failures_warnings_and_people() -> None:
    tape = Tape("r1", events())
    kinds = [tape.latest(index) for index in tape.stops]
    assert kinds[:3] == ["run@100.1", "state@101.2", "tool:c2"]
    assert {"tool:t2", "tool:c4", "command:cmd_1", "message:m3", "tool:call_sql"} <= set(kinds)
    assert "message:m2" not in kinds


def test_a_stop_is_reached_from_both_sides() -> None:
    tape = Tape("r1", events())
    assert [tape.next_stop(0), tape.next_stop(tape.stops[-1])] == [tape.stops[0], len(tape)]
    assert [tape.last_stop(len(tape) + 1), tape.last_stop(1)] == [tape.stops[-1], 0]


def test_a_time_is_found_among_the_events() -> None:
    tape = Tape("r1", events())
    assert [tape.index_at(NOW - 9_999), tape.index_at(NOW - 600), tape.index_at(NOW)] == [0, 1, len(tape)]


def test_playing_keeps_the_time_between_events_and_shortens_quiet_ones() -> None:
    rows = [{**row(at, type="note", text="x"), "at": NOW + when} for at, when in ((1, 0), (2, 8), (3, 8_000))]
    head = Playhead(Tape("r1", rows), speed=8)
    head.play()
    assert [head.advance(0.0), head.index] == [True, 1]
    assert [head.advance(0.9), head.index] == [False, 1]
    assert [head.advance(0.2), head.index] == [True, 2]
    for _ in range(int(QUIET_SECONDS_MAX)):
        head.advance(1.0)
    assert (head.index, head.playing) == (3, False)


def test_a_hand_on_the_tape_stops_it() -> None:
    head = Playhead(Tape("r1", events()), index=3)
    head.play()
    head.step(-1)
    assert (head.index, head.playing, head.advance(10.0)) == (2, False, False)


@given(st.lists(st.sampled_from(["on", "back", "play", "page", "stop", "last", "fast", "slow", "time"]), max_size=30))
def test_no_hand_leads_off_the_tape(hands: list[str]) -> None:
    head = Playhead(Tape("r1", events()))
    deeds: dict[str, Any] = {
        "on": lambda: head.step(1),
        "back": lambda: head.step(-1),
        "play": head.play,
        "page": lambda: head.page(1),
        "stop": lambda: head.stop(1),
        "last": lambda: head.stop(-1),
        "fast": lambda: head.faster(1),
        "slow": lambda: head.faster(-1),
        "time": lambda: head.advance(0.7),
    }
    for hand in hands:
        deeds[hand]()
        assert 0 <= head.index <= len(head.tape)
        assert head.speed in SPEEDS


@given(st.integers(1, 200), st.integers(0, 20))
def test_every_width_says_that_it_is_not_live(width: int, index: int) -> None:
    head = Playhead(Tape("r1", events()), index=index)
    lines = [
        headline(head, width=width),
        when_line(head, now=NOW, width=width, zone=UTC),
        moment_line(head, width=width),
    ]
    assert {width_of(line) for line in lines} == {width}
    assert width < 22 or "REPLAY, NOT LIVE" in lines[0][0][0]


def test_what_a_replay_says_of_the_cost_is_marked_as_its_authors_own_word() -> None:
    usage = {"type": "usage", "model": "gpt", "turns": 1, "input_tokens": 10, "cost_usd": 1.55}
    head = Playhead(Tape("run_A", [{"position": 1, "at": NOW, "event": usage | {"seq": 1}}]), index=1)
    words = "".join(text for text, _ in moment_line(head, width=120))
    assert "  ≈$1.5500 as told" in words
