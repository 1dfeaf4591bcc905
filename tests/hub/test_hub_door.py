"""Who gets in: tokens, roles, origins and versions, refused before any upgrade; and what the audit keeps of it."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from opsconsole.domain.command import Role
from opsconsole.hub.admission import ADDRESSES_MAX, Refusal
from tests.support.hub import PATIENCE_SECONDS, RunningHub, mint, quick, running_hub


async def upgrade(hub: RunningHub, path: str, **options: Any) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of an upgrade: 101 when it was accepted."""
    options = {"subprotocols": ["opsconsole.v1"]} | options
    try:
        async with connect(f"{hub.ws_url}{path}", proxy=None, open_timeout=PATIENCE_SECONDS, **options) as socket:
            return 101, {"subprotocol": str(socket.subprotocol)}, None
    except InvalidStatus as error:
        response = error.response
        body = json.loads(bytes(response.body or b"null"))
        return response.status_code, {key.lower(): value for key, value in response.headers.raw_items()}, body


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


PATHS = ("/v1/agent", "/v1/operator")


@pytest.mark.parametrize(
    ("role", "statuses"),
    [("agent", (101, 403)), ("observer", (403, 101)), ("operator", (403, 101)), ("admin", (403, 101))],
)
async def test_a_role_opens_its_own_door_only(hub: RunningHub, role: str, statuses: tuple[int, int]) -> None:
    token = (await mint(hub, role))["token"]
    found = [(await upgrade(hub, path, additional_headers=bearer(token)))[0] for path in PATHS]
    assert tuple(found) == statuses


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_token_the_answer_is_401_and_says_how(hub: RunningHub, path: str) -> None:
    status, headers, body = await upgrade(hub, path)
    assert (status, headers["www-authenticate"], body["error"]["code"]) == (
        401,
        'Bearer realm="opsconsole"',
        "unauthorised",
    )


@pytest.mark.parametrize("damage", ["", "x", "ops_", "ops_aaaaaaaa_" + "x" * 43, "Bearer"])
async def test_a_token_that_nobody_made_is_refused(hub: RunningHub, damage: str) -> None:
    status, headers, _ = await upgrade(hub, "/v1/operator", additional_headers=bearer(damage))
    assert (status, "www-authenticate" in headers) == (401, True)


async def test_a_known_id_with_a_wrong_secret_is_refused(hub: RunningHub) -> None:
    token = hub.token()
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert (await upgrade(hub, "/v1/operator", additional_headers=bearer(wrong)))[0] == 401


async def test_a_token_in_the_query_string_is_not_read(hub: RunningHub) -> None:
    assert (await upgrade(hub, f"/v1/operator?token={hub.token()}&access_token={hub.token()}"))[0] == 401


async def test_a_token_may_come_as_a_subprotocol_that_is_never_echoed(hub: RunningHub) -> None:
    encoded = base64.urlsafe_b64encode(hub.token().encode()).decode().rstrip("=")
    offered = ["opsconsole.v1", f"opsconsole.bearer.{encoded}"]
    assert await upgrade(hub, "/v1/operator", subprotocols=offered) == (101, {"subprotocol": "opsconsole.v1"}, None)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:1", "https://evil.example", "null"])
async def test_a_web_page_may_not_drive_the_hub(hub: RunningHub, origin: str) -> None:
    status, _, body = await upgrade(hub, "/v1/operator", additional_headers=bearer(hub.token()), origin=origin)
    assert (status, body["error"]["code"]) == (403, "origin")
    async with hub.http() as client:
        assert (await client.get("/v1/runs", headers={"Origin": origin})).status_code == 403
        assert (await client.get("/metrics", headers={"Origin": origin})).status_code == 403


async def test_an_origin_on_the_list_may(tmp_path: Path) -> None:
    async with running_hub(tmp_path, allowed_origins=("https://Ops.example/",)) as hub:
        headers = bearer(hub.token())
        assert (await upgrade(hub, "/v1/operator", additional_headers=headers, origin="https://ops.example"))[0] == 101


@pytest.mark.parametrize("offered", [None, ["opsconsole.v2"], ["mqtt", "soap"]])
async def test_another_version_is_told_which_one_is_spoken(hub: RunningHub, offered: list[str] | None) -> None:
    status, _, body = await upgrade(hub, "/v1/operator", additional_headers=bearer(hub.token()), subprotocols=offered)
    assert (status, body["error"]["supported"]) == (426, ["opsconsole.v1"])


async def test_a_newer_client_that_also_speaks_ours_gets_ours(hub: RunningHub) -> None:
    headers = bearer(hub.token())
    offered = ["opsconsole.v2", "opsconsole.v1"]
    status, answer, _ = await upgrade(hub, "/v1/operator", additional_headers=headers, subprotocols=offered)
    assert (status, answer["subprotocol"]) == (101, "opsconsole.v1")


async def test_there_is_no_websocket_elsewhere(hub: RunningHub) -> None:
    assert (await upgrade(hub, "/v1/nowhere", additional_headers=bearer(hub.token())))[0] == 404


async def test_one_connection_too_many_is_asked_to_come_later(tmp_path: Path) -> None:
    async with running_hub(tmp_path, limits=quick(operator_connections_max=1)) as hub, hub.console():
        status, headers, _ = await upgrade(hub, "/v1/operator", additional_headers=bearer(hub.token()))
        assert (status, headers["retry-after"]) == (503, "5")


async def test_guessing_tokens_becomes_slow_but_the_right_one_still_opens(tmp_path: Path) -> None:
    limits = quick(refusals_per_second=0.001, burst_seconds=2_000.0)
    async with running_hub(tmp_path, limits=limits) as hub, hub.http(token="ops_guess_x") as guesser, hub.http() as one:
        statuses = [(await guesser.get("/v1/info")).status_code for _ in range(6)]
        answer = await guesser.get("/v1/info")
        assert statuses[:2] == [401, 401]
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (429, True)
        assert (await one.get("/v1/info")).status_code == 200


async def audit(hub: RunningHub, kind: str) -> list[dict[str, Any]]:
    """The entries of a kind."""
    async with hub.http() as client:
        return list((await client.get("/v1/audit", params={"kind": kind})).json()["entries"])


async def test_a_refusal_is_in_the_audit_without_the_token(hub: RunningHub) -> None:
    await upgrade(hub, "/v1/agent", additional_headers=bearer(hub.token("operator")))
    (entry,) = await audit(hub, "login.refused")
    assert (entry["status"], entry["code"], entry["path"]) == (403, "forbidden", "/v1/agent")
    assert hub.token("operator") not in str(entry)


async def test_many_equal_refusals_are_one_entry(hub: RunningHub) -> None:
    async with hub.http(token="ops_guess_x") as guesser:
        for _ in range(15):
            await guesser.get("/v1/info")
    assert len(await audit(hub, "login.refused")) == 1


async def test_a_login_is_in_the_audit_with_who_and_from_where(hub: RunningHub) -> None:
    async with hub.console():
        logins = [entry for entry in await audit(hub, "login") if entry["how"] == "websocket"]
    assert [(entry["who"]["principal"], entry["who"]["from"].startswith("127.0.0.1:")) for entry in logins] == [
        ("operator@bootstrap", True)
    ]


async def test_collapsed_refusals_are_counted_when_their_time_is_over(hub: RunningHub) -> None:
    assert hub.service is not None
    door = hub.service.parts.door
    async with hub.http(token="ops_guess_x") as guesser:
        for _ in range(5):
            await guesser.get("/v1/info")
    facts = door.counted(hub.service.parts.hub.now() + 61.0)
    assert [(fact.kind, fact.details["more"]) for fact in facts] == [("login.refused", 4)]


async def test_refusals_of_countless_addresses_take_bounded_memory(hub: RunningHub) -> None:
    assert hub.service is not None
    door = hub.service.parts.door
    for number in range(ADDRESSES_MAX + 10):
        scope = {"type": "http", "path": "/", "headers": [], "client": (f"10.0.{number // 250}.{number % 250}", 1)}
        with pytest.raises(Refusal, match="bearer token"):
            door.admit(scope, Role.ADMIN, 0.0)
    assert len(door._refusals) <= ADDRESSES_MAX


async def test_the_hub_lives_on_after_garbage_instead_of_http(hub: RunningHub) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.url.rpartition(":")[2]))
    writer.write(b"\x00\xff\x16\x03 this is not HTTP\r\n\r\n")
    await writer.drain()
    await reader.read()
    writer.close()
    async with hub.http() as client:
        assert (await client.get("/healthz")).status_code == 200
