"""What tokens cost, by the operator's own prices and the list that ships with genai-prices; it keeps no bill.

Long-context tiers, service tiers and writes to the cache are properties of single answers. Where these are known (a
gateway sees them) `PriceList.turn` prices each. Usage that is only known as a sum is multiplied with base rates: a run
of many short turns is not billed as one long one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from opsconsole.domain.light import light_dataclass
from opsconsole.domain.usage import Usage
from opsconsole.policy.price_list import VERSION, listed, window_of
from opsconsole.policy.price_rates import Billed, Rates, RateTable
from opsconsole.policy.price_settings import Prices, prices_of

__all__ = ["MODELS_KEPT_MAX", "Billed", "PriceList", "Priced", "Prices", "RateTable", "Rates", "prices_of"]

MODELS_KEPT_MAX = 2_000
"""Names remembered; agents choose them, so their number has a bound."""
LOOK_SECONDS = 1_800.0
"""How long prices stand for one who gives the time: some change at a date, some at half hours of the day."""
_STANDARD = frozenset({"", "default", "standard", "auto", "scale", "standard_only"})
"""Tiers at the standard price (`scale` and its like are capacity bought ahead)."""
_WORD_CHARS_MAX = 40


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What an answer costs."""

    usd: float | None
    """None where no price is known and none is set for that."""
    is_known: bool
    """Whether somebody has a price for this model; a flat price for unknown models is none."""


class PriceList:
    """Prices of models; one with a known name costs a dictionary look-up and a few products."""

    def __init__(self, prices: Prices | None = None, *, clock: Callable[[], float] | None = None) -> None:
        """`clock` gives seconds since the epoch; without one, prices are those of the first time that a model was
        asked for."""
        self.prices = prices or Prices()
        self.version = f"{VERSION} +{own}" if (own := self.prices.hash) else VERSION
        """Of the list and of the settings: by what something was priced."""
        self._clock = clock
        self._looked = float("-inf")
        self._windows: dict[tuple[str, str], int] = {}
        self._tables: dict[tuple[str, tuple[str, ...], str, str, str], RateTable | None] = {}

    def load(self) -> None:
        """Read the list, which else the first price does that is asked for: 20 ms in which a loop stands still."""
        listed("openai", "gpt-4o-mini", {}, None)

    def __call__(self, provider: str, model: str, usage: Usage) -> float | None:
        """US dollars of cumulative usage by base rates, or None where the model has no known price."""
        table = self._table(provider, (model,), "", "", "")
        return None if table is None else table.bands[0].cost(usage)

    def knows(self, provider: str, model: str) -> bool:
        """Whether somebody has a price for the model."""
        return self._table(provider, (model,), "", "", "") is not None

    def window(self, provider: str, model: str) -> int:
        """Tokens that the model's context holds; 0 where nobody says."""
        key = (provider, model)
        if key not in self._windows:
            if len(self._windows) >= MODELS_KEPT_MAX:
                self._windows.clear()
            self._windows[key] = window_of(provider, model)
        return self._windows[key]

    def turn(self, provider: str, billed: Billed, *models: str) -> Priced:
        """The price of one answer of a model: by the first of its names (as served, as asked for) that has one."""
        table = self._table(provider, models, billed.service_tier, billed.speed, billed.region)
        if table is not None:
            return Priced(usd=table.bill(billed), is_known=True)
        flat = self.prices.flat
        return Priced(usd=None if flat is None else flat.bill(billed), is_known=False)

    def _table(self, provider: str, models: tuple[str, ...], tier: str, speed: str, region: str) -> RateTable | None:
        if self._clock is not None and (now := self._clock()) >= self._looked + LOOK_SECONDS:
            self._tables.clear()
            self._looked = now - now % LOOK_SECONDS
        key = (provider, models, tier, speed, region)
        if key not in self._tables:
            if len(self._tables) >= MODELS_KEPT_MAX:
                self._tables.clear()
            self._tables[key] = self._found(provider, models, _word(tier), _word(speed), _word(region))
        return self._tables[key]

    def _found(self, provider: str, models: tuple[str, ...], tier: str, speed: str, region: str) -> RateTable | None:
        extra = "" if tier in _STANDARD else tier
        factor = self.prices.factor(provider, region) if region else 1.0
        names = [name for name in models if name]
        own = next((rates for name in names if (rates := self.prices.own(provider, name)) is not None), None)
        if own is not None:
            return RateTable(bands=(own,)).times(factor * self._factor(provider, extra, speed))
        at = None if self._clock is None else datetime.fromtimestamp(self._looked, UTC)
        for name in names:
            found = listed(provider, name, _context(extra, speed), at)
            if found is not None:
                table, seller, has_own = found
                return table.times(factor * (1.0 if has_own else self._factor(seller, extra, speed)))
        return None

    def _factor(self, provider: str, tier: str, speed: str) -> float:
        return (self.prices.factor(provider, tier) if tier else 1.0) * (
            self.prices.factor(provider, speed) if speed == "fast" else 1.0
        )


def _context(tier: str, speed: str) -> dict[str, str]:
    """The list's words for what is not the standard price."""
    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier} if tier else {}
    return context | ({"speed": "fast"} if speed == "fast" else {})


def _word(said: str) -> str:
    return said[:_WORD_CHARS_MAX].lower()
