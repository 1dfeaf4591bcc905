"""Reads tokens out of a model's reply (OpenAI and Anthropic shapes) and keeps cumulative counts; it knows no prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from opsconsole.domain.light import light_dataclass


@light_dataclass(frozen=True, slots=True, kw_only=True)
class TurnUsage:
    """What one turn with a model used. Cached input counts as input, reasoning as output."""

    model: str = ""
    served_model: str = ""
    provider: str = ""
    fingerprint: str = ""
    turns: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    priced_by: str = ""
    """The price list that `cost_usd` was worked out by; empty where the author has no list."""
    unpriced_turns: int = 0
    """1 where a list was asked and knows no price."""


COUNTS = ("turns", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_COUNTS_OF = attrgetter(*COUNTS)
_NO_COUNTS = dict.fromkeys(COUNTS, 0)
_NAMES = ("provider", "served_model", "fingerprint", "priced_by")
_NAMES_OF = attrgetter(*_NAMES)


def turn_usage(reply: Any, model: str) -> TurnUsage:
    """What the reply says it used; a reply of another shape counts as a turn of unknown size."""
    usage = _get(reply, "usage")
    served, fingerprint = _text(reply, "model"), _text(reply, "system_fingerprint")
    anthropic = (
        _get(usage, "cache_read_input_tokens") is not None or _get(usage, "cache_creation_input_tokens") is not None
    )
    read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    if not anthropic:
        read = _count(_first(usage, "prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    input_tokens = _count(usage, "prompt_tokens") or _count(usage, "input_tokens")
    details = _first(usage, "completion_tokens_details", "output_tokens_details")
    return TurnUsage(
        model=model or served or "unknown",
        served_model=served,
        fingerprint=fingerprint,
        input_tokens=input_tokens + (read + written if anthropic else 0),
        output_tokens=_count(usage, "completion_tokens") or _count(usage, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=_count(details, "reasoning_tokens"),
    )


def reply_text(reply: Any) -> str | None:
    """The words of a model's reply, for the record; None where the shape is unknown."""
    if isinstance(reply, str):
        return reply
    choices = _get(reply, "choices")
    if isinstance(choices, list | tuple) and choices:
        content = _get(_get(choices[0], "message"), "content")
        return content if isinstance(content, str) else None
    if isinstance(text := _get(reply, "output_text"), str):
        return text
    content = _get(reply, "content")
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        texts = [text for block in content if isinstance(text := _get(block, "text"), str)]
        return "\n".join(texts) if texts else None
    return None


def added(counts: Mapping[str, Any], turn: TurnUsage) -> dict[str, Any]:
    """Cumulative counts with one more turn, as the `usage` event carries them."""
    total: dict[str, Any] = {**_NO_COUNTS, **counts}
    for name, more in zip(COUNTS, _COUNTS_OF(turn), strict=True):
        if more > 0:
            total[name] += more
    for name, text in zip(_NAMES, _NAMES_OF(turn), strict=True):
        if text:
            total[name] = str(text)[:100]
    if turn.unpriced_turns > 0:
        total["unpriced_turns"] = total.get("unpriced_turns", 0) + turn.unpriced_turns
    if turn.cost_usd is not None and math.isfinite(turn.cost_usd):
        total["cost_usd"] = total.get("cost_usd", 0.0) + max(0.0, turn.cost_usd)
    return total


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _first(value: Any, *names: str) -> Any:
    return next((found for name in names if (found := _get(value, name)) is not None), None)


def _count(value: Any, name: str) -> int:
    number = _get(value, name)
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 2**53 else 0


def _text(value: Any, name: str) -> str:
    text = _get(value, name)
    return text if isinstance(text, str) else ""
