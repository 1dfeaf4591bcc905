"""How an entry of the audit reads on one line."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

import opsconsole.hub
from opsconsole.domain.approval import Answer
from opsconsole.hub.desk.control import RULES
from opsconsole.protocol.audit_words import WORDS, audit_words

HUB = Path(opsconsole.hub.__file__).parent
RECORDS = re.compile(r'(?:\.entry\(|Fact\(kind=)\s*"([a-z_.]+)"')


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {
                "kind": "approval.decided",
                "answer": "approve",
                "tool": "bash",
                "args": {"cmd": "ls"},
                "note": "fine",
                "seconds_to_decide": 3.178,
                "edited_args": None,
                "text": None,
                "calls": [],
            },
            'approved bash {"cmd": "ls"} after 3.2 s: fine',
        ),
        (
            {"kind": "approval.decided", "answer": "edit", "tool": "sql", "args": {"q": 1}, "edited_args": {"q": 2}},
            'edited sql {"q": 1}, as {"q": 2}',
        ),
        (
            {
                "kind": "approval.requested",
                "tool": "rm",
                "args": {},
                "risk": "high",
                "rule": "r:1",
                "why": "it deletes",
            },
            "held rm, risk high, r:1: it deletes",
        ),
        (
            {"kind": "kill", "mode": "ladder", "runs": ["run_1"], "unknown": [], "reason": "enough"},
            "kill ladder of 1 run: enough",
        ),
        (
            {"kind": "kill", "mode": "now", "all": True, "runs": ["a", "b"], "unknown": ["c"]},
            "kill now of 2 runs, not known: c",
        ),
        (
            {"kind": "kill.outcome", "status": "dead", "proof": "process", "total_ms": 109.2},
            "dead, proof process, 109 ms",
        ),
        (
            {"kind": "kill.outcome", "status": "unconfirmed", "proof": "none", "total_ms": None},
            "unconfirmed, proof none",
        ),
        (
            {"kind": "call.verdict", "outcome": "deny", "tool": "sh", "rule": "gate:dead", "why": "ended"},
            "denied sh, gate:dead: ended",
        ),
        (
            {"kind": "call.outcome", "tool": "sh", "status": "failed", "duration_ms": 1.6, "result": "no"},
            "sh failed, 2 ms: no",
        ),
        (
            {"kind": "run.resume", "do": "resume", "caps": {"cost_usd": 9.5, "turns": None}},
            "resume with limits cost_usd 9.5",
        ),
        ({"kind": "run.inject", "do": "inject", "text": "stop at noon", "note": ""}, "inject stop at noon"),
        (
            {"kind": "run.ended", "agent": "a", "state": "failed", "exit_code": 0, "turns": 2, "cost_usd": 0},
            "a failed, exit 0, 2 turns, $0",
        ),
        ({"kind": "login", "how": "websocket", "path": "/v1/operator"}, "login over websocket"),
        (
            {"kind": "login.refused", "status": 401, "code": "unauthorised", "path": "/x", "from": "h:1"},
            "refused: unauthorised at /x from h:1",
        ),
        (
            {"kind": "login.refused", "of": ["unauthorised", "h"], "more": 4, "seconds": 60.0},
            "refused 4 more times in 60.0 s: unauthorised, h",
        ),
        ({"kind": "hub.stopped", "epoch": "e"}, "hub stopped"),
        (
            {"key": "audit.retention", "removed": 768, "days": 183, "actor": "me"},
            "768 entries older than 183 days removed, by me",
        ),
    ],
)
def test_an_entry_reads_like_a_sentence(entry: dict[str, Any], words: str) -> None:
    assert audit_words(entry) == words


@pytest.mark.parametrize("kind", ["news", "kill.outcome"])
def test_what_has_no_words_is_compact_json_without_what_stands_beside_it(kind: str) -> None:
    entry = {"v": 1, "seq": 3, "key": "k", "at": 1.0, "kind": kind, "who": {}, "run": "run_1", "what": [1, None]}
    assert audit_words(entry) == '{"what": [1, null]}'


def test_every_kind_that_the_hub_records_has_words() -> None:
    kinds = {kind for path in HUB.rglob("*.py") for kind in RECORDS.findall(path.read_text())}
    kinds |= {"storage.failed", "storage.recovered", "login.repeated", *(f"run.{do}" for do in RULES)}
    assert len(kinds) > 20
    assert kinds - set(WORDS) == set()


@pytest.mark.parametrize("answer", list(Answer))
def test_every_answer_has_a_past(answer: Answer) -> None:
    assert audit_words({"kind": "approval.decided", "answer": str(answer), "tool": "x"}).split()[0].endswith("ed")


@pytest.mark.parametrize("kind", [*WORDS, "news"])
@pytest.mark.parametrize(
    "value", ["\x1b[2J\n\x9b", {"\x1b": ["\x07"]}, ["\x1b"], 10**30, 1e300, True, [[]], "{run}{0}"]
)
def test_no_entry_drives_the_terminal(kind: str, value: Any) -> None:
    fields = {name: value for parts in WORDS.values() for name in re.findall(r"{(\w+)}", "".join(parts))}
    words = audit_words({"kind": kind, **fields}, limit=200)
    assert not {char for char in words if unicodedata.category(char) == "Cc"}
    assert len(words) < 400


def test_a_long_value_leaves_room_for_the_rest() -> None:
    entry = {"kind": "approval.decided", "answer": "approve", "tool": "sh", "args": {"a": "x" * 9_000}, "note": "fine"}
    assert audit_words(entry).endswith("more: fine")
