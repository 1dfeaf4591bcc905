"""What an operator says of prices: own ones, unknown models, tiers; and what is not accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opsconsole.cli.gateway import gateway_settings
from opsconsole.cli.hub import hub_settings
from opsconsole.config import load
from opsconsole.domain.usage import Usage
from opsconsole.errors import ConfigError
from opsconsole.policy.prices import Billed, Priced, PriceList, Prices, Rates, prices_of

OWN = {"input": 0.5, "output": 1.5, "cache_read": 0.05, "cache_write": 0.6}
MILLION = Billed(input_tokens=1_000_000, output_tokens=1_000_000)


def test_a_price_of_ones_own_goes_before_the_list() -> None:
    prices = PriceList(prices_of({"gpt-4o": OWN}))
    usage = Billed(
        input_tokens=1_000_000, output_tokens=1_000_000, cache_read_tokens=200_000, cache_write_tokens=100_000
    )
    assert prices.turn("openai", usage, "gpt-4o").usd == pytest.approx(0.7 * 0.5 + 0.2 * 0.05 + 0.1 * 0.6 + 1.5)
    assert prices("openai", "gpt-4o", Usage(input_tokens=1_000_000)) == pytest.approx(0.5)


def test_a_price_of_ones_own_for_the_name_asked_for_goes_before_the_list_for_the_one_served() -> None:
    prices = PriceList(prices_of({"gpt-4o": OWN}))
    assert prices.turn("openai", MILLION, "gpt-4o-2024-08-06", "gpt-4o").usd == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("model", "usd"),
    [("qwen-7b", 2.0), ("qwen-72b", 4.0), ("qwen-72b-exact", 8.0), ("llama", None)],
)
def test_the_whole_name_goes_before_a_pattern_and_the_longer_before_the_shorter(model: str, usd: float | None) -> None:
    table = {"qwen-*": (0.5, 1.5), "qwen-72b*": (1, 3), "qwen-72b-exact": (2, 6)}
    prices = PriceList(prices_of({name: {"input": one, "output": two} for name, (one, two) in table.items()}))
    assert prices.turn("vllm", MILLION, model).usd == (None if usd is None else pytest.approx(usd))


def test_a_pattern_can_name_the_provider() -> None:
    prices = PriceList(prices_of({"local/*": {"input": 0, "output": 0}}))
    assert prices.turn("local", MILLION, "gpt-4o") == Priced(usd=0.0, is_known=True)
    assert prices.turn("openai", MILLION, "gpt-4o").usd == pytest.approx(12.5)


def test_what_is_not_said_of_the_cache_costs_as_input_does() -> None:
    prices = PriceList(prices_of({"mine": {"input": 1, "output": 2}}))
    usage = Billed(input_tokens=900_000, cache_read_tokens=300_000, cache_write_tokens=300_000)
    assert prices.turn("", usage, "mine").usd == pytest.approx(0.9)


def test_unknown_models_count_by_the_flat_price_and_stay_unknown() -> None:
    prices = PriceList(prices_of({"unknown_model": {"input": 10, "output": 30}}))
    assert prices.turn("", MILLION, "nobodys") == Priced(usd=pytest.approx(40.0), is_known=False)
    assert prices("", "nobodys", Usage(input_tokens=1)) is None
    assert prices.turn("openai", MILLION, "gpt-4o") == Priced(usd=pytest.approx(12.5), is_known=True)


def test_a_tier_without_a_listed_price_costs_what_the_settings_say() -> None:
    prices = PriceList(prices_of({"tier_factors": {"flex": 0.6, "openai/turbo": 3}}))
    for tier, factor in (("flex", 0.6), ("turbo", 3.0), ("never-heard-of", 1.0)):
        usage = Billed(input_tokens=1_000_000, service_tier=tier)
        assert prices.turn("openai", usage, "gpt-4o").usd == pytest.approx(2.5 * factor)


def test_a_tier_of_a_price_of_ones_own_is_worked_out_by_its_factor() -> None:
    prices = PriceList(prices_of({"mine": OWN}))
    assert prices.turn("", Billed(input_tokens=1_000_000, service_tier="batch"), "mine").usd == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"mine": {"input": 1}}, "prices.mine"),
        ({"mine": {"input": 1, "output": 1, "puts": 1}}, "prices.mine"),
        ({"mine": {"input": -1, "output": 1}}, "prices.mine.input"),
        ({"mine": {"input": True, "output": 1}}, "prices.mine.input"),
        ({"mine": {"input": float("nan"), "output": 1}}, "prices.mine.input"),
        ({"mine": 3}, "prices.mine"),
        ({"unknown_model": "free"}, "prices.unknown_model"),
        ({"unknown_model": {"input": 1}}, "prices.unknown_model"),
        ({"tier_factors": {"flex": 1_000}}, "prices.tier_factors.flex"),
        ({"": OWN}, "name of a model"),
        ({f"m{number}": OWN for number in range(1_001)}, "1000"),
        ("no json", "JSON"),
    ],
)
def test_what_cannot_be_a_price_is_refused_by_its_name(table: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        prices_of(table)


def test_prices_are_read_from_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "opsconsole.toml"
    file.write_text('[prices]\nunknown_model = "block"\n"my-*" = { input = 0.5, output = 1.5 }\n')
    rates = Rates(input=5e-7, output=1.5e-6, cache_read=5e-7, cache_write=5e-7)
    assert load({"config": str(file)}, {}).prices == Prices(models={"my-*": rates}, unknown_model="block")


def test_prices_are_read_from_the_environment() -> None:
    assert load({}, {"OPSCONSOLE_PRICES": '{"unknown_model": "block"}'}).prices.blocks


def test_a_price_that_cannot_be_one_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "opsconsole.toml"
    file.write_text('[prices]\n"mine" = 5\n')
    with pytest.raises(ConfigError, match=r"prices\.mine"):
        load({"config": str(file)}, {})


def test_hub_and_gateway_price_by_the_same_settings() -> None:
    found = load({}, {"OPSCONSOLE_PRICES": '{"unknown_model": "block", "mine": {"input": 1, "output": 2}}'})
    assert hub_settings(found).prices == gateway_settings(found).prices == found.prices != Prices()
