"""What gateways ask the hub over HTTP: whose token it is, and that what they made is on record."""

from __future__ import annotations

import pytest

from tests.support.hub import RunningHub


@pytest.mark.parametrize(
    ("role", "status"), [("agent", 200), ("gateway", 200), ("observer", 403), ("operator", 403), ("admin", 403)]
)
async def test_who_may_speak_for_runs_is_told_as_whom(hub: RunningHub, role: str, status: int) -> None:
    async with hub.http("admin") as admin:
        made = (await admin.post("/v1/tokens", json={"name": f"a {role}", "role": role})).json()
    async with hub.http(token=made["token"]) as client:
        answer = await client.get("/v1/whoami")
    assert answer.status_code == status
    assert status != 200 or answer.json() == {"principal": f"a {role}", "role": role, "agent_prefix": None}


async def test_a_run_token_that_a_gateway_made_is_in_the_audit_under_its_name(hub: RunningHub) -> None:
    async with hub.http("gateway") as gateway, hub.http() as operator:
        about = {"id": "rt_1", "agent": "refunds", "expires_at": 2e9}
        assert (await gateway.post("/v1/run-tokens", json=about)).json() == {"ok": True}
        (entry,) = (await operator.get("/v1/audit?kind=run_token.created")).json()["entries"]
    told = {name: entry[name] for name in ("token_id", "agent", "expires_at")}
    assert (told, entry["who"]["role"]) == ({"token_id": "rt_1", "agent": "refunds", "expires_at": 2e9}, "gateway")


@pytest.mark.parametrize("role", ["agent", "operator", "admin"])
async def test_nobody_else_says_that_a_run_token_was_made(hub: RunningHub, role: str) -> None:
    async with hub.http(role) as client:
        assert (await client.post("/v1/run-tokens", json={"id": "rt_1"})).status_code == 403
