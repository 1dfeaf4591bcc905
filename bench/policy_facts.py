"""What the facts about arguments are worth and cost: SQL names and grounding on recorded runs, hostile text too."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

from bench.result import Row, spread
from opsconsole.policy.facts.interface import NO_HISTORY, Fact, FactValue, History
from opsconsole.policy.facts.registry import FACTS
from opsconsole.policy.facts.sql import SQL
from opsconsole.policy.redaction import Masker, masker, redact_text
from tests.policy.facts import shell_commands
from tests.policy.facts.recorded_runs import ABSENT, SqlRuns, airline_calls, is_present
from tests.policy.test_redaction import HARMLESS, SECRETS

PRECISION_MIN = 0.96
RECALL_MIN = 0.99
SQL_US_MAX = 450.0
HOSTILE_MS_MAX = 100.0
TRICKY_MIN = 200
SECRETS_MIN = 24
REDACTION_MS_MAX = 1.0
ACTING = ("WRITES", "WRITES_DESTRUCTIVE", "LEAVES", "LEAVES_DESTRUCTIVE", "UNCLEAR")
"""Lists of commands of which none only reads."""
WORDS = ("The refund of order 4711 for mia_li_3668 is within its token budget, says the ticket. " * 60)[:5_000]

HOSTILE = (
    "SELECT " + "(" * 29 + "1" + ")" * 29,
    "SELECT " + "(" * 1_700 + "1" + ")" * 1_700,
    "SELECT " + "- " * 3_000 + "1",
    "SELECT " + "1+" * 1_700 + "1",
    "SELECT a FROM t WHERE " + " OR ".join(["a=1"] * 800),
    " UNION ".join(["SELECT a FROM t"] * 690),
    "SELECT " + ",".join(["a"] * 1_700) + " FROM t",
    "SELECT * FROM " + "(SELECT * FROM " * 29 + "t" + ") x" * 29,
    "WITH c0 AS (SELECT * FROM t)"
    + "".join(f", c{n} AS (SELECT x.*, y.* FROM c{n - 1} x, c{n - 1} y)" for n in range(1, 130))
    + " SELECT * FROM c129",
    "INSERT INTO t VALUES " + ",".join(["(1,2)"] * 550),
    "SELECT '" + "''" * 9_900 + "'",
    "SELECT a FROM t WHERE " + "a BETWEEN " * 1_500 + "1",
)
ARGUMENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "url": ({"arg": "a", "allow": ["acme.example"]}, {"a": "https://docs.acme.example/guide?page=2"}),
    "email": ({"arg": "a", "own_domains": ["acme.example"]}, {"a": ["ana@acme.example", "x@evil.test"]}),
    "path": ({"arg": "a", "workspace": "/srv/work"}, {"a": "src/app/main.py"}),
    "grounding": ({}, {"user_id": "mia_li_3668", "flights": [{"number": "HAT136", "date": "2024-05-20"}]}),
    "schema": (
        {"schema": {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}},
        {"amount": 250.0, "to": "eve"},
    ),
}


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark; those on recorded runs only where there are some."""
    rows = [_hostile(3 if is_quick else 10), *_others(200 if is_quick else 5_000), *_shell(), *_redaction()]
    if not is_present():
        print(ABSENT, file=sys.stderr)
        return rows
    return [*_sql(["tuning"] if is_quick else ["tuning", "frozen"]), _grounding(), *rows]


def _sql(halves: list[str]) -> list[Row]:
    rows: list[Row] = []
    times: list[float] = []

    def timed(fact: Fact, args: dict[str, Any], history: History) -> dict[str, FactValue]:
        before = time.thread_time()
        found = fact(args, history)
        times.append((time.thread_time() - before) * 1e6)
        return found

    for half in halves:
        score = SqlRuns(half).measure(timed)
        more = {"calls": score.calls, "right": score.right, "wrong": score.wrong, "missed": score.missed}
        for what, share, limit in (
            ("precision", score.precision, PRECISION_MIN),
            ("recall", score.recall, RECALL_MIN),
        ):
            text = f"unknown SQL names, {what}, {half} half"
            rows.append(_row(text, share, "of 1", limit=limit, sense="at least", more=more))
    cost = spread(times)
    return [*rows, _row("the SQL fact, a distinct recorded query, median", cost["p50"], "us", SQL_US_MAX, more=cost)]


def _grounding() -> Row:
    flagged, calls = airline_calls()
    right = sum(each.answer.startswith("Error") for each in flagged)
    more = {"flagged": len(flagged), "calls": calls.total()}
    share = right / max(1, len(flagged))
    return _row("invented identifiers, precision", share, "of 1", 1.0, sense="at least", more=more)


def _hostile(rounds: int) -> Row:
    """The slowest of hostile queries, each at its best of some rounds: other work of the machine is not its own."""
    fact = SQL({"arg": "q", "dialect": "postgres", "schema": {"t": {"a": "int"}}})
    slowest = max(min(_ms(fact, {"q": query}) for _ in range(rounds)) for query in HOSTILE)
    return _row("the SQL fact, the slowest hostile query", slowest, "ms", HOSTILE_MS_MAX)


def _others(calls: int) -> list[Row]:
    rows: list[Row] = []
    for name, (config, args) in ARGUMENTS.items():
        fact = FACTS[name](config)
        cost = spread([_ms(fact, args) * 1e3 for _ in range(calls)])
        rows.append(_row(f"the fact {name}, median", cost["p50"], "us", more=cost))
    return rows


def _shell() -> list[Row]:
    """The list of tricky commands: none that does more than read may be classed read-only."""
    fact = FACTS["shell"]({"arg": "command", "workspace": shell_commands.WORKSPACE})
    more_than_reading = [command for name in ACTING for command in getattr(shell_commands, name)]
    commands = [*more_than_reading, *shell_commands.READ_ONLY]
    wrong = [command for command in more_than_reading if fact({"command": command}, NO_HISTORY)["read_only"]]
    cost = spread([_ms(fact, {"command": command}) * 1e3 for command in commands for _ in range(3)])
    more = {"commands": len(commands), "wrong": wrong}
    return [
        _row("tricky shell commands", len(commands), "commands", TRICKY_MIN, sense="at least"),
        _row("those that do more than read and are classed read-only", len(wrong), "commands", 0, more=more),
        _row("the fact shell, a tricky command, median", cost["p50"], "us", more=cost),
    ]


def _redaction() -> list[Row]:
    mask = masker(b"key")
    masked = sum(secret not in redact_text(f"use {secret} now", mask) for secret in SECRETS.values())
    touched = sum(redact_text(text, mask) != text for text in HARMLESS)
    rows = [
        _row("listed secrets that are masked", masked, f"of {len(SECRETS)}", SECRETS_MIN, sense="at least"),
        _row("harmless strings that are changed", touched, f"of {len(HARMLESS)}", 0),
    ]
    for name, text, limit in (
        ("words", WORDS, REDACTION_MS_MAX),
        ("words with secrets of 3 kinds", _with_secrets(3), REDACTION_MS_MAX),
        ("words with secrets of 15 kinds", _with_secrets(15), REDACTION_MS_MAX),
        ("words with every listed secret", _with_secrets(len(SECRETS)), REDACTION_MS_MAX),
    ):
        cost = spread([_mask_ms(text, mask) for _ in range(200)])
        rows.append(_row(f"redaction of 5 kB of {name}, median", cost["p50"], "ms", limit, more=cost))
    return rows


def _with_secrets(kinds: int) -> str:
    lines = [f"{WORDS[:100]}\n{secret}\n" for secret in list(SECRETS.values())[:kinds]]
    return (WORDS[:1_000] + "".join(lines) + WORDS)[:5_000]


def _mask_ms(text: str, mask: Masker) -> float:
    before = time.thread_time()
    redact_text(text, mask)
    return (time.thread_time() - before) * 1e3


def _ms(fact: Fact, args: dict[str, Any]) -> float:
    gc.disable()
    before = time.thread_time()
    fact(args, NO_HISTORY)
    elapsed = time.thread_time() - before
    gc.enable()
    return elapsed * 1e3


def _row(what: str, measured: float, unit: str, limit: float | None = None, **more: Any) -> Row:
    return Row(bench="policy_facts", what=what, measured=measured, unit=unit, limit=limit, **more)
