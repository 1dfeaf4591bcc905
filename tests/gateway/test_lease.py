"""Turns let go ahead: never more than the lease holds, one of them asks for the next, and what stops a run ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.gateway.lease import Lease
from tests.gateway.place import Place
from tests.support.hub import eventually
from tests.support.model_script import Turn, mark

ASK: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": mark("onward")}],
    "max_tokens": 8,
}


def lease(**more: Any) -> Lease:
    return Lease.of("cmd_v", {"turns": 8, "usd": 0.8, "tokens": 800, "seconds": 2.0} | more, now=100.0)


def test_a_lease_covers_turns_until_one_of_its_measures_is_low_then_one_turn_asks() -> None:
    held = lease()
    assert [held.take(0.1, 100, 100.0) for _ in range(9)] == [True] * 6 + [False, True, True]


@pytest.mark.parametrize(
    ("usd", "tokens", "now"), [(0.9, 1, 100.0), (0.1, 801, 100.0), (None, 1, 100.0), (0.1, 1, 102.0)]
)
def test_a_turn_that_is_too_large_of_unknown_price_or_too_late_asks(usd: float | None, tokens: int, now: float) -> None:
    held = lease()
    held.is_renewing = True
    assert not held.take(usd, tokens, now)


def test_a_run_without_limits_has_leases_that_count_turns_and_time_only() -> None:
    assert lease(usd=None, tokens=None).take(None, 10**9, 100.0)


@given(st.lists(st.tuples(st.floats(0, 0.3), st.integers(0, 300), st.floats(100, 103)), max_size=40))
def test_what_is_taken_is_never_more_than_the_lease_holds(asked: list[tuple[float, int, float]]) -> None:
    held = lease()
    taken = [(usd, tokens) for usd, tokens, now in asked if held.take(usd, tokens, now)]
    assert len(taken) <= 8
    assert sum(usd for usd, _ in taken) <= 0.8 + 1e-9
    assert sum(tokens for _, tokens in taken) <= 800


def is_proposed(event: dict[str, Any]) -> bool:
    return event["type"] == "tool" and event["status"] == "proposed"


async def proposed(place: Place) -> set[str]:
    return {event["id"] for event in await place.timeline() if is_proposed(event)}


async def proposals(place: Place) -> int:
    return len(await proposed(place))


async def turns(place: Place, count: int) -> None:
    if not place.upstream.calls("onward"):
        place.upstream.script("onward", Turn(text="Yes."), repeats=True)
    async with place.openai() as client:
        for _ in range(count):
            await client.chat.completions.create(**ASK)


@pytest.mark.usefixtures("lasting_leases")
async def test_of_several_turns_of_a_run_only_the_first_asks_and_all_are_told(place: Place) -> None:
    await turns(place, 5)
    await place.told(lambda event: event["type"] == "usage" and event["turns"] == 5)
    ended = [event for event in await place.timeline() if event["type"] == "tool" and event["status"] == "completed"]
    assert (await proposals(place), len(ended)) == (1, 5)
    assert len({event["verdict"] for event in ended}) == 1
    assert (await place.row())["turns"] == 5


@pytest.mark.usefixtures("lasting_leases")
@pytest.mark.parametrize("do", ["pause", "takeover"])
async def test_after_a_pause_or_a_takeover_the_next_turn_asks(place: Place, do: str) -> None:
    await turns(place, 2)
    await place.command(do)
    run = place.gateway.runs.live[0].live
    await eventually(lambda: run.may_go_ahead(0.0, 1) == "")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await turns(place, 1)
    assert len(place.upstream.calls("onward")) == 2


@pytest.mark.usefixtures("lasting_leases")
async def test_a_killed_run_has_no_lease(place: Place) -> None:
    await turns(place, 2)
    run = place.gateway.runs.live[0].live
    await place.command("kill")
    await eventually(lambda: run.session.fenced)
    assert run.may_go_ahead(0.0, 1) == ""


@pytest.mark.usefixtures("lasting_leases")
async def test_after_the_limits_are_lowered_the_next_turn_asks(place: Place) -> None:
    await turns(place, 2)
    run = place.gateway.runs.live[0].live
    assert run.lease is not None
    await place.command("budget", caps={"turns": 100}, note="enough")
    await eventually(lambda: run.lease is None)
    first = await proposed(place)
    await turns(place, 1)
    await place.told(lambda event: is_proposed(event) and event["id"] not in first)


def test_what_a_turn_has_used_no_other_turn_gets_back() -> None:
    held = lease()
    held.is_renewing = True
    assert held.take(0.5, 600, 100.0)
    held.settle(0.5, 600, 0.4, 500)
    assert (held.usd, held.tokens) == (pytest.approx(0.4), 300)
