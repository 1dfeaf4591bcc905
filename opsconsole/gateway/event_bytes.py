"""How a gateway writes the events that it gathers, which are of texts and finite numbers: in a fifth of the time."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from opsconsole.protocol.limits import EVENT_BYTES_MAX
from opsconsole.sdk.point_run import encoded_event


def event_bytes(event: dict[str, Any]) -> bytes:
    """As `encoded_event` writes it, which is also asked where half a character stands in it, or too much."""
    try:
        data = to_json(event, inf_nan_mode="null")
    except ValueError:
        return encoded_event(event)
    return data if len(data) <= EVENT_BYTES_MAX else encoded_event(event)
