"""How little a turn may go with, and how long an answer a part of its reservation buys; it neither asks nor sends."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

from opsconsole.domain.light import light_dataclass
from opsconsole.errors import CallDenied
from opsconsole.gateway.told import Most

ANSWER_TOKENS_LEAST = 256
"""A shorter answer is of no use to most agents: with less than it costs the turn waits for a person."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """What a turn takes whose budget has less left than its reservation."""

    most: Most
    answer_tokens: int
    """The longest answer that this pays for; each, where several are asked for."""

    def told(self) -> dict[str, Any]:
        """As the turn's arguments say it."""
        return {"reserve": self.most.to_json(), "answer_tokens_max": self.answer_tokens}


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """A turn whose answer may be made shorter than what is reserved for it."""

    reserves: Callable[[int], Most]
    """What it takes at most with an answer of so many tokens; more for a longer one."""
    answer_tokens: int
    """The longest."""

    @property
    def least(self) -> Most:
        """What it takes with the shortest answer that is of use."""
        return self.reserves(ANSWER_TOKENS_LEAST)

    def within(self, granted: Mapping[str, Any]) -> Narrowed:
        """The longest answer that what was granted pays for.

        Raises: CallDenied where it pays for none, as after a price has risen.
        """
        usd, tokens = granted.get("usd"), granted.get("tokens") or 0

        def is_beyond(answer_tokens: int) -> bool:
            most = self.reserves(answer_tokens)
            is_dearer = most.usd is not None and usd is not None and most.usd > usd
            return is_dearer or most.tokens > tokens

        fitting = bisect_left(range(1, self.answer_tokens + 1), True, key=is_beyond)
        if not fitting:
            reason = "What is left of the budget no longer pays for an answer."
            raise CallDenied(reason, call="", by="gateway", rule="budget")
        return Narrowed(most=self.reserves(fitting), answer_tokens=fitting)
