"""Passing a held call on: only to somebody who can decide it, and with the name of who did."""

from __future__ import annotations

import pytest

from opsconsole.domain.command import Do, Role
from opsconsole.hub.claims import claim_refusal
from opsconsole.hub.desk.principal import Principal
from opsconsole.protocol.frames import Command
from tests.support.hub import RunningHub, mint

ANA = Principal(name="ana", role=Role.OPERATOR)


def refused(text: str | None, do: Do = Do.CLAIM, who: Principal = ANA) -> str | None:
    found = claim_refusal(Command(cmd="c", do=do, text=text), who, lambda: ["ana", "ben"])
    return found and found.message


def test_a_call_is_not_passed_on_to_nobody() -> None:
    assert refused("bem") == "nobody called 'bem' may decide here, only ana, ben"


@pytest.mark.parametrize("text", ["ben", "ana", "", None])
def test_whoever_may_decide_can_be_passed_a_call(text: str | None) -> None:
    assert refused(text) is None


def test_only_claims_are_looked_at() -> None:
    assert refused("bem", do=Do.ANNOTATE) is None


def test_who_may_not_claim_is_told_no_names() -> None:
    assert refused("bem", who=Principal(name="eve", role=Role.OBSERVER)) is None


async def test_the_hub_knows_those_whose_tokens_are_good(hub: RunningHub) -> None:
    made = await mint(hub, "operator")
    await mint(hub, "observer")
    before = await known(hub, "cmd_1")
    async with hub.http("admin") as admin:
        await admin.delete(f"/v1/tokens/{made['id']}")
    assert (before, await known(hub, "cmd_2")) == (
        "a operator, admin@bootstrap, operator@bootstrap",
        "admin@bootstrap, operator@bootstrap",
    )


async def known(hub: RunningHub, cmd: str) -> str:
    """Whom the hub names when a call is passed on to nobody; the call itself is not looked for."""
    body = {"cmd": cmd, "do": "claim", "approval": "apr_1", "text": "bem"}
    async with hub.http("operator") as client:
        res = (await client.post("/v1/commands", json=body)).json()
    assert (res["ok"], res["code"]) == (False, "not_found")
    return str(res["message"].removeprefix("nobody called 'bem' may decide here, only "))
