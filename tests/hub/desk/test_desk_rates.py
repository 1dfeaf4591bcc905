"""What gateways tell of providers' rate limits, at the desk: who is believed, and for how long."""

from __future__ import annotations

from typing import Any

from opsconsole.hub.desk.rates import GATEWAYS_MAX
from opsconsole.protocol.rates import LimitRow
from tests.hub.desk.office import Agent, Office

RATE: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o",
    "kind": "tokens",
    "source": "headers",
    "limit": 60_000,
    "per_minute": 30_000,
    "used_share": 0.5,
    "full_in_seconds": 120,
    "level": "warning",
}


def gateway(office: Office, run: str | None = None) -> Agent:
    return office.agent(run=run, point="gateway", state=None)


def limits(office: Office) -> list[LimitRow]:
    return list(office.desk.hub_row().limits)


def test_what_a_gateway_tells_is_on_the_hubs_row() -> None:
    office = Office()
    gateway(office).beat(rates=[RATE])
    assert limits(office) == [LimitRow(**RATE, gateway="box", at=office.now)]


def test_nobody_else_is_believed() -> None:
    office = Office()
    office.agent().beat(rates=[RATE])
    assert limits(office) == []


def test_the_newest_word_is_the_whole_of_it() -> None:
    office = Office()
    gate = gateway(office)
    gate.beat(rates=[RATE, RATE | {"kind": "requests"}])
    gate.beat(rates=[RATE | {"used_share": 0.9}])
    assert [(row.kind, row.used_share) for row in limits(office)] == [("tokens", 0.9)]


def test_a_beat_that_says_nothing_of_them_changes_nothing() -> None:
    office = Office()
    gate = gateway(office)
    gate.beat(rates=[RATE])
    gate.beat()
    assert len(limits(office)) == 1


def test_what_a_gateway_told_goes_with_it() -> None:
    office = Office()
    gate = gateway(office)
    gate.beat(rates=[RATE])
    gate.drop()
    assert limits(office) == []


def test_a_models_name_cannot_drive_a_terminal() -> None:
    office = Office()
    gateway(office).beat(rates=[RATE | {"model": "gpt\x1b[31m\nevil"}])
    assert limits(office)[0].model.isprintable()


def test_gateways_beyond_a_bound_are_not_shown() -> None:
    office = Office()
    for number in range(GATEWAYS_MAX + 3):
        gateway(office, run=f"run_{number}").beat(rates=[RATE])
    assert len(limits(office)) == GATEWAYS_MAX
