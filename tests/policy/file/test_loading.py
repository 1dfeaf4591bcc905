"""Loading tells everything that is wrong, where, and what may have been meant; no error is made an allow."""

from __future__ import annotations

import pytest

from opsconsole.policy.file.loader import LINE_CHARS_MAX, TEXT_CHARS_MAX, load
from opsconsole.policy.file.policy import diff
from opsconsole.policy.file.problem import PolicyError
from tests.policy.file.writing import policy, problems, rule

WRONG = {
    "no TOML": ("x = ", "this is no TOML: Invalid value (at end of document)"),
    "a key twice": ("a = 1\na = 2\n", "line 3: this is no TOML: Cannot overwrite a value"),
    "an unknown key": ("nmae = 'x'", "line 2: nmae: unknown key; did you mean name?"),
    "an unknown table": ("[rule]\nx = 1", "line 2: rule: unknown key; did you mean rules?"),
    "an unknown key of a rule": (
        rule("a", "ask") + "wehn = 'true'",
        "line 5: rules[1].wehn: unknown key; did you mean when?",
    ),
    "a rule without a decision": ("[[rules]]\nid = 'a'", "line 2: rules[1]: decision is missing"),
    "a rule without an id": ("[[rules]]\ndecision = 'ask'", "line 2: rules[1]: id is missing"),
    "two rules of one name": (
        rule("a", "ask") + rule("a", "deny"),
        "line 6: rules[2].id: a stands twice",
    ),
    "a decision that is none": (
        rule("a", "aks"),
        "line 4: rules[1].decision: give one of allow, ask, deny; did you mean ask?",
    ),
    "a decision like no other": (rule("a", "xyz"), "line 4: rules[1].decision: give one of allow, ask, deny"),
    "allow on error": (
        "[defaults]\non_error = 'allow'",
        "line 3: defaults.on_error: an error never allows a call",
    ),
    "allow on timeout": (
        "[defaults]\nask = { on_timeout = 'allow' }",
        "line 3: defaults.ask.on_timeout: silence never allows a call; give deny",
    ),
    "allow on timeout of a rule": (
        rule("a", "ask", ask="{ on_timeout = 'allow' }"),
        "line 5: rules[1].ask.on_timeout: silence never allows a call; give deny",
    ),
    "an unknown group": (
        "[people]\nfinance = ['dee']\n" + rule("a", "ask", ask="{ from = 'finanze' }"),
        "line 7: rules[1].ask.from: unknown group finanze; did you mean finance?",
    ),
    "more approvers than people": (
        "[people]\nfinance = ['dee']\n" + rule("a", "ask", ask="{ from = 'finance', approvers = 2 }"),
        "line 7: rules[1].ask.approvers: asks for 2 people; finance has 1",
    ),
    "an empty group": ("[people]\nfinance = []", "line 3: people.finance: names nobody: nobody could ever approve"),
    "an unknown person": (
        "[people]\nfinance = ['dee']\n" + rule("a", "ask", ask="{ not_by = 'dea' }"),
        "line 7: rules[1].ask.not_by: unknown person dea; did you mean dee?",
    ),
    "an ask where nobody is asked": (
        rule("a", "deny", ask="{ approvers = 2 }"),
        "line 5: rules[1].ask: stands in a rule that says deny: nobody is asked",
    ),
    "a reminder after the end": (
        "[defaults]\nask = { timeout = '1m', remind = '2m' }",
        "line 3: defaults.ask.remind: comes no earlier than the timeout",
    ),
    "a tool pattern that is empty": (
        rule("a", "ask", tool="'a||b'"),
        "line 5: rules[1].tool: is empty, or has an empty alternative or a character that cannot be printed; give "
        "names such as 'shell|bash' or 'pay_*'",
    ),
    "an unknown time zone": (
        "timezone = 'Mars/Olympus'",
        "line 2: timezone: 'Mars/Olympus' is no time zone that this machine knows, such as 'Europe/Berlin' or 'UTC'",
    ),
    "hours that are none": (
        "[hours]\noffice = 'always'",
        "line 3: hours.office: give days and times, such as 'Mon-Fri 09:00-17:00' or ['Mon-Thu 09:00-17:00', 'Fri "
        "09:00-15:00']",
    ),
    "a fact of no kind": (
        "[facts]\nsqll = { tool = 'run_sql', arg = 'query' }",
        "line 3: facts.sqll: unknown fact sqll; did you mean sql?",
    ),
    "a fact by a name that is taken": (
        "[facts]\nargs = { fact = 'sql', tool = 'run_sql', arg = 'query' }",
        "line 3: facts.args: give a name of letters, digits and '_' that expressions do not use otherwise",
    ),
    "a fact without tools": ("[facts]\nsql = { arg = 'query' }", "line 3: facts.sql: tool is missing"),
    "a setting that the fact refuses": (
        "[facts]\nsql = { tool = 'run_sql', arg = 'refused' }",
        "line 3: facts.sql.arg: give another",
    ),
    "a setting that the fact does not have": (
        "[facts]\nsql = { tool = 'run_sql', arg = 'query', shema = 'x.json' }",
        "line 3: facts.sql.shema: unknown key; did you mean schema?",
    ),
    "a file that is not there": (
        "[facts]\nsql = { tool = 'run_sql', arg = 'query', schema = 'x.json' }",
        "line 3: facts.sql.schema: x.json cannot be read",
    ),
    "a file elsewhere": (
        "[facts]\nsql = { tool = 'run_sql', arg = 'query', schema = '../x.json' }",
        "line 3: facts.sql.schema: '../x.json' is no name of a file beside the policy",
    ),
    "a breaker without a limit": (
        "[[breakers]]\nid = 'a'\nper = 'run'\ntrip = {}",
        "line 5: breakers[1].trip: holds no limit; known are cost_usd, turns, tokens, tool_calls, wall_clock, "
        "tool_calls_per_minute, same_tool_per_minute, turns_per_minute, tokens_per_minute, cost_usd_per_minute, "
        "latency_ratio, in_a_row",
    ),
    "a limit that does not exist": (
        "[[breakers]]\nid = 'a'\nper = 'run'\ntrip = { cost = 1.0, turns = 2 }",
        "line 5: breakers[1].trip.cost: unknown key; did you mean cost_usd?",
    ),
    "a limit of nothing": (
        "[[breakers]]\nid = 'a'\nper = 'run'\ntrip = { cost_usd = nan }",
        "line 5: breakers[1].trip.cost_usd: give a number above 0, at most 1e+12",
    ),
    "a window twice": (
        "[[breakers]]\nid = 'a'\nper = 'day'\nwithin = 'hour'\ntrip = { turns = 2 }",
        "line 5: breakers[1].within: stands beside per = 'day', which already is a time",
    ),
    "a warning after the trip": (
        "[detectors]\nloop = { warn = 6, trip = 4 }",
        "line 3: detectors.loop: warns above where it trips",
    ),
    "an unknown detector": ("[detectors]\nlop = false", "line 3: detectors.lop: unknown key; did you mean loop?"),
    "a case about no rule": (
        "[[expect]]\ntool = 'a'\ndecision = 'ask'\nrule = 'b'",
        "line 5: expect[1].rule: no rule of this file is called b",
    ),
    "a case at no time": (
        "[[expect]]\ntool = 'a'\ndecision = 'ask'\nat = 2026-11-22",
        "line 5: expect[1].at: give a date and time of these centuries, such as 2026-11-22T10:00:00+01:00",
    ),
    "a case about what JSON cannot carry": (
        "[[expect]]\ntool = 'a'\ndecision = 'ask'\nargs = { day = 2026-11-22 }",
        "line 5: expect[1].args: args.day is no JSON value",
    ),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_told_with_its_line_its_field_and_what_may_have_been_meant(text: str, told: str) -> None:
    assert problems(text) == [told]


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = "nmae = 'x'\n" + rule("a", "aks") + rule("b", "ask", "agrs.x == 1") + "[defaults]\nrisk = 'hihg'"
    assert [problem.split(":")[0] for problem in problems(text)] == ["line 2", "line 5", "line 9", "line 11"]


@pytest.mark.parametrize("version", ["2", "true", "'1'", "1.0"])
def test_another_version_is_refused(version: str) -> None:
    assert problems(f"[people]\na = []\n[x]\nversion = {version}") != []


def test_a_policy_without_a_version_is_refused() -> None:
    with pytest.raises(PolicyError, match="version is missing"):
        load("name = 'x'", read={}.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 4_000,
        "x = " + "{a=" * 2_000,
        ".".join(["a"] * 40) + " = 1",
        "x = { " + ".".join(["a"] * 40) + " = 1 }",
        "x = " + "9" * 5_000,
        "x = '" + "a" * LINE_CHARS_MAX + "'",
        "# a comment\n" * (TEXT_CHARS_MAX // 10),
        "x = '\ud800'",
    ],
    ids=["arrays", "tables", "key", "inner key", "number", "line", "file", "surrogate"],
)
def test_a_file_beyond_its_bounds_is_one_problem(text: str) -> None:
    assert len(problems(text)) == 1


def test_the_hash_covers_what_decides_and_neither_comments_nor_cases() -> None:
    plain = policy(rule("a", "deny"))
    told = policy("# why\n" + rule("a", "deny") + "[[expect]]\ntool = 'x'\ndecision = 'deny'\n")
    other = policy(rule("a", "deny", risk="'high'"))
    assert (told.hash == plain.hash, other.hash == plain.hash, told == plain, other == plain) == (
        True,
        False,
        True,
        False,
    )


def test_the_hash_covers_the_files_that_are_named() -> None:
    text = "[facts]\nsql = { tool = 'run_sql', arg = 'query', schema = 'x.json' }"
    one, other = (policy(text, {"x.json": data}) for data in (b'{"a": 1}', b'{"a": 2}'))
    assert one.hash != other.hash


def test_a_change_is_told_as_the_lines_that_changed() -> None:
    old, new = policy(rule("a", "deny")), policy(rule("a", "ask"))
    lines = diff(old, new).splitlines()
    assert (lines[0], lines[1]) == (f"--- {old.hash}", f"+++ {new.hash}")
    assert [line for line in lines[2:] if line[0] in "+-"] == ['-decision = "deny"', '+decision = "ask"']


def test_the_first_policy_is_told_whole_and_no_change_as_nothing() -> None:
    found = policy(rule("a", "deny"))
    assert diff(None, found).count("\n+") == len(found.text.splitlines()) + 1
    assert diff(found, found) == ""
