"""The grounding fact against the calls of real customer-service agents: whatever it flags is an error."""

from __future__ import annotations

import pytest

from tests.policy.facts.recorded_runs import ABSENT, Flagged, airline_calls, is_present

REFUSED = "Error: payment method not found"

pytestmark = pytest.mark.skipif(not is_present(), reason=ABSENT)


def test_only_invented_identifiers_are_flagged() -> None:
    flagged, calls = airline_calls()
    tool = "update_reservation_flights"
    assert calls.total() == 1_164
    assert flagged == [
        Flagged(tool, ("credit_card_7334",), REFUSED),
        Flagged(tool, ("credit_card_5634230",), REFUSED),
        Flagged(tool, ("credit_card_7334",), REFUSED),
        Flagged(tool, ("credit_card_5634230",), REFUSED),
    ]
