"""The price list that ships with genai-prices, as tables of rates; it fetches nothing and knows no settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import genai_prices
from genai_prices.types import PriceCalculation, TieredPrices

from opsconsole.policy.price_rates import Rates, RateTable

VERSION = f"genai-prices {genai_prices.__version__}"
_MILLION, _THOUSAND = 1e6, 1e3
_TOKENS: tuple[tuple[str, str, str], ...] = (
    ("input", "input_mtok", ""),
    ("output", "output_mtok", ""),
    ("cache_read", "cache_read_mtok", "input"),
    ("cache_write", "cache_write_mtok", "input"),
    ("cache_write_1h", "cache_write_1h_mtok", "none"),
    ("input_audio", "input_audio_mtok", "none"),
    ("output_audio", "output_audio_mtok", "none"),
    ("reasoning", "output_reasoning_mtok", "none"),
)
"""rate, its name in the list, the rate that stands in for it."""


def listed(
    provider: str, model: str, context: Mapping[str, str], at: datetime | None
) -> tuple[RateTable, str, bool] | None:
    """(rates, the list's name of the provider, whether the list has prices of their own for the context), or None
    where the list has no price of tokens for the model.

    `context` is such as {"service_tier": "flex"}; `at` None is the time as the library knows it.
    """
    try:
        found = _asked(provider, model, context, at)
    except (LookupError, ValueError):
        return None
    prices = {key: value for key, value in vars(found.model_price).items() if value is not None}
    if "input_mtok" not in prices and "output_mtok" not in prices:
        return None  # it is priced by the hour, the page, the picture: not by what we count
    tiered = [value for value in prices.values() if isinstance(value, TieredPrices)]
    starts = sorted({tier.start for value in tiered for tier in value.tiers})
    bands = tuple(_band(prices, start) for start in (-1, *starts))
    table = RateTable(bands=bands, starts=tuple(starts))
    return table, found.provider.id, any(_fits(when, context) for when in _variants(found))


def window_of(provider: str, model: str) -> int:
    """Tokens that the model's context holds by the list; 0 where it does not say."""
    try:
        found = _asked(provider, model, {}, None)
    except (LookupError, ValueError):
        return 0
    window = found.model.context_window
    return window if isinstance(window, int) and window > 0 else 0


def _asked(provider: str, model: str, context: Mapping[str, str], at: datetime | None) -> PriceCalculation:
    nothing = genai_prices.Usage(input_tokens=0, output_tokens=0)
    if provider:
        try:
            return genai_prices.calc_price(
                nothing, model, provider_id=provider, genai_request_timestamp=at, price_context=context or None
            )
        except LookupError:
            pass  # a name of a proxy's: the model may be known all the same
    return genai_prices.calc_price(nothing, model, genai_request_timestamp=at, price_context=context or None)


def _variants(found: PriceCalculation) -> Iterator[Mapping[str, str]]:
    yield from (variant.when for variant in found.model.price_variants or ())


def _fits(when: Mapping[str, str], context: Mapping[str, str]) -> bool:
    return bool(when) and all(context.get(key) == value for key, value in when.items())


def _band(prices: Mapping[str, Any], start: int) -> Rates:
    """The rates of a request of more than `start` tokens."""
    rates: dict[str, Any] = {}
    for rate, name, stand_in in _TOKENS:
        if name in prices:
            rates[rate] = _above(prices[name], start) / _MILLION
        elif stand_in != "none":
            rates[rate] = rates[stand_in] if stand_in else 0.0
    return Rates(
        **rates,
        web_search=_above(prices.get("web_searches_kcount", 0), start) / _THOUSAND,
        request=_above(prices.get("requests_kcount", 0), start) / _THOUSAND,
    )


def _above(price: Any, start: int) -> float:
    if not isinstance(price, TieredPrices):
        return float(price)
    return float(next((tier.price for tier in reversed(price.tiers) if tier.start <= start), price.base))
