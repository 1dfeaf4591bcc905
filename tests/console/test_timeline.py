"""A run's events folded into steps, from either end, whatever an agent sends."""

from datetime import UTC
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.sample import NOW
from opsconsole.console.sample_history import events
from opsconsole.console.view.line import width_of
from opsconsole.console.view.rows import Applied
from opsconsole.console.view.timeline import STEPS_MAX, TEXT_CHARS_MAX, Timeline
from opsconsole.console.view.timeline_lines import step_detail, step_line
from opsconsole.protocol.frames import Delta, Snap


def row(position: int, **event: Any) -> dict[str, Any]:
    return {"position": position, "gen": "g", "at": NOW + position, "event": {"seq": position, "ts": NOW, **event}}


def timeline(*rows: dict[str, Any]) -> Timeline:
    one = Timeline("r1")
    one.add(list(rows))
    return one


def shown(one: Timeline) -> list[tuple[str, str, str]]:
    return [(one.steps[key].what, one.steps[key].title, one.steps[key].outcome) for key in one.order()]


def test_a_call_is_one_step_from_proposal_to_end() -> None:
    one = timeline(
        row(1, type="tool", id="c1", name="shell", status="proposed", args={"command": "ls"}),
        row(2, type="tool", id="c1", status="running"),
        row(3, type="tool", id="c1", status="completed", result="ok", duration_ms=37),
    )
    assert shown(one) == [("tool", "shell command=ls", "✔ 37 ms")]


def test_a_message_grows_and_a_whole_text_replaces_it() -> None:
    one = timeline(
        row(1, type="message", id="m", role="assistant", append="Hel"),
        row(2, type="message", id="m", role="assistant", append="lo"),
    )
    assert shown(one) == [("assistant", "“Hello”", "")]
    one.add([row(3, type="message", id="m", role="assistant", text="Bye")])
    assert shown(one) == [("assistant", "“Bye”", "")]


def test_usage_is_not_a_step_and_an_unknown_type_is() -> None:
    one = timeline(row(1, type="usage", model="m", turns=3), row(2, type="_plan", goal="x"))
    assert shown(one) == [("_plan", "goal=x", "")]


def usage(position: int, turns: int, **more: Any) -> dict[str, Any]:
    told = {"model": "m", "served_model": "m-1", "fingerprint": "f", "turns": turns, "input_tokens": 100 * turns}
    return row(position, type="usage", **told | {"output_tokens": 10 * turns} | more)


def turn(position: int, id: str, status: str) -> dict[str, Any]:
    return row(position, type="tool", id=id, name="m", kind="model_call", status=status)


TWO_TURNS = [
    turn(1, "t1", "proposed"),
    turn(2, "t1", "running"),
    row(3, type="message", id="a", role="assistant", append="Hel"),
    usage(4, 1),
    turn(5, "t1", "completed"),
    turn(6, "t2", "running"),
    usage(7, 2, served_model="m-2", cache_read_tokens=50),
    turn(8, "t2", "completed"),
]


def test_a_turn_says_who_served_it_and_what_it_alone_used() -> None:
    one = timeline(*TWO_TURNS)
    asides = [one.steps[key].aside for key in ("tool:t1", "tool:t2")]
    assert asides == ["as m-1  100 in + 10 out", "as m-2  100 in + 10 out  50 cached"]


def test_what_a_turn_used_may_be_told_after_its_end_in_the_same_batch() -> None:
    ends = [turn(3, "t1", "completed"), usage(3, 1), turn(6, "t2", "completed"), usage(6, 2)]
    for place, one in enumerate(ends):
        one["event"]["seq"] = place + 10
    one = timeline(turn(1, "t1", "running"), *ends[:2], turn(4, "t2", "running"), *ends[2:])
    assert [one.steps[key].aside for key in ("tool:t1", "tool:t2")] == ["as m-1  100 in + 10 out"] * 2


def test_another_model_that_answers_to_the_same_name_is_drawn_where_it_began() -> None:
    drawn = [what for what in shown(timeline(*TWO_TURNS)) if "served by" in what[1]]
    assert drawn == [("model", "m is served by m-2 now, before by m-1", "")]
    assert timeline(*TWO_TURNS).order()[-2:] == ["tool:t2", "served@7.7"]


def test_another_build_of_a_model_is_drawn_too() -> None:
    one = timeline(usage(1, 1), usage(2, 2, fingerprint="g"))
    assert [title for _, title, _ in shown(one)] == ["m is another build now: fingerprint g, before f"]


@given(st.integers(1, 8))
def test_turns_are_told_apart_the_same_from_whichever_end_they_come(cut: int) -> None:
    backwards = timeline(*TWO_TURNS[cut:])
    backwards.add(TWO_TURNS[:cut])
    forwards = timeline(*TWO_TURNS)
    assert [(key, backwards.steps[key].aside) for key in backwards.order()] == [
        (key, forwards.steps[key].aside) for key in forwards.order()
    ]


def test_what_a_turn_used_is_not_guessed_where_the_reading_before_is_missing() -> None:
    one = timeline(turn(1, "t", "running"), usage(2, 9), turn(3, "t", "completed"))
    assert one.steps["tool:t"].aside == "as m-1"


def test_a_message_is_being_spoken_until_its_turn_ends() -> None:
    one = timeline(*TWO_TURNS[:3])
    assert one.speaking() == "message:a"
    one.add(TWO_TURNS[3:5])
    assert one.speaking() is None


def test_of_a_message_that_is_being_spoken_the_newest_words_are_shown() -> None:
    one = timeline(
        turn(1, "t", "running"), row(2, type="message", id="a", role="assistant", append="word " * 50 + "end")
    )
    line = "".join(part for part, _ in step_line(one.steps["message:a"], width=60, zone=UTC, speaking=True))
    assert line.rstrip().endswith("word end▌")
    assert len(line) == 60


def test_words_of_an_operator_who_answered_as_the_model_bear_their_author() -> None:
    one = timeline(row(1, type="message", id="a", role="assistant", text="Roll back.", author="ana"))
    assert shown(one) == [("assistant", "ana as the model: “Roll back.”", "")]


def test_a_decision_stands_on_the_timeline_with_who_made_it() -> None:
    one = timeline(row(1, type="command", command="c", do="decide", by="ana", status="edited", text="shell"))
    assert shown(one) == [("operator", "ana edited shell", "")]


def test_why_a_call_failed_or_was_denied_stands_in_its_line() -> None:
    one = timeline(row(1, type="tool", id="c", name="http", status="failed", error="timed out"))
    assert shown(one) == [("tool", "http", "✖: timed out")]


def test_the_sample_run_reads_in_order() -> None:
    one = timeline(*events())
    assert [what for what, _, _ in shown(one)] == [
        "run", "state", "user", "model", "assistant", "tool", "model", "model", "model", "tool", "tool", "operator",
        "assistant", "model", "assistant", "tool",
    ]  # fmt: skip


@given(st.integers(1, 9), st.booleans())
def test_paging_backwards_gives_the_same_steps_as_reading_forwards(cut: int, twice: bool) -> None:
    rows = [
        row(1, type="message", id="m", role="assistant", append="a"),
        row(2, type="tool", id="c", name="shell", status="proposed", args={"x": 1}),
        row(3, type="message", id="m", role="assistant", append="b"),
        row(4, type="tool", id="c", status="running"),
        row(5, type="state", state="working"),
        row(6, type="message", id="m", role="assistant", append="c"),
        row(7, type="tool", id="c", status="completed", result="done"),
        row(8, type="message", id="n", role="user", text="x"),
        row(9, type="message", id="n", role="user", append="y"),
    ]
    forwards, backwards = timeline(*rows), timeline(*rows[cut:])
    backwards.add(rows[:cut])
    if twice:
        backwards.add(rows[:cut])
    assert shown(backwards) == shown(forwards)


def test_a_snapshot_replaces_and_a_delta_continues() -> None:
    one = Timeline("r1")
    assert (
        one.snap(Snap(sub="s", epoch="e", part=0, end=True, rev=5, rows=[row(5, type="note", text="a")]))
        is Applied.APPLIED
    )
    assert one.delta(Delta(sub="s", from_rev=5, rev=6, rows=[row(6, type="note", text="b")])) is Applied.APPLIED
    assert one.delta(Delta(sub="s", from_rev=9, rev=10, rows=[])) is Applied.GAP
    assert [title for _, title, _ in shown(one)] == ["a", "b"]


def test_events_that_were_skipped_are_counted() -> None:
    one = Timeline("r1")
    one.snap(Snap(sub="s", epoch="e", part=0, end=True, rev=5, rows=[]))
    one.delta(Delta(sub="s", from_rev=5, rev=900, rows=[], skipped=412))
    assert one.skipped == 412


def test_ten_thousand_patches_of_one_message_cost_no_more_than_their_text() -> None:
    one = Timeline("r1")
    one.add([row(number, type="message", id="m", role="assistant", append="x" * 10) for number in range(1, 10_000)])
    assert len(one.steps["message:m"].text) == TEXT_CHARS_MAX


def test_only_so_many_steps_are_kept_and_the_newest_stay() -> None:
    one = timeline(*(row(number, type="note", text=str(number)) for number in range(1, STEPS_MAX + 101)))
    assert len(one.steps) == STEPS_MAX
    assert one.steps[one.order()[0]].title == "101"


def test_rows_that_are_no_events_are_passed_over() -> None:
    assert shown(timeline({"position": 1}, {"event": {"type": "note"}}, {"position": "x", "at": 1, "event": {}})) == []


def test_a_step_fits_any_width_and_opens_with_the_agents_words_fenced() -> None:
    one = timeline(
        row(1, type="tool", id="c", name="sh", status="failed", reason="I must", args={"a": "x\ny"}, error="bad\nworse")
    )
    step = one.steps["tool:c"]
    assert {width_of(step_line(step, width=width, zone=UTC)) for width in (20, 80)} == {20, 80}
    text = ["".join(part for part, _ in line) for line in step_detail(step, width=40, zone=UTC)]
    assert "│ I must" in [line.rstrip() for line in text]
    assert "│ worse" in [line.rstrip() for line in text]
