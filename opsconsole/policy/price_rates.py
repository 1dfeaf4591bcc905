"""Rates of one model and what they make of tokens: sums of products; which model costs what is prices.py's affair."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, fields
from typing import Any

from opsconsole.domain.light import light_dataclass
from opsconsole.domain.usage import Usage


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """What one answer of a model is billed for.

    `input_tokens` are all of them, with cache and audio; `output_tokens` with reasoning and audio; writes to a cache
    for an hour are part of `cache_write_tokens`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    web_searches: int = 0
    service_tier: str = ""
    """As the provider says it served: `flex`, `priority`, `batch`, `default`, `standard`, …"""
    speed: str = ""
    """Anthropic: `fast` where it was."""
    region: str = ""
    """Anthropic: where inference had to stay, `us`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """US dollars a token, and a search or a request."""

    input: float
    cache_read: float
    cache_write: float
    output: float
    cache_write_1h: float | None = None
    """None: as any other write."""
    input_audio: float | None = None
    """None: as any other input."""
    output_audio: float | None = None
    reasoning: float | None = None
    web_search: float = 0.0
    request: float = 0.0

    def cost(self, usage: Usage) -> float:
        """US dollars of cumulative usage; cached input is part of the input."""
        cached = min(usage.cache_read_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        plain = usage.input_tokens - cached - written
        thought = min(usage.reasoning_tokens, usage.output_tokens) if self.reasoning is not None else 0
        return (
            plain * self.input
            + cached * self.cache_read
            + written * self.cache_write
            + (usage.output_tokens - thought) * self.output
            + thought * (self.reasoning or 0.0)
            + usage.turns * self.request
        )

    def bill(self, billed: Billed) -> float:
        """US dollars of one answer; counts that contradict one another are cut to what the totals leave room for."""
        cached = min(billed.cache_read_tokens, billed.input_tokens)
        written = min(billed.cache_write_tokens, billed.input_tokens - cached)
        usd = (
            (billed.input_tokens - cached - written) * self.input
            + cached * self.cache_read
            + written * self.cache_write
            + billed.output_tokens * self.output
            + self.request
        )
        if billed.cache_write_1h_tokens and self.cache_write_1h is not None:
            usd += min(billed.cache_write_1h_tokens, written) * (self.cache_write_1h - self.cache_write)
        if billed.input_audio_tokens and self.input_audio is not None:
            heard = min(billed.input_audio_tokens, billed.input_tokens - cached - written)
            usd += heard * (self.input_audio - self.input)
        spoken = 0
        if billed.output_audio_tokens and self.output_audio is not None:
            spoken = min(billed.output_audio_tokens, billed.output_tokens)
            usd += spoken * (self.output_audio - self.output)
        if billed.reasoning_tokens and self.reasoning is not None:
            usd += min(billed.reasoning_tokens, billed.output_tokens - spoken) * (self.reasoning - self.output)
        return usd + billed.web_searches * self.web_search

    def times(self, factor: float) -> Rates:
        """The same, dearer or cheaper; what is not a token keeps its price."""
        if factor == 1.0:
            return self
        kept = {"web_search": self.web_search, "request": self.request}
        scaled: dict[str, Any] = {
            one.name: None if (rate := getattr(self, one.name)) is None else rate * factor for one in fields(Rates)
        }
        return Rates(**(scaled | kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTable:
    """Rates by the length of one request: above `starts[n]` input tokens, all of it costs `bands[n + 1]`."""

    bands: tuple[Rates, ...]
    """One more than there are starts, the base rates first."""
    starts: tuple[int, ...] = ()

    def bill(self, billed: Billed) -> float:
        """US dollars of one answer."""
        if not self.starts:
            return self.bands[0].bill(billed)
        return self.bands[bisect_left(self.starts, billed.input_tokens)].bill(billed)

    def times(self, factor: float) -> RateTable:
        """The same, dearer or cheaper."""
        if factor == 1.0:
            return self
        return RateTable(bands=tuple(band.times(factor) for band in self.bands), starts=self.starts)
