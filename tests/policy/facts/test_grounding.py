"""Identifiers that the run never showed are flagged; what a person would work out or spell otherwise is not."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.policy.facts.grounding import GROUNDING, UNGROUNDED_MAX
from opsconsole.policy.facts.memory import WORDS_MAX, Memory

FACT = GROUNDING({})
SHOWN = (
    "I am Mia Li 3668, order ORD-2024-11.",
    {"payment": {"credit_card_4421486": {"last_four": "7334"}}, "customer_id": 884210},
    "Run 0b7e0ff2-2a2b-4c7e-9d4f-3f0f6c1a2b3c is up; #W2378156 is sent.",
)


def found(args: dict[str, Any], *shown: Any) -> tuple[object, object]:
    memory = Memory()
    for value in shown or SHOWN:
        memory.hear(value)
    facts = FACT(args, memory.history)
    return facts["ungrounded"], facts["values"]


@pytest.mark.parametrize(
    "args",
    [
        {"user": "mia_li_3668"},
        {"user": "MIA-LI-3668"},
        {"order": "ORD-2024-11"},
        {"order": "ORD--2024__11"},
        {"payment": ["credit_card_4421486"]},
        {"run": "0b7e0ff2-2a2b-4c7e-9d4f-3f0f6c1a2b3c"},
        {"customer_id": 884210},
        {"customer_id": "884210"},
        {"day": "2031-01-17", "at": "12:30", "amount": "9999.95", "share": "45%", "count": 123456, "version": "3.11.7"},
        {"order_id": "#W2378156", "ticket_no": "#884210", "color": "#a1b2c3", "rank_no": "#7"},
        {"note": "anything at all with A1B2C3 in a sentence"},
        {"city": "Berlin", "short": "A1", "flag": True, "nothing": None},
    ],
)
def test_what_was_shown_or_is_no_identifier_passes(args: dict[str, Any]) -> None:
    assert found(args) == ([], [])


@pytest.mark.parametrize(
    ("args", "place", "value"),
    [
        ({"payment_id": "credit_card_7334"}, "payment_id", "credit_card_7334"),
        ({"user": "mia_li_3669"}, "user", "mia_li_3669"),
        ({"order": "ORD-2024-12"}, "order", "ORD-2024-12"),
        ({"flights": [{"number": "HAT136"}]}, "flights.0.number", "HAT136"),
        ({"customer_id": 884211}, "customer_id", "884211"),
        ({"customer_id": "884211"}, "customer_id", "884211"),
        ({"order_id": "#W2378157"}, "order_id", "#W2378157"),
        ({"ticket_no": "#884212"}, "ticket_no", "#884212"),
        ({"run": "0b7e0ff2-2a2b-4c7e-9d4f-3f0f6c1a2b3d"}, "run", "0b7e0ff2-2a2b-4c7e-9d4f-3f0f6c1a2b3d"),
    ],
)
def test_what_was_never_shown_is_flagged_with_its_place(args: dict[str, Any], place: str, value: str) -> None:
    assert found(args) == ([place], [value])


def test_the_list_of_findings_is_bounded() -> None:
    places, _ = found({"ids": [f"X{number}Y" for number in range(100)]})
    assert len(places) == UNGROUNDED_MAX  # type: ignore[arg-type]


def test_only_the_listed_arguments_are_looked_at_and_not_the_ignored() -> None:
    history = Memory().history
    args = {"id": "X123Y", "note": "Z456Q"}
    assert GROUNDING({"args": ["note"]})(args, history)["values"] == ["Z456Q"]
    assert GROUNDING({"ignore": ["note"]})(args, history)["values"] == ["X123Y"]


@pytest.mark.parametrize(
    "too_much",
    ["x " * 600_000, list(range(30_000)), " ".join(f"a{number}" for number in range(WORDS_MAX // 2))],
    ids=["characters", "values", "words"],
)
def test_a_run_that_was_not_all_remembered_is_unclear_and_flags_nothing(too_much: Any) -> None:
    memory = Memory()
    for number in range(5):
        memory.hear([too_much, f"b{number}"])
    assert FACT({"id": "X123Y"}, memory.history) == {"ungrounded": [], "values": [], "checked": 1, "unclear": True}


def test_a_call_with_too_many_arguments_is_unclear() -> None:
    assert FACT({"ids": ["x"] * 5_000}, Memory().history)["unclear"] is True
