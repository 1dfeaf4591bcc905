"""What a gateway says of turns that a process before it did not live to end; it reads no file and sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.gateway.ledger import Begun
from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.said import note_event
from opsconsole.sdk.usage import TurnUsage

MODEL_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOfRun:
    """What dead processes left of one run's turns."""

    open: list[Begun] = field(default_factory=list)
    """Those that were not over."""
    counts: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """model -> its latest counts, cumulative."""


def most_used(turn: Begun) -> TurnUsage:
    """A turn of which nobody knows what it used, at the most that it may have."""
    return TurnUsage(
        model=turn.model,
        provider=turn.provider,
        turns=turn.turns,
        input_tokens=turn.input_tokens,
        output_tokens=turn.output_tokens,
        cost_usd=turn.usd,
        priced_by=turn.priced_by,
        unpriced_turns=0 if turn.usd is not None else turn.turns,
    )


def lost_turn_note(turn: Begun) -> dict[str, Any]:
    """A line for people."""
    most = f"{turn.input_tokens + turn.output_tokens:,} tokens"
    money = "" if turn.usd is None else f", ${turn.usd:.4f}"
    model = bounded_text(turn.model, MODEL_CHARS_MAX)
    text = f"The gateway died during a turn of {model}: it counts at the most that it may have used ({most}{money})"
    return note_event(text, "warning", {"call": turn.turn, "estimated": True})


def lost_turn_end(turn: Begun, why: str) -> dict[str, Any]:
    """The end of such a turn."""
    event = {
        "type": "tool",
        "id": turn.turn,
        "name": bounded_text(turn.model, MODEL_CHARS_MAX) or "unknown",
        "kind": str(CallKind.MODEL_CALL),
        "status": str(CallStatus.FAILED),
        "error": why,
    }
    return event | ({"verdict": turn.verdict} if turn.verdict else {})
