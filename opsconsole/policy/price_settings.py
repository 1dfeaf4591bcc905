"""What an operator says of prices: own ones, what a service tier costs, what becomes of models nobody prices.

Pure: it reads no file; the table that it makes values of is `[prices]` of the settings.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from opsconsole.errors import ConfigError
from opsconsole.policy.price_rates import Rates

OVERRIDES_MAX = 1_000
"""Prices written by hand; each is looked at once for each name of a model."""
PATTERN_CHARS_MAX = 200
USD_PER_MILLION_MAX = 1_000_000.0
"""A dollar a token: whatever is beyond it is a slip of the pen."""
FACTOR_MAX = 100.0
HASH_CHARS = 12
_MILLION = 1_000_000
_REQUIRED = frozenset({"input", "output"})
_RATES = _REQUIRED | {"cache_read", "cache_write", "cache_write_1h"}
_WORDS: tuple[Literal["alert", "block"], ...] = ("alert", "block")

TIER_FACTORS: Mapping[str, float] = {
    "batch": 0.5,
    "flex": 0.5,
    "priority": 2.0,
    "fast": 2.0,
    "anthropic/priority": 1.0,
    "anthropic/us": 1.1,
}
"""What a tier costs of the standard price where the price list has no price of its own for it.

From the providers' price pages: a batch is half the price at both, flex is priced as a batch; priority and fast are
twice the standard price of most models. Anthropic's priority tier is capacity bought ahead, its tokens cost what others
do; inference that has to stay in the US is a tenth dearer.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The settings. A pattern is the name of a model or `provider/model`, `*` for anything."""

    models: Mapping[str, Rates] = field(default_factory=dict)
    """pattern -> rates; they go before the price list."""
    unknown_model: Literal["alert", "block"] | Rates = "alert"
    """What no price is known for raises an alert, and is then counted as nothing; or by these rates; or is refused."""
    tier_factors: Mapping[str, float] = field(default_factory=dict)
    """tier or `provider/tier` -> factor, beside or instead of those of TIER_FACTORS."""

    @property
    def blocks(self) -> bool:
        """Whether a turn of a model without a price is refused."""
        return self.unknown_model == "block"

    @property
    def flat(self) -> Rates | None:
        """The rates of models without a price, if there are any."""
        return self.unknown_model if isinstance(self.unknown_model, Rates) else None

    @property
    def hash(self) -> str:
        """Tells these settings from others; empty where nothing is set."""
        if self == Prices():
            return ""
        unknown = asdict(self.unknown_model) if isinstance(self.unknown_model, Rates) else self.unknown_model
        models = {pattern: asdict(rates) for pattern, rates in self.models.items()}
        said = json.dumps([models, unknown, dict(self.tier_factors)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()[:HASH_CHARS]

    def own(self, provider: str, model: str) -> Rates | None:
        """The rates that the operator set for a model: its whole name goes before a pattern, the longer before the
        shorter."""
        named = f"{provider}/{model}"
        exact = self.models.get(named) or self.models.get(model)
        if exact is not None or not self.models:
            return exact
        fitting = [one for one in self.models if fnmatchcase(model, one) or fnmatchcase(named, one)]
        return self.models[max(fitting, key=lambda one: (len(one), one))] if fitting else None

    def factor(self, provider: str, tier: str) -> float:
        """What a tier costs of the standard price where no list says it; 1 for a tier nobody has heard of."""
        for name in (f"{provider}/{tier}", tier):
            for factors in (self.tier_factors, TIER_FACTORS):
                if name in factors:
                    return factors[name]
        return 1.0


def prices_of(table: object) -> Prices:
    """The settings from their table, or from the same as JSON text. Raises: ConfigError that says what is accepted."""
    if isinstance(table, str):
        table = _read(table)
    if not isinstance(table, Mapping):
        raise ConfigError("prices are a table by the names of models")
    models = {name: value for name, value in table.items() if name not in ("unknown_model", "tier_factors")}
    if len(models) > OVERRIDES_MAX:
        raise ConfigError(f"at most {OVERRIDES_MAX} models can have prices of their own")
    return Prices(
        models={_pattern(name): _rates(f"prices.{name}", value) for name, value in models.items()},
        unknown_model=_unknown(table.get("unknown_model", "alert")),
        tier_factors=_factors(table.get("tier_factors", {})),
    )


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ConfigError("prices are a table, or the same as JSON") from None


def _pattern(name: str) -> str:
    if not 0 < len(name) <= PATTERN_CHARS_MAX:
        raise ConfigError(f"the name of a model has 1 to {PATTERN_CHARS_MAX} characters")
    return name


def _unknown(value: Any) -> Literal["alert", "block"] | Rates:
    for word in _WORDS:
        if value == word:
            return word
    if isinstance(value, Mapping):
        return _rates("prices.unknown_model", value)
    raise ConfigError('prices.unknown_model is "alert", "block" or { input = …, output = … }')


def _factors(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or len(value) > OVERRIDES_MAX:
        raise ConfigError("prices.tier_factors is a table such as { flex = 0.5 }")
    return {_pattern(name): _number(f"prices.tier_factors.{name}", one, FACTOR_MAX) for name, one in value.items()}


def _rates(name: str, value: Any) -> Rates:
    """What is not said of the cache costs as input does, an hour as any other write: never less than it may."""
    if not isinstance(value, Mapping) or not _REQUIRED <= value.keys() <= _RATES:
        known = ", ".join(("input", "output", "cache_read", "cache_write", "cache_write_1h"))
        raise ConfigError(f"{name} is a table of {known} in US dollars a million tokens; input and output are needed")
    said = {key: _number(f"{name}.{key}", one, USD_PER_MILLION_MAX) / _MILLION for key, one in value.items()}
    return Rates(
        input=said["input"],
        output=said["output"],
        cache_read=said.get("cache_read", said["input"]),
        cache_write=said.get("cache_write", said["input"]),
        cache_write_1h=said.get("cache_write_1h"),
    )


def _number(name: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{name} is a number")
    if not 0 <= value <= most:
        raise ConfigError(f"{name} is a number from 0 to {most:,.0f}")
    return float(value)
