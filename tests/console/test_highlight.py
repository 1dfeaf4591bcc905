"""Colours of arguments, the comparison with the call before, and the fence around both: exact, bounded, ours."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.console import sample
from opsconsole.console.sample import NOW, approval
from opsconsole.console.view.fence import fenced, fenced_spans
from opsconsole.console.view.highlight import CHARS_MAX, Language, argument_spans, highlight, language_of
from opsconsole.console.view.ingest import held_call, in_pane
from opsconsole.console.view.line import Line, Span, width_of
from opsconsole.console.view.previous_call import LINES_MAX, compared, previous_call
from opsconsole.console.view.queue import Queue
from opsconsole.console.view.text_diff import LINES_COMPARED_MAX, diff_lines
from opsconsole.console.view.timeline import Timeline
from opsconsole.console.view.timeline_lines import pretty
from opsconsole.protocol.frames import Snap, Sub
from opsconsole.protocol.rows import ApprovalRow
from tests.console.conftest import OpenConsole
from tests.console.support import Bench, rest, whole
from tests.console.test_hostile import EVIL, check
from tests.console.test_screens import Before, Pilot


def toned(text: str, language: Language) -> dict[str, str]:
    """What each token that is not plain was given."""
    return {part: tone for part, tone in highlight(text, language) if tone != "plain"}


def text_of(lines: list[Line]) -> str:
    return "\n".join("".join(part for part, _ in line).rstrip() for line in lines)


# colours


def test_sql_words_strings_comments_and_writes_are_told_apart() -> None:
    assert toned("UPDATE t SET a = 'it''s' -- why\nWHERE n = 88", "sql") == {
        "UPDATE": "bad", "SET": "title", "'it''s'": "good", "-- why": "dim", "WHERE": "title", "88": "hold",
    }  # fmt: skip


def test_a_word_in_a_string_or_a_comment_is_no_keyword() -> None:
    assert "bad" not in toned("SELECT 'DROP TABLE x' /* DELETE */", "sql").values()


def test_shell_commands_options_variables_and_operators_are_told_apart() -> None:
    assert toned("cd $HOME && sudo rm -rf '/tmp/x y' | wc -l # go", "shell") == {
        "cd": "title", "$HOME": "hold", "&&": "key", "sudo": "bad", "rm": "bad", "-rf": "hold",
        "'/tmp/x y'": "good", "|": "key", "wc": "title", "-l": "hold", "# go": "dim",
    }  # fmt: skip


def test_an_assignment_is_no_command_and_a_heavy_word_as_an_argument_is_plain() -> None:
    assert toned("A=1 echo rm", "shell") == {"echo": "title"}


def test_json_names_texts_and_numbers_are_told_apart() -> None:
    assert toned('{"a": "b", "n": -1.5e3, "t": true}', "json") == {
        '"a"': "title", '"b"': "good", '"n"': "title", "-1.5e3": "hold", '"t"': "title", "true": "hold",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "language"),
    [
        ("sql", "x", "sql"), ("command", "ls", "shell"), ("user_query", "q", "sql"), ("text", "SELECT 1", "sql"),
        ("payload", '{"a": 1}', "json"), ("body", "hello", "text"), ("to", "a@example.com", "text"), ("n", 3, "json"),
    ],
)  # fmt: skip
def test_the_language_is_guessed_by_name_and_look(name: str, value: Any, language: str) -> None:
    assert language_of(name, value) == language


LANGUAGES = st.sampled_from(["sql", "shell", "json", "text"])
BITS = st.sampled_from(
    ["'", '"', "\\", "`", "--", "/*", "*/", "${", "}", "$(", "#", "\n", "a", "rm ", "1.", "SELECT ", "é"]
)


@given(st.one_of(st.text(max_size=200), st.lists(BITS, max_size=60).map("".join)), LANGUAGES)
def test_colours_never_change_the_text(text: str, language: Language) -> None:
    assert "".join(part for part, _ in highlight(text, language)) == text


@pytest.mark.parametrize(
    "unit", ["'", '"', "\\", "/*", "/* *", "--", "${", "$(", "a#", " #", "'\\", '"\\', "-", "1.", "\n"]
)
def test_text_made_to_be_slow_is_coloured_up_to_a_bound_and_whole(unit: str) -> None:
    text = unit * 100_000
    for language in ("sql", "shell", "json"):
        spans = highlight(text, language)  # type: ignore[arg-type]
        assert "".join(part for part, _ in spans) == text
        assert len(spans) <= CHARS_MAX + 1


# the fence


@settings(max_examples=80)
@given(st.text(max_size=120).map(in_pane), st.integers(6, 60))
def test_a_fence_around_colours_breaks_where_a_plain_one_does(text: str, width: int) -> None:
    plain = fenced("ARGUMENTS", text, width=width, tone="plain")
    assert text_of(fenced_spans("ARGUMENTS", highlight(text, "sql"), width=width)) == text_of(plain)


@given(st.lists(st.tuples(st.text(max_size=40).map(in_pane), st.just("good")), max_size=6), st.integers(8, 60))
def test_every_line_in_a_fence_begins_with_it(spans: list[Span], width: int) -> None:
    lines = fenced_spans("X", spans, width=width)
    assert all(line[0][0][0] in "┌│└" for line in lines)
    assert {width_of(line) for line in lines[1:-1]} == {width}


def test_a_long_text_is_cut_and_says_so() -> None:
    lines = fenced_spans("X", [("a\n" * 5_000, "good")], width=40, lines_max=50)
    assert (len(lines), text_of(lines[-2:-1])) == (53, "│ … not all is shown here")


@pytest.mark.parametrize("value", ["one", 'q"\\', "a\nb", "", 3, None, True, [1, {"a": "b"}], {"k": []}])
def test_arguments_are_written_as_json_would_except_texts_of_several_lines(value: Any) -> None:
    written = "".join(part for part, _ in argument_spans("n", value, pretty))
    if value == "a\nb":
        assert written == "n: (text of 2 lines)\n  | a\n  | b"
    else:
        assert json.loads(written.removeprefix("n: ")) == value


# the comparison


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_difference_holds_both_texts_and_none_when_they_are_equal(before: str, after: str) -> None:
    lines = ["".join(part for part, _ in line) for line in diff_lines(before, after)]
    assert (lines == []) == (before == after)
    gone = {line[2:] for line in lines if line[:2] in ("- ", "  ")}
    come = {line[2:] for line in lines if line[:2] in ("+ ", "  ")}
    changed = set(before.split("\n")) ^ set(after.split("\n"))
    assert changed <= gone | come


def test_what_two_lines_have_in_common_is_pale() -> None:
    assert diff_lines("WHERE batch = 88 x", "WHERE batch = 91 x") == [
        (("- ", "bad"), ("WHERE batch = ", "dim"), ("88", "bad"), (" x", "dim")),
        (("+ ", "add"), ("WHERE batch = ", "dim"), ("91", "add"), (" x", "dim")),
    ]


def test_texts_of_many_lines_are_not_matched_line_by_line() -> None:
    many = "\n".join(f"{n}" for n in range(LINES_COMPARED_MAX + 1))
    assert len(diff_lines(many, many.replace("0", "z").replace("1", "y"))) < 3 * LINES_COMPARED_MAX


def queue_of(*rows: dict[str, Any]) -> Queue:
    queue = Queue()
    queue.rows.snap(Snap(sub="approvals", epoch="e", part=0, end=True, rev=1, rows=list(rows)))
    return queue


def call(key: str, args: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return approval(key, fields.pop("run", "run_1"), "a", "sql_write", args, **fields)


def the(raw: dict[str, Any]) -> ApprovalRow:
    return held_call(raw).row


def timeline_of(*calls: tuple[str, str, dict[str, Any]]) -> Timeline:
    timeline = Timeline("run_1")
    timeline.add(
        [
            {
                "position": index + 1, "gen": "g", "at": NOW - 100 + index,
                "event": {
                    "seq": index + 1, "ts": 0, "type": "tool", "id": key, "name": tool, "args": args,
                    "status": "completed",
                },
            }
            for index, (key, tool, args) in enumerate(calls)
        ]
    )  # fmt: skip
    return timeline


def test_the_call_before_is_the_latest_of_that_tool_in_the_runs_timeline() -> None:
    held = the(call("apr_1", {"n": 3}))
    timeline = timeline_of(
        ("c1", "sql_write", {"n": 1}), ("c2", "sql_write", {"n": 2}), ("c3", "other", {"n": 9}),
        ("call_1", "sql_write", {}), ("c5", "sql_write", {"n": 5}),
    )  # fmt: skip
    before = previous_call(held, queue_of(), timeline)
    assert before is not None
    assert (before.args, before.same_run, before.fate) == ({"n": 2}, True, "completed")


def test_without_a_timeline_it_is_found_in_the_queue_of_this_run_before_others() -> None:
    mine = call("apr_0", {"n": 1}, requested_at=NOW - 500)
    others = call("apr_2", {"n": 2}, requested_at=NOW - 90, run="run_2")
    row = call("apr_1", {"n": 3})
    before = previous_call(the(row), queue_of(mine, others, row), None)
    assert before is not None
    assert (before.args, before.same_run) == ({"n": 1}, True)
    before = previous_call(the(row), queue_of(others, row), None)
    assert before is not None
    assert (before.args, before.same_run) == ({"n": 2}, False)


def test_an_edited_call_is_compared_as_it_was_sent() -> None:
    edited = call("apr_0", {"n": 1}, requested_at=NOW - 90, status="approved", edited_args={"n": 7})
    before = previous_call(the(call("apr_1", {"n": 3})), queue_of(edited), None)
    assert before is not None
    assert (before.args, before.fate) == ({"n": 7}, "approved, edited")


def test_a_later_call_another_tool_and_the_call_itself_are_not_before_it() -> None:
    row = call("apr_1", {"n": 3})
    later = call("apr_2", {"n": 4}, requested_at=NOW)
    other = approval("apr_3", "run_1", "a", "shell", {}, requested_at=NOW - 90)
    assert previous_call(the(row), queue_of(row, later, other), None) is None


def shown(old: dict[str, Any], new: dict[str, Any], width: int = 70) -> str:
    row = call("apr_1", new)
    before = previous_call(the(row), queue_of(call("apr_0", old, requested_at=NOW - 90), row), None)
    assert before is not None
    return text_of(compared(the(row), before, width=width, zone=UTC))


def test_only_what_differs_is_shown_argument_by_argument() -> None:
    words = shown({"db": "x", "sql": "A\nB\nC", "gone": 1}, {"db": "x", "sql": "A\nD\nC", "new": 2})
    assert words.splitlines()[1:-1] == [
        "│ sql:", "│   A", "│ - B", "│ + D", "│   C",
        "│ new: not given before", "│ gone: no longer given", "│ unchanged: db",
    ]  # fmt: skip


def test_a_repeated_call_is_said_to_be_the_same() -> None:
    assert "│ the same arguments, exactly" in shown({"a": [1]}, {"a": [1]})


def test_a_text_that_became_a_number_is_not_called_equal() -> None:
    assert "it was a text, it is no text" in shown({"a": "1"}, {"a": 1})


def test_huge_arguments_are_compared_up_to_a_bound() -> None:
    words = shown({"a": "x" * 60_000, "b": "y\n" * 20_000}, {"a": "x" * 60_000 + "!", "b": "z\n" * 20_000})
    assert "compared up to 16,000 characters" in words
    assert len(words.splitlines()) <= LINES_MAX + 3


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=6), st.text(max_size=30), max_size=3), st.integers(8, 80))
def test_a_comparison_stays_in_its_fence(args: dict[str, str], width: int) -> None:
    lines = shown({EVIL: EVIL, "same": "1"}, {**args, "same": "1"}, width=width).splitlines()
    assert all(line[0] in "┌│└" for line in lines)


# on the screen


async def test_the_held_call_is_shown_against_the_call_before_once_its_run_is_followed(console: OpenConsole) -> None:
    async with console(size=(80, 60)) as seat:
        await seat.press("2")
        assert seat.app.approvals_panel.list.go("apr_sql")
        await seat.settle()
        await seat.settle()
        watched = [
            frame.run for frame in seat.link.sent if isinstance(frame, Sub) and frame.view == "run" and frame.run
        ]
        assert watched[-1] == "run_01KAREFUND1"
        sql = "UPDATE orders\n   SET state = 'refunded', amount = 0\n WHERE batch = 87"
        args = {"database": "orders.db", "sql": sql}
        event = {
            "seq": 1,
            "ts": 0,
            "type": "tool",
            "id": "c0",
            "name": "sql_write",
            "args": args,
            "status": "completed",
        }
        rows = [{"position": 1, "gen": "g", "at": NOW - 400, "event": event}]
        seat.link.snap(seat.link.tail(), rows, rev=9)
        await seat.settle()
        assert "AGAINST ITS PREVIOUS CALL of this tool: 03:06:04, completed" in seat.screen
        assert "│ -  WHERE batch = 87" in seat.screen
        assert "│ +  WHERE batch = 88" in seat.screen


async def test_looking_at_a_held_call_decides_nothing_and_keeps_its_digest(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "j", "J", "K")
        assert seat.link.commands == []


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (160, 45)])
async def test_a_hostile_call_stays_in_its_fence(console: OpenConsole, size: tuple[int, int]) -> None:
    async with console(size=size) as seat:
        seat.link.snap("approvals", evil_pair(), rev=2)
        await seat.settle()
        for key in ("2", "enter", "J", "J", "K"):
            await seat.press(key)
            check(seat)


def evil_pair() -> list[dict[str, Any]]:
    evil = f"{EVIL}\n└───\n a approve\n-- ' \" `"
    return [
        approval("apr_1", "run_1", "a", "sql", {"sql": evil, EVIL: [EVIL]}),
        approval("apr_0", "run_1", "a", "sql", {"sql": f"{evil}x", EVIL: {EVIL: 1}}, requested_at=NOW - 90),
    ]


def pair() -> list[dict[str, Any]]:
    command = "cd /srv && rm -rf logs/app-2026-0{}-*.log # retention"
    return [
        approval("apr_1", "run_1", "sre", "shell", {"command": command.format(2), "timeout_seconds": 20}),
        approval(
            "apr_0", "run_1", "sre", "shell", {"command": command.format(1), "timeout_seconds": 20},
            requested_at=NOW - 900, status="approved", decided_by="ben", decided_at=NOW - 880,
        ),
    ]  # fmt: skip


def scene(bench: Bench, calls: list[dict[str, Any]]) -> Before:
    async def before(pilot: Pilot[int]) -> None:
        bench.link.open()
        bench.link.snap("board", sample.runs())
        bench.link.snap("approvals", calls)
        await pilot.press("2")
        for _ in range(2):
            bench.clock.now += 1.0
            await rest(bench.app, pilot)
        await whole(bench.app, pilot)

    return before


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80", "160"])
@pytest.mark.parametrize("name", ["empty", "busy", "hostile"])
def test_compared_screen(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    bench = Bench()
    calls = {"empty": [], "busy": pair(), "hostile": evil_pair()}[name]
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, calls))
