"""Traffic that went through a real gateway to a real hub, rehearsed by the command line's own reading of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner, Result

from opsconsole.cli.program import program
from tests.gateway.place import Place, until
from tests.gateway.test_pacing import limits, said
from tests.support.model_script import Turn, Usage

TURNS = 3


async def asked(place: Place, *args: str) -> Result:
    given = ("--hub", place.hub.url, "--token", place.hub.token("operator"), *args)
    return await asyncio.to_thread(lambda: CliRunner().invoke(program, given, prog_name="opsconsole"))


async def test_what_went_through_a_gateway_is_rehearsed_against_the_limits_it_has_seen(place: Place) -> None:
    for number in range(TURNS):
        turn = Turn(text="Yes.", usage=Usage(input_tokens=500, output_tokens=10), headers=limits(59_000))
        place.upstream.script(f"turn{number}", turn)
        await said(place, f"turn{number}", run=f"run_{number}")

    async def told() -> bool:
        rows = json.loads((await asked(place, "limits", "--json")).stdout)["limits"]
        return any(row["kind"] == "tokens" and row["limit"] for row in rows)

    await until(told)
    found = json.loads((await asked(place, "rehearse", "--times", "100", "--json")).stdout)
    assert (found["recorded"]["runs"], found["recorded"]["turns"]) == (TURNS, TURNS)
    load = next(one for one in found["loads"] if one["what"] == "TPM")
    assert (load["where"], load["limit"], load["more"]["turns"]) == ("openai gpt-4o-mini", 60_000, 100 * TURNS)
    assert load["share"] == pytest.approx(load["load"] / 60_000)
