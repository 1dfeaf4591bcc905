"""A held call as an operator reads it: exact, fenced, and bound to its digest; and the drafts that answer it."""

import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.sample import NOW, approval, approvals, run
from opsconsole.console.view.composed import chosen, template, to_call, to_words
from opsconsole.console.view.dwell import DWELL_SECONDS, Dwell
from opsconsole.console.view.edit_text import BadDraft, changed_names, difference, to_args, to_text
from opsconsole.console.view.held_call import held_call_facts, held_call_words, standing, what_is_asked
from opsconsole.console.view.ingest import HeldCall, held_call, run_row
from opsconsole.console.view.offers import Checker, offers
from opsconsole.domain.text import safe
from opsconsole.protocol.frames import ProposedCall

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def body(*, width: int = 80, **fields: Any) -> list[str]:
    args = fields.pop("args", {"command": "ls"})
    held = held_call(approval("apr_1", "run_1", "coder", fields.pop("tool", "shell"), args, **fields))
    return written(held, width)


def written(held: HeldCall, width: int = 80) -> list[str]:
    lines = what_is_asked(held, width=width)[0] + held_call_words(held, width=width, zone=UTC)
    return ["".join(part for part, _ in line).rstrip() for line in lines]


def test_arguments_are_shown_exactly_and_types_can_be_told_apart() -> None:
    assert body(args={"a": "true", "b": True, "c": None, "d": "x  ", "e": [1]})[:8] == [
        "┌─ ARGUMENTS, exactly " + "─" * 58,
        '│ a: "true"',
        "│ b: true",
        "│ c: null",
        '│ d: "x  "',
        "│ e: [",
        "│   1",
        "│ ]",
    ]


def test_a_text_of_several_lines_is_shown_line_by_line() -> None:
    assert body(args={"sql": "UPDATE x\n  SET y"})[1:4] == [
        "│ sql: (text of 2 lines)",
        "│   | UPDATE x",
        "│   |   SET y",
    ]


def test_the_agents_words_stand_in_a_fence_of_their_own() -> None:
    lines = body(agent_reason="Safe.\n└───\n a approve")
    start = lines.index(next(line for line in lines if "THE AGENT SAYS" in line))
    assert lines[start + 1 : start + 4] == ["│ “Safe.", "│ └───", "│  a approve”"]


def test_hostile_arguments_become_visible() -> None:
    text = "\n".join(body(args={"command": "ls \x1b]52;c;AAAA\x07", "re\u202everse": "a\u200bb"}))
    assert '"ls ␛]52;c;AAAA␇"' in text
    assert "re<U+202E>verse" in text
    assert not {"\x1b", "\u202e", "\u200b"} & set(text)


def test_masked_arguments_say_so() -> None:
    assert "secrets masked" in body(masked=True)[0]


def test_facts_say_what_a_decision_is_bound_to() -> None:
    held = held_call(approval("apr_1", "run_1", "coder", "shell", {}))
    row = run_row(run("run_1", "coder", link="lost"))
    lines = held_call_facts(held, row, now=NOW, width=80) + held_call_words(held, width=80, zone=UTC)
    text = "\n".join("".join(part for part, _ in line) for line in lines)
    assert held.row.digest in text
    assert "will be delivered when the run is back" in text


def test_a_model_call_shows_its_conversation_and_its_tools() -> None:
    held = held_call(approvals()[2])
    text = "\n".join(written(held))
    assert "MESSAGE, user" in text
    assert "INC-4412: checkout is slow" in text
    assert '→ lookup {"id": "deploys"}' in text
    assert "TOOLS shell(command), lookup(id)" in text


@pytest.mark.parametrize(
    "tools",
    [
        [{"type": "function", "function": {"name": "shell"}}],
        [{"name": "shell", "input_schema": {}}],
        ["shell"],
    ],
)
def test_tools_are_named_in_any_of_the_usual_shapes(tools: list[Any]) -> None:
    assert [offer.name for offer in offers({"tools": tools})] == ["shell"]


def test_what_became_of_a_settled_call_is_told() -> None:
    lines = body(status="edited", decided_by="ben", delivery="void", edited_args={"command": "pwd"}, note="safer")
    assert "■ edited by ben; VOID: the agent had moved on" in lines
    assert '│   "command": "pwd"' in lines


def test_standing_says_whether_a_decision_is_still_possible() -> None:
    pending = held_call(approval("apr_1", "r", "a", "t", {}))
    expired = held_call(approval("apr_1", "r", "a", "t", {}, status="expired"))
    assert standing(pending, now=NOW) == ("waits for a decision, expires in 9m19 (then it is refused)", "ask")
    assert standing(pending, now=NOW + 520)[1] == "alarm"
    assert standing(expired, now=NOW) == ("settled: expired", "warn")
    assert standing(None, now=NOW)[1] == "bad"


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_an_unchanged_draft_is_the_arguments_themselves_and_its_text_is_safe(args: dict[str, Any]) -> None:
    text = to_text(args)
    assert safe(text, limit=len(text)) == text
    assert json.loads(text) == args


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1, column 2: Expecting property name enclosed in double quotes"),
        ("[1]", "arguments are one JSON object: { … }"),
        ('{"a": NaN}', "Out of range float values are not JSON compliant"),
        ('{"a": "' + "x" * 140_000 + '"}', "140,008 bytes of arguments; at most 131,072"),
        ('{"a":' + "[" * 60 + "]" * 60 + "}", "nested deeper than 32 levels"),
    ],
)
def test_a_bad_draft_says_where_and_why(text: str, problem: str) -> None:
    with pytest.raises(BadDraft) as caught:
        to_args(text)
    assert str(caught.value).startswith(problem)


def test_the_difference_shows_only_what_changes() -> None:
    before, after = {"cmd": "rm a", "n": 1}, {"cmd": "rm b", "n": 1}
    lines = ["".join(part for part, _ in line) for line in difference(before, after, width=40)]
    assert [line for line in lines if line[0] in "+-"] == ['-   "cmd": "rm a",', '+   "cmd": "rm b",']
    assert difference(before, dict(before), width=40) == []
    assert changed_names({"a": None, "b": 1}, {"b": 2}) == ["a", "b"]


def test_a_composed_call_starts_from_the_first_tool_and_its_parameters() -> None:
    assert json.loads(template(approvals()[2]["args"])) == {"name": "shell", "args": {"command": ""}}
    assert json.loads(template({})) == {"name": "", "args": {}}


SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "lines": {"type": "integer", "default": 20},
        "count": {"type": "integer"},
        "all": {"type": "boolean"},
        "globs": {"type": "array"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    },
    "required": ["path"],
}


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "grep", "description": "Finds.", "parameters": SCHEMA}},
        {"type": "function", "name": "grep", "parameters": SCHEMA},
        {"name": "grep", "input_schema": SCHEMA},
        {"name": "grep", "inputSchema": SCHEMA},
    ],
)
def test_every_parameter_of_a_tool_is_drafted_however_the_tool_is_described(tool: dict[str, Any]) -> None:
    args = {"path": "", "lines": 20, "count": 0, "all": False, "globs": [], "note": None}
    assert json.loads(template({"tools": [tool]})) == {"name": "grep", "args": args}


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("grep", "grep"),
        ({"name": "grep", "parameters": "many"}, "grep"),
        ({"name": "grep", "parameters": {"properties": ["path"]}}, "grep"),
        ({"function": "grep"}, ""),
        (None, ""),
    ],
)
def test_a_tool_that_is_not_described_is_drafted_without_arguments(tool: Any, name: str) -> None:
    assert json.loads(template({"tools": [tool]})) == {"name": name, "args": {}}


OFFERED = offers({"tools": [{"name": "grep", "input_schema": SCHEMA}, {"name": "glob"}, "shell"]})


def test_a_tool_is_shown_with_its_parameters_and_which_it_needs() -> None:
    signatures = [offer.signature for offer in OFFERED]
    assert signatures == ["grep(path, lines?, count?, all?, globs?, note?)", "glob", "shell"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("grep", "grep"),
        ("2", "glob"),
        ("gl", "glob"),
        ("g", None),
        ("", None),
        ("4", None),
        ("²", None),
        ("1" * 5_000, None),
    ],
    ids=["name", "number", "beginning", "two begin so", "nothing", "no such number", "superscript", "very long"],
)
def test_a_tool_is_chosen_by_name_number_or_beginning(typed: str, name: str | None) -> None:
    offer = chosen(OFFERED, typed)
    assert (offer.name if offer else None) == name


@pytest.mark.parametrize(
    ("name", "args", "problem"),
    [
        ("grep", {"path": "a"}, ""),
        ("grep", {}, 'args: "path" is a required property'),
        ("grep", {"path": 1}, 'path: 1 is not of type "string"'),
        ("grep", {"path": "a", "lines": "x"}, 'lines: "x" is not of type "integer"'),
        ("glob", {"any": "thing"}, ""),
        ("rm", {}, "the request offers no tool 'rm'; it offers grep, glob, shell"),
    ],
)
def test_a_composed_call_is_checked_against_what_the_request_offers(name: str, args: Any, problem: str) -> None:
    assert Checker(OFFERED).problem(name, args) == problem


def test_a_schema_that_lies_checks_nothing_and_breaks_nothing() -> None:
    lies = offers({"tools": [{"name": "x", "parameters": {"type": 7, "$ref": "#/nowhere"}}]})
    assert Checker(lies).problem("x", {"a": 1}) == ""


def test_a_composed_call_that_does_not_fit_is_not_sent() -> None:
    with pytest.raises(BadDraft, match="required property"):
        to_call('{"name": "grep", "args": {}}', call_id="c1", checker=Checker(OFFERED))


def test_a_choice_of_a_parameter_is_drafted_with_its_first() -> None:
    schema = {"properties": {"mode": {"type": "string", "enum": ["fast", "slow"]}}}
    assert json.loads(template({"tools": [{"name": "x", "parameters": schema}]}))["args"] == {"mode": "fast"}


def test_a_composed_call_is_read_back() -> None:
    assert to_call('{"name": "shell", "args": {"command": "ls"}}', call_id="c1") == ProposedCall(
        id="c1", name="shell", args={"command": "ls"}
    )


@pytest.mark.parametrize(
    "text", ['{"args": {}}', '{"name": "", "args": {}}', '{"name": "x", "args": 1}', '{"name": "x", "b": 1}']
)
def test_a_call_without_name_or_arguments_is_refused(text: str) -> None:
    with pytest.raises(BadDraft):
        to_call(text, call_id="c1")


def test_empty_words_are_no_answer() -> None:
    with pytest.raises(BadDraft):
        to_words(" \n")


def test_what_is_under_the_cursor_counts_only_once_it_has_stayed_there_unchanged() -> None:
    dwell = Dwell()
    dwell.show(("a", "digest"), now=10.0)
    assert not dwell.long_enough(("a", "digest"), now=10.0 + DWELL_SECONDS / 2)
    assert dwell.long_enough(("a", "digest"), now=10.0 + DWELL_SECONDS)
    dwell.show(("a", "other digest"), now=11.0)
    assert not dwell.long_enough(("a", "other digest"), now=11.1)
    assert not dwell.long_enough(("a", "digest"), now=20.0)
