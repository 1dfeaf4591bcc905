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


def test_why_a_call_failed_or_was_denied_stands_in_its_line() -> None:
    one = timeline(row(1, type="tool", id="c", name="http", status="failed", error="timed out"))
    assert shown(one) == [("tool", "http", "✖: timed out")]


def test_the_sample_run_reads_in_order() -> None:
    one = timeline(*events())
    assert [what for what, _, _ in shown(one)] == [
        "run", "state", "user", "model", "tool", "tool", "operator", "assistant", "tool",
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
