"""Tokens and money of a run: cumulative readings per model folded into totals; prices come from outside."""

from __future__ import annotations

from opsconsole.domain.light import light_dataclass


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Cumulative counts of one run with one model; a later reading replaces an earlier one."""

    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Input and output; cached input counts as input, reasoning as output."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Both together, field by field."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


def not_below(earlier: Usage, later: Usage) -> Usage:
    """The later reading, field by field never below the earlier one: a counter that runs backwards is not believed."""
    if (
        later.turns >= earlier.turns
        and later.input_tokens >= earlier.input_tokens
        and later.output_tokens >= earlier.output_tokens
        and later.cache_read_tokens >= earlier.cache_read_tokens
        and later.cache_write_tokens >= earlier.cache_write_tokens
        and later.reasoning_tokens >= earlier.reasoning_tokens
    ):
        return later
    return Usage(
        turns=max(earlier.turns, later.turns),
        input_tokens=max(earlier.input_tokens, later.input_tokens),
        output_tokens=max(earlier.output_tokens, later.output_tokens),
        cache_read_tokens=max(earlier.cache_read_tokens, later.cache_read_tokens),
        cache_write_tokens=max(earlier.cache_write_tokens, later.cache_write_tokens),
        reasoning_tokens=max(earlier.reasoning_tokens, later.reasoning_tokens),
    )


def beyond(whole: Usage, part: Usage) -> Usage:
    """What of the whole is not in the part, field by field at least 0."""
    return Usage(**{name: max(0, getattr(whole, name) - getattr(part, name)) for name in Usage.__slots__})
