"""Turns whose run has less left than they reserve: they go with as long an answer as that pays for, and say so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import CallDenied
from opsconsole.gateway import admission
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.ledger import SUFFIX
from opsconsole.gateway.narrowing import ANSWER_TOKENS_LEAST, Narrowing
from opsconsole.gateway.settings import ANSWER_TOKENS
from opsconsole.gateway.told import Most, Price, reserved
from opsconsole.sdk.gate import Admission, Decision
from tests.gateway.place import Place, running_gateway
from tests.gateway.raw_upstream import RawUpstream
from tests.gateway.test_clamp import ANTHROPIC, KEY, PATHS, body
from tests.support.hub import running_hub
from tests.support.model_script import Turn, Usage
from tests.support.model_upstream import running_upstream

PRICE = Price()
FIELDS = {
    "openai.chat": "max_completion_tokens",
    "openai.responses": "max_output_tokens",
    "anthropic.messages": "max_tokens",
}
OUTPUT_USD = 0.6e-6
"""A token of an answer of gpt-4o-mini."""


def narrowing(dialect: str = "openai.chat", **more: Any) -> Narrowing:
    request = DIALECTS[dialect].read(json.dumps(body(dialect, "x", **more)).encode())
    return Narrowing(
        reserves=lambda tokens: reserved(request, DIALECTS[dialect].provider, PRICE, tokens),
        answer_tokens=ANSWER_TOKENS,
    )


def priced(most: Most) -> float:
    assert most.usd is not None
    return most.usd


def test_the_least_is_the_request_and_the_shortest_answer_that_is_of_use() -> None:
    least, most = narrowing().least, narrowing().reserves(ANSWER_TOKENS)
    assert (least.output_tokens, least.input_tokens) == (ANSWER_TOKENS_LEAST, most.input_tokens)
    assert priced(most) - priced(least) == pytest.approx((ANSWER_TOKENS - ANSWER_TOKENS_LEAST) * OUTPUT_USD)


@pytest.mark.parametrize("dialect", sorted(FIELDS))
@given(usd=st.floats(0.0002, 0.02), tokens=st.integers(400, 20_000))
def test_what_is_granted_pays_for_the_answer_and_for_none_that_is_longer(dialect: str, usd: float, tokens: int) -> None:
    turn = narrowing(dialect)
    found = turn.within({"usd": usd, "tokens": tokens})
    longer = turn.reserves(found.answer_tokens + 1)
    assert priced(found.most) <= usd
    assert found.most.tokens <= tokens
    assert found.answer_tokens == ANSWER_TOKENS or priced(longer) > usd or longer.tokens > tokens


def test_several_answers_to_one_request_share_what_is_granted() -> None:
    turn = narrowing(n=4)
    found = turn.within({"usd": 1.0, "tokens": turn.reserves(0).tokens + 4_003})
    assert (found.answer_tokens, found.most.output_tokens) == (1_000, 4_000)


def test_where_no_price_is_known_the_tokens_alone_count() -> None:
    turn = narrowing(model="nobody-knows-it")
    assert turn.within({"usd": None, "tokens": turn.reserves(0).tokens + 700}).answer_tokens == 700


def test_what_pays_for_no_answer_at_all_is_refused() -> None:
    turn = narrowing()
    with pytest.raises(CallDenied) as denied:
        turn.within({"usd": priced(turn.reserves(0)), "tokens": 100_000})
    assert denied.value.rule == "budget"


def test_less_than_all_is_of_no_use_to_what_cannot_be_made_shorter() -> None:
    partly = Decision(admission=Admission.RUN, verdict="cmd_1", granted={"usd": 1.0, "tokens": 10})
    with pytest.raises(CallDenied):
        admission._narrowed(partly, None)


@asynccontextmanager
async def limited(data_dir: Path, *, gateway: dict[str, Any] | None = None, **limits: Any) -> AsyncIterator[Place]:
    """A place whose runs may use no more than that."""
    with running_upstream() as upstream:
        async with (
            running_hub(data_dir / "hub", **({"cost_usd": None, "tokens": None} | limits)) as hub,
            running_gateway(hub, upstream, data_dir, **(gateway or {})) as service,
        ):
            upstream.script("hello", Turn(text="Hello", usage=Usage(input_tokens=20, output_tokens=5)), repeats=True)
            upstream.script("long", Turn(text="word " * 20, finish="length"))
            yield Place(hub, service, upstream)


async def ask(place: Place, dialect: str = "openai.chat", script: str = "hello", **more: Any) -> int:
    """The status of the answer."""
    path = f"/r/run_1/tester/{PATHS.get(dialect, ANTHROPIC)}"
    return (await place.post(path, json=body(dialect, script, **more), headers=KEY)).status_code


def is_status(event: dict[str, Any], status: str) -> bool:
    return bool(event["type"] == "tool" and event["status"] == status)


@pytest.mark.parametrize("dialect", sorted(FIELDS))
async def test_a_run_whose_whole_limit_is_less_than_one_reservation_gets_a_shorter_answer(
    tmp_path: Path, dialect: str
) -> None:
    async with limited(tmp_path, cost_usd=0.002) as place:
        status = await ask(place, dialect)
        sent = place.upstream.calls("hello")[-1].body[FIELDS[dialect]]
        proposed = await place.told(lambda event: is_status(event, "proposed"))
        running = await place.told(lambda event: is_status(event, "running"))
        row = await place.row()
    least, reserve = proposed["args"]["reserve"]["least"], running["args"]["reserve"]
    assert (status, row["state"]) == (200, "working")
    assert least["usd"] < reserve["usd"] <= 0.002 < reserve["usd"] + OUTPUT_USD
    assert sent == running["args"]["answer_tokens_max"] < ANSWER_TOKENS
    assert reserve["tokens"] - sent == proposed["args"]["reserve"]["tokens"] - ANSWER_TOKENS


async def test_a_limit_of_tokens_shortens_the_answer_as_one_of_money_does(tmp_path: Path) -> None:
    async with limited(tmp_path, tokens=2_000) as place:
        await ask(place)
        running = await place.told(lambda event: is_status(event, "running"))
    assert running["args"]["reserve"]["tokens"] == 2_000


async def test_the_run_says_which_answer_its_budget_made_shorter(tmp_path: Path) -> None:
    async with limited(tmp_path, tokens=2_000) as place:
        await ask(place)
        running = await place.told(lambda event: is_status(event, "running"))
        note = await place.told(lambda event: event["type"] == "note" and "of its budget" in event["text"])
    longest = running["args"]["answer_tokens_max"]
    assert note["text"] == f"This answer of gpt-4o-mini ends at {longest:,} tokens: more is not left of its budget"
    assert note["data"] == {"call": running["id"], "answer_tokens_max": longest}


async def test_an_answer_that_its_budget_cut_says_so_and_its_client_sees_an_ordinary_end(tmp_path: Path) -> None:
    async with limited(tmp_path, tokens=2_000) as place:
        path = f"/r/run_1/tester/{PATHS['openai.chat']}"
        answer = await place.post(path, json=body("openai.chat", "long"), headers=KEY)
        running = await place.told(lambda event: is_status(event, "running"))
        note = await place.told(lambda event: event["type"] == "note" and "was cut" in event["text"])
    longest = running["args"]["answer_tokens_max"]
    assert note["text"] == f"This answer was cut: it reached the {longest:,} tokens it had reserved"
    assert answer.json()["choices"][0]["finish_reason"] == "length"


async def test_below_the_shortest_answer_of_use_the_run_pauses_and_no_model_is_asked(tmp_path: Path) -> None:
    async with limited(tmp_path, tokens=ANSWER_TOKENS_LEAST) as place, place.openai(timeout=None) as client:
        asked = asyncio.create_task(client.chat.completions.create(**body("openai.chat", "hello")))
        await place.told(lambda event: event["type"] == "state" and event["state"] == "paused")
        row, seen = await place.row(), place.upstream.calls("hello")
        asked.cancel()
        await asyncio.wait((asked,))
    assert (row["state"], seen) == ("paused", [])
    assert row["waiting"]["what"].startswith("budget: a turn reserves")


async def test_what_a_gateway_that_dies_amid_the_turn_counts_is_no_more_than_it_was_granted(tmp_path: Path) -> None:
    async with limited(tmp_path, tokens=2_000) as place:
        await ask(place)
        running = await place.told(lambda event: is_status(event, "running"))
        (ledger,) = place.gateway.settings.data_dir.rglob(f"*{SUFFIX}")
        begun = [told for line in ledger.read_text().splitlines() if (told := json.loads(line).get("begun"))]
    asked, gone = begun
    assert (asked["asked"], asked["output_tokens"]) == (False, ANSWER_TOKENS)
    assert (gone["asked"], gone["output_tokens"]) == (True, running["args"]["answer_tokens_max"])
    assert gone["usd"] == running["args"]["reserve"]["usd"]


@pytest.mark.parametrize(
    ("gateway", "own"),
    [({"clamp": False}, {}), ({"answer_tokens": ANSWER_TOKENS_LEAST}, {}), ({}, {"max_tokens": 5_000})],
    ids=["clamp off", "no longer than the least", "a limit of its own"],
)
async def test_a_turn_that_is_not_to_be_made_shorter_offers_no_least(
    tmp_path: Path, gateway: dict[str, Any], own: dict[str, Any]
) -> None:
    async with limited(tmp_path, gateway=gateway, cost_usd=5.0) as place:
        await ask(place, **own)
        proposed = await place.told(lambda event: is_status(event, "proposed"))
    assert set(proposed["args"]["reserve"]) == {"usd", "tokens"}


class UsesAll(RawUpstream):
    """A provider whose answers are as long as they may be."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await whole_request(reader)
        used = {"prompt_tokens": 1, "completion_tokens": request["max_completion_tokens"]}
        said = {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "word"}}
        answer = {"id": "a", "object": "chat.completion", "model": request["model"], "choices": [said], "usage": used}
        self.asked.append(request["max_completion_tokens"])
        self.says(json.dumps(answer).encode(), headers=b"connection: close\r\ncontent-type: application/json")
        writer.write(self.answer)
        await writer.drain()
        writer.close()


async def whole_request(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    (length,) = [line.split(b":")[1] for line in head.splitlines() if line.startswith(b"content-length:")]
    return dict(json.loads(await reader.readexactly(int(length))))


async def test_many_turns_at_once_that_use_all_they_may_spend_their_cap_and_no_more(tmp_path: Path) -> None:
    cap = 0.015
    upstream = UsesAll()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    urls = {"openai": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"}
    async with (
        running_hub(tmp_path / "hub", cost_usd=cap, tokens=None) as hub,
        running_gateway(hub, upstream, tmp_path, upstreams=urls) as gateway,
    ):
        place = Place(hub, gateway, upstream)
        asked = [asyncio.create_task(ask(place)) for _ in range(20)]
        await place.told(lambda event: event["type"] == "state" and event["state"] == "paused")
        row = await place.row()
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)
    server.close()
    first, second = upstream.asked
    assert (first, ANSWER_TOKENS_LEAST <= second < ANSWER_TOKENS) == (ANSWER_TOKENS, True)
    assert cap - priced(narrowing().least) < row["cost_usd"] <= cap
