"""What a run may say of itself has bounds; what is beyond them is kept on the timeline and never believed."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.protocol.events import RunEvent, UnknownEvent, parse_agent_events
from opsconsole.protocol.limits import CAPS_MAX, LABEL_CHARS_MAX, LABEL_NAME_CHARS_MAX


def parsed(**more: Any) -> type:
    """What becomes of a run event that says this."""
    (event,) = parse_agent_events([{"seq": 1, "ts": 1.0, "type": "run", "agent": "a", **more}])
    return type(event)


@pytest.mark.parametrize("more", [0, 1])
def test_a_run_names_no_more_capabilities_than_there_can_be(more: int) -> None:
    assert parsed(caps=["hold"] * (CAPS_MAX + more)) is (UnknownEvent if more else RunEvent)


@pytest.mark.parametrize("more", [0, 1])
def test_a_labels_name_and_value_have_a_length(more: int) -> None:
    expected = UnknownEvent if more else RunEvent
    assert parsed(labels={"a": "v" * (LABEL_CHARS_MAX + more)}) is expected
    assert parsed(labels={"n" * (LABEL_NAME_CHARS_MAX + more): "v"}) is expected
