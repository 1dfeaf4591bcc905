"""An agent that is hostile: it speaks for no other run, hides nothing from the gate, and outlives no kill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from opsconsole.errors import ConfigError
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import BadRequest
from opsconsole.gateway.keys import secret_of
from opsconsole.gateway.provider_tools import provider_offers
from opsconsole.gateway.run_tokens import SECRET_BYTES, SECRET_FILE, run_token
from opsconsole.gateway.runs import FILES_OF_A_RUN, runs_max
from opsconsole.gateway.told import NEW_TOLD_MAX, news, reserved
from opsconsole.gateway.wire.headers import HEAD_BYTES_MAX
from opsconsole.policy.prices import PriceList, Prices
from opsconsole.sdk.gate import LinkView
from tests.gateway.place import Place, running_place, until
from tests.gateway.raw_upstream import RawPlace, raw_place
from tests.support.hub import eventually
from tests.support.model_script import Call, Delivery, Turn, Usage, mark

CHAT = "/openai/v1/chat/completions"
RUN_CHAT = f"/r/run_1/tester{CHAT}"
EMBED = "/r/run_1/tester/openai/v1/embeddings"
KEY = {"authorization": "Bearer sk-agent"}


def body(script: str = "", **more: Any) -> dict[str, Any]:
    words = f"hello {mark(script)}" if script else "hello"
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": words}]} | more


@pytest.fixture
async def raw(tmp_path: Path) -> AsyncIterator[RawPlace]:
    async with raw_place(tmp_path, keepalive_seconds=0.1, patience_seconds=0.1) as found:
        yield found


def request_bytes(path: str, sent: dict[str, Any]) -> bytes:
    data = json.dumps(sent)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-agent\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n{data}".encode()


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(url)
    return await asyncio.open_connection(place.hostname, place.port, limit=2**26)


# -- whose run ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{"openai": "sk-held"}, {}])
async def test_a_run_token_does_not_speak_for_the_run_of_a_header(tmp_path: Path, keys: dict[str, str]) -> None:
    async with running_place(tmp_path, keys=keys) as place:
        token = run_token(secret_of(place.gateway.settings.data_dir), "run_1")
        headers = {"authorization": f"Bearer {token}", "x-opsconsole-run": "run_2"}
        answer = await place.post(CHAT, json=body(), headers=headers)
        assert (answer.status_code, place.upstream.provider.seen) == (401, [])


@pytest.mark.parametrize("left", ["", "ab\n", "no secret"])
def test_a_secret_that_is_none_serves_nobody(tmp_path: Path, left: str) -> None:
    (tmp_path / SECRET_FILE).write_text(left)
    with pytest.raises(ConfigError):
        secret_of(tmp_path)


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    made = secret_of(tmp_path)
    [path] = tmp_path.iterdir()
    assert (secret_of(tmp_path), len(made), path.stat().st_mode & 0o777) == (made, SECRET_BYTES, 0o600)


# -- what a parser upstream could read otherwise -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "twice"),
    [
        ("openai.chat", b'{"model":"m","messages":[],"web_search_options":{},"web_search_options":null}'),
        ("openai.responses", b'{"model":"m","input":"x","tools":[{"type":"web_search"}],"tools":[]}'),
        ("openai.responses", b'{"model":"m","input":"x","background":true,"background":false}'),
        ("anthropic.messages", b'{"model":"m","messages":[],"mcp_servers":[{"name":"a"}],"mcp_servers":[]}'),
    ],
)
def test_a_field_that_stands_twice_is_refused(dialect: str, twice: bytes) -> None:
    with pytest.raises(BadRequest):
        DIALECTS[dialect].read(twice)


def test_a_server_that_bears_the_name_of_a_clients_tool_is_still_the_providers() -> None:
    sent = {"model": "m", "messages": [], "tools": [{"name": "git"}], "mcp_servers": [{"name": "git", "url": "x"}]}
    [offer] = provider_offers(DIALECTS["anthropic.messages"].read(json.dumps(sent).encode()))
    assert (offer.name, offer.definition["url"]) == ("git", "x")


@pytest.mark.parametrize("more", [{"max_tokens": 1, "max_completion_tokens": 500}, {"max_tokens": 100, "n": 5}])
def test_a_turn_reserves_the_longest_answers_that_it_allows(more: dict[str, int]) -> None:
    request = DIALECTS["openai.chat"].read(json.dumps(body() | more).encode())
    assert reserved(request, "openai", PriceList(Prices(), clock=lambda: 0.0)).tokens >= 500


@pytest.mark.parametrize(
    "path", ["/models/../responses/resp_1", "/models/%2e%2e/responses/r", "/models/..%2fresponses/r"]
)
async def test_a_path_that_leads_out_of_the_models_is_not_passed_on(raw: RawPlace, path: str) -> None:
    raw.upstream.says(b"{}")
    reader, writer = await connected(raw.gateway.url)
    writer.write(f"GET /r/run_1/tester/openai/v1{path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    assert (status.split()[1], raw.upstream.asked) == (b"404", [])


# -- connections -------------------------------------------------------------------------------------------------------


async def test_a_request_behind_a_held_one_breaks_the_connection_and_withdraws_the_call(place: Place) -> None:
    place.upstream.script("ls", Turn(calls=[Call(name="shell", args={"cmd": "ls"})]))
    reader, writer = await connected(place.gateway.url)
    writer.write(request_bytes(RUN_CHAT, body("ls")))
    row = await place.approval()
    writer.write(request_bytes(RUN_CHAT, body()))
    assert b"hello" not in await reader.read()
    told = await place.told(
        lambda event: event.get("id") == row["call"] and event.get("status") in ("denied", "failed")
    )
    assert told["type"] == "tool"


async def test_a_head_without_end_is_not_read_on(place: Place) -> None:
    reader, writer = await connected(place.gateway.url)
    writer.write(b"POST / HTTP/1.1\r\nx: ")
    with pytest.raises(OSError):
        for _ in range(64):
            writer.write(b"a" * (HEAD_BYTES_MAX // 8))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()
        raise OSError
    await eventually(lambda: not connections(place))


def connections(place: Place | RawPlace) -> set[Any]:
    return place.gateway._server.connections  # type: ignore[union-attr]


# -- after a kill ------------------------------------------------------------------------------------------------------


async def test_a_killed_run_s_slow_client_is_cut_off(raw: RawPlace) -> None:
    words = json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": "x" * 50_000}}]}).encode()
    raw.upstream.says(b"data: %b\n\n" % words * 1_000 + b"data: [DONE]\n\n")
    _, writer = await connected(raw.gateway.url)
    assert isinstance(writer.transport, asyncio.Transport)
    writer.transport.pause_reading()
    writer.write(request_bytes(RUN_CHAT, body(stream=True)))
    await eventually(lambda: any(one.transport.get_write_buffer_size() for one in connections(raw)))
    await command(raw, "kill")
    await eventually(lambda: not connections(raw))
    writer.close()


async def command(raw: RawPlace, do: str) -> None:
    async with raw.hub.http() as client:
        sent = {"cmd": f"cmd_{do}1", "do": do, "run": "run_1"}
        assert (await client.post("/v1/commands", json=sent)).json()["ok"]


async def test_a_kill_cuts_what_is_only_passed_on(raw: RawPlace) -> None:
    raw.upstream.lets_answer.clear()
    raw.upstream.says(b'{"data":[],"usage":{"prompt_tokens":1}}', headers=b"content-type: application/json")
    reader, writer = await connected(raw.gateway.url)
    writer.write(request_bytes(EMBED, {"model": "e", "input": "x"}))
    await eventually(lambda: bool(raw.upstream.asked))
    await command(raw, "kill")
    status = await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    assert status.split()[1] == b"403"


async def test_a_paused_run_buys_no_embeddings_until_it_is_resumed(raw: RawPlace) -> None:
    raw.upstream.says(b'{"data":[],"usage":{"prompt_tokens":1}}', headers=b"content-type: application/json")
    sent = request_bytes(EMBED, {"model": "e", "input": "x"})
    connections = [await connected(raw.gateway.url) for _ in range(2)]
    connections[0][1].write(sent)
    await connections[0][0].readline()
    await command(raw, "pause")
    connections[1][1].write(sent)
    await eventually(lambda: bool(raw.gateway.runs.live[0].turns))
    before = len(raw.upstream.asked)
    await command(raw, "resume")
    status = await connections[1][0].readline()
    for _, writer in connections:
        writer.close()
    assert (status.split()[1], before, len(raw.upstream.asked)) == (b"200", 1, 2)


@pytest.mark.usefixtures("lasting_leases")
async def test_a_lease_ends_with_the_connection_that_brought_it(place: Place) -> None:
    await place.post(RUN_CHAT, json=body(), headers=KEY)
    [run] = place.gateway.runs.live
    before = run.live.may_go_ahead(0.0, 1)
    place.gateway.runs.link.view = LinkView(up=True)
    assert (bool(before), run.live.may_go_ahead(0.0, 1)) == (True, "")


# -- memory ------------------------------------------------------------------------------------------------------------


async def test_names_that_an_agent_makes_up_are_not_kept(place: Place) -> None:
    for number in range(5):
        await get(place, f"/r/run_1/tester/openai/v1/models/m{number}")
    assert len(place.gateway.counts.requests) == 1


async def get(place: Place, path: str) -> None:
    reader, writer = await connected(place.gateway.url)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    await reader.readline()
    writer.close()


async def test_lines_said_once_are_bounded(place: Place) -> None:
    await place.post(RUN_CHAT, json=body(), headers=KEY)
    [run] = place.gateway.runs.live
    for number in range(1_100):
        run.note("x", once=f"n{number}")
    assert len(run.noted) == 1_000


def test_of_a_thousand_new_messages_the_newest_are_told() -> None:
    sent = {"model": "m", "messages": [{"role": "user", "content": str(number)} for number in range(1_000)]}
    told = list(news(DIALECTS["openai.chat"].read(json.dumps(sent).encode()), first=False))
    assert (len(told), told[-1]) == (NEW_TOLD_MAX, (999, "user", "999"))


@pytest.mark.parametrize("header", ["anthropic-beta", "openai-project", "authorization"])
async def test_a_request_that_asks_with_other_headers_joins_no_pending_turn(place: Place, header: str) -> None:
    place.upstream.script("ls", Turn(calls=[Call(name="shell", args={"cmd": "ls"})]), repeats=True)
    retry = {"x-stainless-retry-count": "1"}
    asked = [
        asyncio.create_task(place.post(RUN_CHAT, json=body("ls"), headers=KEY | retry | more))
        for more in ({}, {header: "Bearer other"})
    ]
    await until(lambda: are_held(place, 2))
    for one in asked:
        one.cancel()
    assert place.gateway.counts.joined == 0


async def are_held(place: Place, number: int) -> bool:
    return place.gateway.counts.held == number


# -- costs -------------------------------------------------------------------------------------------------------------


def most(**more: Any) -> int:
    request = DIALECTS["openai.chat"].read(json.dumps(body() | {"max_tokens": 100} | more).encode())
    return reserved(request, "openai", PriceList(Prices(), clock=lambda: 0.0)).tokens


@pytest.mark.parametrize(("n", "answers"), [(5, 5), (5.0, 5), ("5", 5), (4.1, 5), (None, 1), ("x", 1), (10**400, 1)])
def test_every_answer_that_a_lenient_server_would_give_is_reserved(n: Any, answers: int) -> None:
    assert most(n=n) >= 100 * answers


async def test_what_a_provider_remembers_is_reserved_by_who_continues_from_it(place: Place) -> None:
    place.upstream.script("talk", Turn(text="One", usage=Usage(input_tokens=50_000)), Turn(text="Two"))
    async with place.openai() as agent:
        first = await agent.responses.create(model="gpt-4o-mini", input=mark("talk"))
        begun = await place.told(lambda event: event.get("status") == "proposed")
        place.gateway.runs.live[0].live.lease = None
        await agent.responses.create(model="gpt-4o-mini", input="go on", previous_response_id=first.id)
    then = await place.told(lambda event: event.get("status") == "proposed" and event["id"] != begun["id"])
    assert then["args"]["reserve"]["tokens"] > 50_000


async def test_a_client_that_leaves_before_the_model_has_said_a_word_pays_for_what_it_asked(place: Place) -> None:
    place.upstream.script("slow", Turn(text="late", delivery=Delivery(first_delay_seconds=30)))
    asked = asyncio.create_task(place.post(RUN_CHAT, json=body("slow", user="x" * 4_000), headers=KEY))
    await eventually(lambda: place.upstream.calls("slow"))
    asked.cancel()
    usage = await place.told(lambda event: event["type"] == "usage")
    assert (usage["turns"], usage["input_tokens"] > 1_000) == (1, True)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_model_whose_name_is_no_text_is_called_by_one(name: str) -> None:
    sent = b'{"model": "\\ud800", "messages": [], "input": "x"}'
    assert DIALECTS[name].read(sent).model.encode() == "\ufffd".encode()


def test_runs_that_agents_make_up_leave_files_for_everybody_elses_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    for files in (256, 1_024, 4_096):
        monkeypatch.setattr("resource.getrlimit", lambda _, files=files: (files, files))
        assert 0 < runs_max() * FILES_OF_A_RUN <= files - min(512, files // 2)
