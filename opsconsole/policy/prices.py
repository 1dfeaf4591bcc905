"""What tokens cost, by the price list that ships with genai-prices; it fetches nothing and keeps no bill.

Usage is cumulative per run, while long-context tiers apply to single requests. So a model is asked once for its base
rates, and usage is multiplied with those: a run of many short turns is not billed as one long one.
"""

from __future__ import annotations

from dataclasses import dataclass

import genai_prices

from opsconsole.domain.usage import Usage

MODELS_KEPT_MAX = 2_000
"""Names remembered; agents choose them, so their number has a bound."""
_PROBE_TOKENS = 1_000
"""Tokens of one question to the price list: below every tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """US dollars a token."""

    input: float
    cache_read: float
    cache_write: float
    output: float

    def cost(self, usage: Usage) -> float:
        """US dollars of cumulative usage; cached input is part of the input."""
        cached = min(usage.cache_read_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        plain = usage.input_tokens - cached - written
        return (
            plain * self.input
            + cached * self.cache_read
            + written * self.cache_write
            + usage.output_tokens * self.output
        )


class PriceList:
    """Prices of models; a call with a known name costs a dictionary look-up."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, str], Rates | None] = {}

    def __call__(self, provider: str, model: str, usage: Usage) -> float | None:
        """US dollars, or None where the model has no known price."""
        key = (provider, model)
        if key not in self._rates:
            if len(self._rates) >= MODELS_KEPT_MAX:
                self._rates.clear()
            self._rates[key] = _rates(provider, model) or (_rates("", model) if provider else None)
        rates = self._rates[key]
        return None if rates is None else rates.cost(usage)


def _rates(provider: str, model: str) -> Rates | None:
    try:
        return Rates(
            input=_probe(provider, model, input_tokens=_PROBE_TOKENS),
            cache_read=_probe(provider, model, input_tokens=_PROBE_TOKENS, cache_read_tokens=_PROBE_TOKENS),
            cache_write=_probe(provider, model, input_tokens=_PROBE_TOKENS, cache_write_tokens=_PROBE_TOKENS),
            output=_probe(provider, model, output_tokens=_PROBE_TOKENS),
        )
    except (LookupError, ValueError):
        return None


def _probe(provider: str, model: str, **counts: int) -> float:
    usage = genai_prices.Usage(**counts)
    price = genai_prices.calc_price(usage, model, provider_id=provider or None)
    return float(price.total_price) / _PROBE_TOKENS
