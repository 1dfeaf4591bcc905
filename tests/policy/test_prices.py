"""The price of one answer: usage objects of the three APIs against prices worked out by hand from the price list."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.domain.usage import Usage
from opsconsole.gateway.dialect import anthropic_writing, chat_told, responses_writing
from opsconsole.gateway.dialect.interface import Counts
from opsconsole.policy.prices import Billed, Priced, PriceList, Prices
from opsconsole.sdk.usage import TurnUsage, added

AT = 1_795_305_600.0
"""22 November 2026: the list's prices are those of a day."""
PRICES = PriceList(clock=lambda: AT)


def chat(tier: str = "", **usage: Any) -> Counts:
    """As in an answer of Chat Completions."""
    return chat_told.counts_of(usage, tier)


def responses(tier: str = "default", **usage: Any) -> Counts:
    return responses_writing.counts_of({"service_tier": tier, "usage": usage})


def anthropic(**usage: Any) -> Counts:
    return anthropic_writing.counts_of({"service_tier": "standard", **usage})


def usd(provider: str, model: str, counts: Counts) -> float | None:
    return PRICES.turn(provider, counts, model).usd


THOUGHT = {
    "prompt_tokens": 2_000,
    "completion_tokens": 1_000,
    "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 900},
}
SPOKEN = {
    "prompt_tokens": 500,
    "completion_tokens": 300,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 250},
}
CACHED = {"prompt_tokens_details": {"cached_tokens": 1_024}}
LONG = {"prompt_tokens": 300_000, "completion_tokens": 1_000, "prompt_tokens_details": {"cached_tokens": 200_000}}
WRITTEN = {
    "input_tokens": 100,
    "output_tokens": 50,
    "cache_read_input_tokens": 10_000,
    "cache_creation_input_tokens": 2_000,
}
HOUR = {
    **WRITTEN,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1_500},
}
BEYOND = {
    "input_tokens": 50_000,
    "output_tokens": 1_000,
    "cache_read_input_tokens": 150_000,
    "cache_creation_input_tokens": 10_000,
}
SHORT = {"input_tokens": 1_000, "output_tokens": 100}
MICRO_USD: tuple[tuple[str, str, Counts, float], ...] = (
    ("gpt-4o", "", chat(prompt_tokens=1_200, completion_tokens=300), 1_200 * 2.5 + 300 * 10),
    ("gpt-4o", "", chat(prompt_tokens=1_500, completion_tokens=100, **CACHED), 476 * 2.5 + 1_024 * 1.25 + 100 * 10),
    ("gpt-4o", "priority", chat("priority", prompt_tokens=1_000, completion_tokens=100), 1_000 * 4.25 + 100 * 17),
    ("gpt-4o", "no flex price", chat("flex", prompt_tokens=1_000, completion_tokens=100), (1_000 * 2.5 + 100 * 10) / 2),
    ("gpt-5", "", chat("default", **THOUGHT), 976 * 1.25 + 1_024 * 0.125 + 1_000 * 10),
    ("gpt-5", "flex", chat("flex", **THOUGHT), 976 * 0.625 + 1_024 * 0.0625 + 1_000 * 5),
    ("gpt-5", "priority", chat("priority", **THOUGHT), 976 * 2.5 + 1_024 * 0.25 + 1_000 * 20),
    ("gpt-audio", "", chat(**SPOKEN), 100 * 2.5 + 400 * 32 + 50 * 10 + 250 * 64),
    ("gpt-5.4", "long", chat(**LONG), 100_000 * 5 + 200_000 * 0.5 + 1_000 * 22.5),
    ("gpt-5.4", "just not long", responses(input_tokens=272_000, output_tokens=100), 272_000 * 2.5 + 100 * 15),
    ("gpt-5.4", "long flex", responses("flex", input_tokens=300_000, output_tokens=10), 300_000 * 2.5 + 10 * 11.25),
    ("claude-sonnet-4-5", "", anthropic(**SHORT), 1_000 * 3 + 100 * 15),
    ("claude-sonnet-4-5", "cache", anthropic(**WRITTEN), 100 * 3 + 10_000 * 0.3 + 2_000 * 3.75 + 50 * 15),
    ("claude-sonnet-4-5", "an hour", anthropic(**HOUR), 100 * 3 + 500 * 3.75 + 1_500 * 6 + 50 * 15),
    ("claude-sonnet-4-5", "long", anthropic(**BEYOND), 50_000 * 6 + 150_000 * 0.6 + 10_000 * 7.5 + 1_000 * 22.5),
    ("claude-sonnet-4-5", "batch", anthropic(**SHORT, service_tier="batch"), 1_000 * 1.5 + 100 * 7.5),
    ("claude-sonnet-4-5", "priority", anthropic(**SHORT, service_tier="priority"), 1_000 * 3 + 100 * 15),
    (
        "claude-sonnet-4-5",
        "searches",
        anthropic(**SHORT, server_tool_use={"web_search_requests": 3}),
        1_000 * 3 + 100 * 15 + 3 * 10_000,
    ),
    ("claude-opus-4-8", "fast", anthropic(**SHORT, speed="fast"), 1_000 * 10 + 100 * 50),
    ("claude-opus-4-8", "in the US", anthropic(**SHORT, inference_geo="us"), (1_000 * 5 + 100 * 25) * 1.1),
)


@pytest.mark.parametrize(("model", "what", "counts", "micro_usd"), MICRO_USD)
def test_an_answer_costs_what_the_price_list_says(model: str, what: str, counts: Counts, micro_usd: float) -> None:
    provider = "anthropic" if model.startswith("claude") else "openai"
    assert usd(provider, model, counts) == pytest.approx(micro_usd / 1e6, rel=1e-12)


USAGES = st.builds(
    Billed,
    input_tokens=st.integers(400_000, 900_000) | st.integers(3_000, 9_000),
    output_tokens=st.integers(0, 100_000),
    cache_read_tokens=st.integers(0, 1_000),
    cache_write_tokens=st.integers(500, 1_000),
    cache_write_1h_tokens=st.integers(0, 500),
    service_tier=st.sampled_from(["", "default", "flex", "priority", "batch"]),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["gpt-5", "gpt-5.4", "gpt-5-mini", "claude-sonnet-4-5", "claude-opus-4-6"]), USAGES)
def test_the_tables_say_what_the_library_works_out(model: str, usage: Billed) -> None:
    is_batch, is_anthropic = usage.service_tier == "batch", model.startswith("claude")
    if is_anthropic and usage.service_tier in ("flex", "default"):
        return
    context = {"processing": "batch"} if is_batch else {"service_tier": usage.service_tier}
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
    }
    provider = "anthropic" if is_anthropic else "openai"
    expected = genai_prices.calc_price(
        genai_prices.Usage(**counts),
        model,
        provider_id=provider,
        genai_request_timestamp=datetime.fromtimestamp(AT, UTC),
        price_context=context if usage.service_tier else None,
    ).total_price
    assert PRICES.turn(provider, usage, model).usd == pytest.approx(float(expected), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(USAGES, min_size=1, max_size=20))
def test_what_is_told_is_the_sum_of_what_the_turns_cost(usages: list[Billed]) -> None:
    counts: dict[str, Any] = {}
    costs = [PRICES.turn("openai", usage, "gpt-5.4").usd or 0.0 for usage in usages]
    for usage, cost in zip(usages, costs, strict=True):
        counts = added(counts, TurnUsage(model="gpt-5.4", input_tokens=usage.input_tokens, cost_usd=cost))
    assert counts["cost_usd"] == pytest.approx(sum(costs))
    assert counts["turns"] == len(usages)


@settings(max_examples=100, deadline=None)
@given(st.builds(Billed, **{name: st.integers(0, 50) for name in Usage.__slots__ if name != "turns"}))
def test_counts_that_contradict_one_another_never_cost_less_than_nothing(usage: Billed) -> None:
    cost = PRICES.turn("anthropic", usage, "claude-sonnet-4-5").usd
    assert cost is not None
    assert cost >= 0.0


def test_the_name_it_was_served_by_goes_before_the_one_that_was_asked_for() -> None:
    usage = Billed(input_tokens=1_000_000)
    assert PRICES.turn("openai", usage, "gpt-4o-mini", "gpt-4o").usd == pytest.approx(0.15)
    assert PRICES.turn("openai", usage, "a-name-of-a-proxy", "gpt-4o").usd == pytest.approx(2.5)
    assert PRICES.turn("openai", usage, "", "gpt-4o").usd == pytest.approx(2.5)


def test_an_unknown_model_has_no_price_and_never_costs_nothing() -> None:
    assert PRICES.turn("openai", Billed(input_tokens=1), "a-model-that-nobody-sells") == Priced(
        usd=None, is_known=False
    )
    assert not PRICES.knows("openai", "a-model-that-nobody-sells")


def test_a_model_that_is_not_priced_by_tokens_has_no_price() -> None:
    assert PRICES.turn("openai", Billed(input_tokens=1), "whisper-1").usd is None


def test_prices_that_change_with_the_hour_are_looked_up_again() -> None:
    hour = [0]
    prices = PriceList(clock=lambda: AT + hour[0] * 3_600)
    usage = Billed(input_tokens=1_000_000)
    costs = []
    for hour[0] in (0, 2, 5):
        costs.append(prices.turn("deepseek", usage, "deepseek-v4-flash").usd)
    assert costs[0] == costs[2] != costs[1]


def test_the_version_tells_the_list_and_the_settings() -> None:
    listed, own = PriceList().version, PriceList(Prices(unknown_model="block")).version
    assert listed == f"genai-prices {genai_prices.__version__}"
    assert own.startswith(f"{listed} +")
    assert own == PriceList(Prices(unknown_model="block")).version
    assert len(own) <= 100


READ_LATER = """
import sys
from opsconsole.policy.prices import PriceList
from opsconsole.domain.usage import Usage
prices, read = PriceList(), []
prices.load()
sys.addaudithook(lambda event, about: event == "import" and read.append(about[0]))
prices("anthropic", "claude-haiku-4-5", Usage(input_tokens=1)), prices.window("openai", "gpt-4o")
print(read)
"""


def test_a_list_that_is_loaded_reads_nothing_more_at_its_first_price() -> None:
    told = subprocess.run([sys.executable, "-c", READ_LATER], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "[]\n"
