"""Run tokens over HTTP: for a run whose key one holds, with an agent's token of the hub, and for nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.domain.ids import key_proof, sealed_run_id
from opsconsole.gateway.handing_out import HandingOut
from opsconsole.gateway.keys import Keys, secret_of
from opsconsole.gateway.readers import ASKED_PER_SECOND
from opsconsole.gateway.revoked import revoke
from opsconsole.gateway.run_tokens import RUN_TOKEN_PATH, Issued, issued_token
from opsconsole.gateway.settings import GatewaySettings
from tests.gateway.place import Place, running_place, until
from tests.gateway.test_turn import ask
from tests.support.model_script import Turn

KEY = "the supervisor's key"
RUN = sealed_run_id("run_1", KEY)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway that holds OpenAI's key."""
    async with running_place(tmp_path, keys={"openai": "sk-held"}) as place:
        yield place


async def handed(place: Place, run: str = RUN, key: str = KEY, *, role: str = "agent", **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {place.hub.token(role)}"}
    return await place.post(
        RUN_TOKEN_PATH, **({"json": {"run": run, "proof": key_proof(key)}, "headers": headers} | more)
    )


async def test_who_holds_the_run_s_key_gets_its_token_and_the_model_answers(vault: Place) -> None:
    vault.upstream.script("hello", Turn(text="Hello"))
    told = (await handed(vault)).json()
    async with vault.openai(RUN, api_key=told["token"]) as agent:
        answer = await agent.chat.completions.create(**ask("hello"))
    assert answer.choices[0].message.content == "Hello"
    assert (told["held"], told["configured"], sorted(told["upstreams"])) == (["openai"], [], ["anthropic", "openai"])


@pytest.mark.parametrize(
    ("run", "key"), [(RUN, "another key"), ("run_1", KEY), (sealed_run_id("run_2", "theirs"), KEY), ("", KEY)]
)
async def test_there_is_no_token_for_another_s_run(vault: Place, run: str, key: str) -> None:
    answer = await handed(vault, run, key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_proved")


async def test_the_key_itself_is_not_taken_for_its_proof(vault: Place) -> None:
    assert (await handed(vault, json={"run": RUN, "proof": KEY})).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer ops_nobody"}, {"authorization": "Bearer a b"}])
async def test_strangers_get_none(vault: Place, headers: dict[str, str]) -> None:
    assert (await handed(vault, headers=headers)).status_code == 401


async def test_an_operator_s_token_is_no_agent_s(vault: Place) -> None:
    assert (await handed(vault, role="operator")).status_code == 401


@pytest.mark.parametrize(
    "content",
    [b"", b"7", b"[]", b'{"run": 7, "proof": null}', b"{" * 5_000, b"[" * 4_000, b'{"run": "a.b", "proof": "\\ud800"}'],
)
async def test_what_is_no_question_gets_none(vault: Place, content: bytes) -> None:
    assert (await handed(vault, json=None, content=content)).status_code == 403


async def test_many_agents_with_one_token_are_one_question_to_the_hub(vault: Place) -> None:
    answers = await asyncio.gather(*(handed(vault) for _ in range(3 * ASKED_PER_SECOND)))
    assert {answer.status_code for answer in answers} == {200}


async def test_without_the_hub_nobody_knows_whose_token_it_is(tmp_path: Path) -> None:
    settings = GatewaySettings(hub="ws://127.0.0.1:9/v1/agent", token=lambda: None, data_dir=tmp_path)
    body = json.dumps({"run": RUN, "proof": key_proof(KEY)}).encode()
    answer = await HandingOut(settings, Keys({}, b"secret")).asked("Bearer ops_agent", body)
    assert (answer.status, answer.body["error"]["code"]) == (503, "hub_lost")


async def unsupervised(place: Place, token: str, **headers: str) -> Any:
    base = f"{place.gateway.url}/openai/v1"
    async with place.openai(base_url=base, api_key=token, default_headers=headers) as agent:
        return await agent.chat.completions.create(**ask("hello"))


def made(place: Place, **about: Any) -> str:
    return issued_token(secret_of(place.gateway.settings.data_dir), Issued(id="rt_1", **about))


async def test_an_agent_that_nobody_supervises_reaches_its_model_with_a_token_made_for_it(vault: Place) -> None:
    vault.upstream.script("hello", Turn(text="Hello"))
    answer = await unsupervised(vault, made(vault, agent="refunds"))
    (run,) = vault.gateway.runs.live
    row = await vault.row(run.id)
    assert (answer.choices[0].message.content, row["agent"]) == ("Hello", "refunds")
    assert (row["labels"]["attribution"], row["labels"]["run_token"]) == ("guessed", "rt_1")
    assert vault.upstream.calls("hello")[0].headers["authorization"] == "Bearer sk-held"


async def test_an_agent_s_token_opens_no_run_of_another(vault: Place) -> None:
    answer = await vault.post(
        f"/r/{RUN}/refunds/openai/v1/chat/completions",
        json=ask("hello"),
        headers={"authorization": f"Bearer {made(vault, agent='refunds')}"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "run_token")


async def test_a_revoked_token_is_refused_with_its_next_request(vault: Place) -> None:
    token = made(vault, agent="refunds")
    revoke(vault.gateway.settings.data_dir, "rt_1")

    async def refused() -> bool:
        asked = {"json": ask("hello"), "headers": {"authorization": f"Bearer {token}"}}
        return (await vault.post("/openai/v1/chat/completions", **asked)).status_code == 401

    await until(refused)
