"""What a gateway gathers is written as any other event is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.gateway.event_bytes import event_bytes
from opsconsole.protocol.limits import EVENT_BYTES_MAX
from opsconsole.sdk.point_run import encoded_event


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"seq": 1, "ts": 1.5, "type": "message", "text": 'Grüße "an" \\ alle\n'}, id="text"),
        pytest.param({"seq": 2, "ts": 1e16, "type": "usage", "cost_usd": 1e-7, "turns": 3}, id="numbers"),
        pytest.param({"seq": 3, "type": "tool", "args": {"reserve": {"usd": None, "tokens": 9}}}, id="nested"),
        pytest.param({"seq": 4, "type": "message", "text": "half \ud83d"}, id="half_a_character"),
    ],
)
def test_a_gathered_event_says_what_any_other_would(event: dict[str, Any]) -> None:
    assert json.loads(event_bytes(event)) == json.loads(encoded_event(event))


def test_a_gathered_event_that_is_too_long_is_cut() -> None:
    assert len(event_bytes({"type": "message", "text": "\x01" * EVENT_BYTES_MAX})) <= EVENT_BYTES_MAX
