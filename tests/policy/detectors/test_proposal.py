"""What the facts of a call tell the detectors: what is wrong in it, and not what nobody could check."""

from __future__ import annotations

from opsconsole.policy.detectors.proposal import NOTHING_WRONG, wrong_in


def test_errors_against_a_schema_are_wrong() -> None:
    facts = {"schema": {"valid": False, "errors": ["amount: is no number"], "unclear": False}}
    assert wrong_in(facts)["schema_errors"] == ("amount: is no number",)


def test_a_schema_that_nobody_told_makes_no_call_wrong() -> None:
    facts = {"schema": {"valid": False, "errors": ["nobody told the tool's schema"], "unclear": True}}
    assert wrong_in(facts) == NOTHING_WRONG


def test_unknown_names_and_ungrounded_identifiers_are_wrong_though_more_is_unclear() -> None:
    facts = {
        "sql": {"unknown_tables": ["userz"], "unknown_columns": [], "unclear": True},
        "grounding": {"ungrounded": ["order_id"], "unclear": False},
    }
    assert wrong_in(facts) == {"schema_errors": (), "unknown_names": ("userz",), "ungrounded": ("order_id",)}
