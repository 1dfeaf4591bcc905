"""The gateway around its turns: whose run, which endpoint, whose key, and what it does without its hub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from opsconsole.gateway.keys import secret_of
from opsconsole.gateway.run_tokens import run_token
from tests.gateway.place import Place, running_gateway, running_place, until
from tests.support.hub import PATIENCE_SECONDS, RunningHub, eventually, running_hub
from tests.support.model_script import Call, Delivery, Turn, mark
from tests.support.model_upstream import running_upstream

SEALED = "run_1.abcdefghijklmnop"
QUICK: dict[str, Any] = {"keepalive_seconds": 0.1, "patience_seconds": 0.1, "grace_seconds": 0.5}


def body(script: str = "", **more: Any) -> dict[str, Any]:
    words = f"hello {mark(script)}" if script else "hello"
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": words}]} | more


CHAT = "/openai/v1/chat/completions"
KEY = {"authorization": "Bearer sk-agent"}


async def rows(place: Place) -> list[dict[str, Any]]:
    async with place.hub.http() as client:
        return list((await client.get("/v1/runs")).json()["rows"])


@pytest.mark.parametrize(
    ("role", "status"), [("operator", 200), ("admin", 200), ("agent", 401), ("gateway", 401), ("", 401)]
)
async def test_its_numbers_are_for_those_who_may_observe_the_hub(place: Place, role: str, status: int) -> None:
    import httpx

    headers = {"authorization": f"Bearer {place.hub.token(role)}"} if role else {}
    async with httpx.AsyncClient(base_url=place.gateway.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        answers = [(await client.get("/metrics")).status_code for _ in range(2)]
    assert answers == [status, status]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_gateway_tells_how_it_is(place: Place, path: str) -> None:
    import httpx

    async with httpx.AsyncClient(base_url=place.gateway.url, timeout=PATIENCE_SECONDS) as client:
        assert (await client.get(path)).status_code == 200


async def test_a_request_that_nobody_attributed_is_a_run_marked_as_guessed(place: Place) -> None:
    answers = [await place.post(CHAT, json=body(), headers=KEY) for _ in range(2)]
    await until(lambda: has_rows(place, 1, turns=2))
    [row] = await rows(place)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (row["labels"]["attribution"], row["agent"], row["turns"]) == ("guessed", "python-httpx", 2)


async def has_rows(place: Place, number: int, *, turns: int = 1) -> bool:
    found = await rows(place)
    return len(found) == number and all(row["turns"] >= turns for row in found)


async def test_two_conversations_of_one_program_are_two_runs(place: Place) -> None:
    for session in ("one", "two"):
        await place.post(CHAT, json=body(), headers=KEY | {"x-claude-code-session-id": session})
    await until(lambda: has_rows(place, 2))


async def test_a_websocket_is_told_at_once_to_come_back_without(place: Place) -> None:
    headers = KEY | {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    import httpx

    async with httpx.AsyncClient(base_url=place.gateway.url, timeout=PATIENCE_SECONDS) as client:
        answer = await client.get("/openai/v1/responses", headers=headers)
    assert answer.status_code == 426


async def test_an_uncovered_endpoint_is_refused_in_the_api_s_own_words(place: Place) -> None:
    answer = await place.post("/openai/v1/batches", json={}, headers=KEY)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (403, "false")
    assert "batch" in answer.json()["error"]["message"]


async def test_models_are_listed_by_the_provider(place: Place) -> None:
    async with place.openai() as client:
        assert [model.id async for model in client.models.list()] == ["gpt-4o-mini"]


async def test_embeddings_are_counted(place: Place) -> None:
    async with place.openai() as client:
        await client.embeddings.create(model="text-embedding-3-small", input="hello there")
    usage = await place.told(lambda event: event["type"] == "usage")
    assert usage["model"] == "text-embedding-3-small"
    assert (usage["turns"], usage["input_tokens"] > 0) == (0, True)


async def test_a_body_that_is_no_request_is_refused_and_not_forwarded(place: Place) -> None:
    answer = await place.post(CHAT, content=b"{", headers=KEY)
    assert (answer.status_code, place.upstream.provider.seen) == (400, [])


async def test_what_comes_back_compressed_or_not_is_asked_for_plain(place: Place) -> None:
    turn = Turn(text="Hello", delivery=Delivery(encoding="gzip"))
    place.upstream.script("zip", turn)
    answer = await place.post(CHAT, json=body("zip"), headers=KEY | {"accept-encoding": "gzip"})
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    assert place.upstream.calls("zip")[0].headers["accept-encoding"] == "identity"


async def test_headers_and_query_reach_the_provider_unchanged_but_for_ours(place: Place) -> None:
    headers = KEY | {"x-strange": "yes", "x-opsconsole-agent": "me"}
    await place.post(f"{CHAT}?beta=true", json=body(), headers=headers)
    [seen] = place.upstream.provider.seen
    assert (seen.query, seen.headers["x-strange"], "x-opsconsole-agent" in seen.headers) == (
        {"beta": ["true"]}, "yes", False,
    )  # fmt: skip


async def test_a_client_that_waits_for_a_person_is_shown_that_it_is_waited_for(place: Place) -> None:
    import httpx

    place.upstream.script("call", Turn(calls=[Call(name="shell", args={"cmd": "ls"})]))
    url = f"{place.gateway.url}{CHAT}"
    asked = {"json": body("call"), "headers": KEY}
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client, client.stream("POST", url, **asked) as answer:
        heard = aiter(answer.aiter_bytes())
        signs = [await anext(heard) for _ in range(3)]
        [run] = place.gateway.runs.live
        await place.decide("approve", run=run.id)
        words = b"".join([part async for part in heard])
    assert (b"".join(signs).strip(), answer.status_code) == (b"", 200)
    assert json.loads(words)["choices"][0]["message"]["tool_calls"]
    assert len(place.upstream.calls("call")) == 1


async def test_a_supervised_run_is_not_ended_by_its_gateway(tmp_path: Path) -> None:
    async with running_place(tmp_path, idle_seconds=0.2) as place:
        await place.post(f"/r/{SEALED}/tester/openai/v1/chat/completions", json=body(), headers=KEY)
        await eventually(lambda: not place.gateway.runs.live)
        await place.told(lambda event: event["type"] == "link" and event["status"] == "detached", SEALED)
        assert [one["type"] for one in await place.timeline(SEALED) if one["type"] == "state"] == []


async def test_a_run_that_nobody_else_speaks_for_ends_when_it_is_idle(tmp_path: Path) -> None:
    async with running_place(tmp_path, idle_seconds=0.2) as place:
        await place.post(CHAT, json=body(), headers=KEY)
        await eventually(lambda: not place.gateway.runs.live)
        async with place.hub.http() as client:
            [row] = (await client.get("/v1/runs", params={"live": 0})).json()["rows"]
        ended = await place.told(lambda event: event["type"] == "state" and event["state"] == "completed", row["run"])
        assert ended["reason"] == "idle"


async def test_a_name_that_has_ended_names_the_next_run(tmp_path: Path) -> None:
    async with running_place(tmp_path, idle_seconds=0.2) as place:
        for _ in range(2):
            answer = await place.post("/r/nightly/tester" + CHAT, json=body(), headers=KEY)
            assert answer.status_code == 200
            await eventually(lambda: not place.gateway.runs.live and not place.gateway.runs._lives)
        async with place.hub.http() as client:
            found = (await client.get("/v1/runs", params={"live": 0})).json()["rows"]
        assert sorted(row["run"] for row in found) == ["nightly", "nightly.2"]


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway that holds the key of a provider."""
    async with running_place(tmp_path, keys={"openai": "sk-held"}) as place:
        yield place


async def test_a_held_key_goes_upstream_in_the_place_of_a_run_token(vault: Place) -> None:
    token = run_token(secret_of(vault.gateway.settings.data_dir), "run_1")
    answer = await vault.post(CHAT, json=body(), headers={"authorization": f"Bearer {token}"})
    [seen] = vault.upstream.provider.seen
    assert (answer.status_code, seen.headers["authorization"]) == (200, "Bearer sk-held")
    assert (await vault.row())["run"] == "run_1"


@pytest.mark.parametrize("run", ["", "run_2"])
async def test_a_held_key_serves_nobody_without_a_token_of_their_run(vault: Place, run: str) -> None:
    token = run_token(secret_of(vault.gateway.settings.data_dir), run) if run else "sk-agent"
    path = f"/r/run_1/tester{CHAT}"
    answer = await vault.post(path, json=body(), headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, vault.upstream.provider.seen) == (401, [])


async def test_no_key_is_written_down(vault: Place) -> None:
    token = run_token(secret_of(vault.gateway.settings.data_dir), "run_1")
    await vault.post(CHAT, json=body(), headers={"authorization": f"Bearer {token}"})
    told = json.dumps(await vault.timeline())
    assert ("sk-held" in told, token in told) == (False, False)


# -- without the hub, and after a restart ------------------------------------------------------------------------------


async def test_no_turn_begins_while_the_hub_is_gone_and_a_running_one_ends(tmp_path: Path) -> None:
    slow = Delivery(delay_seconds=0.05)
    with running_upstream() as upstream:
        upstream.script("long", Turn(text="word " * 20, piece_characters=5, delivery=slow))
        async with running_hub(tmp_path / "hub") as hub:
            gateway = running_gateway(hub, upstream, tmp_path)
            service = await gateway.__aenter__()
            place = Place(hub, service, upstream)
            client = place.openai()
            stream = await client.chat.completions.create(**body("long", stream=True))
            await anext(aiter(stream))
        await eventually(lambda: service.runs.hub_gone)
        words = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(**body())
        await client.close()
        await gateway.__aexit__(None, None, None)
    assert "".join(words).count("word") >= 15
    assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (503, "5")


async def test_what_was_held_when_the_gateway_died_is_withdrawn_and_asked_anew(tmp_path: Path) -> None:
    with running_upstream() as upstream:
        upstream.script("call", Turn(calls=[Call(name="shell", args={"cmd": "ls"})]), repeats=True)
        async with running_hub(tmp_path / "hub") as hub:
            first = await held_then_stopped(hub, upstream, tmp_path)
            async with running_gateway(hub, upstream, tmp_path, **QUICK) as service:
                place = Place(hub, service, upstream)
                async with place.openai() as client:
                    asked = asyncio.create_task(client.chat.completions.create(**body("call")))
                    await until(lambda: is_another(place, first))
                    await place.decide("approve")
                    answer = await asked
            events = await place.timeline()
    assert answer.choices[0].message.tool_calls
    ends = [one["status"] for one in events if one["type"] == "tool" and one["id"] == first]
    assert ends == ["proposed", "denied"]


async def held_then_stopped(hub: RunningHub, upstream: Any, data_dir: Path) -> str:
    async with running_gateway(hub, upstream, data_dir, **QUICK) as service:
        place = Place(hub, service, upstream)
        async with place.openai() as client:
            asked = asyncio.create_task(client.chat.completions.create(**body("call")))
            row = await place.approval()
            [turn] = service.runs.live[0].turns
            turn._run.calls.withdraw = lambda call: None  # it dies without a word
            turn._cancel()
            with pytest.raises(openai.APIError):
                await asked
    return str(row["call"])


async def is_another(place: Place, call: str) -> bool:
    return (await place.approval())["call"] != call
