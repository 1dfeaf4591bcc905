"""Who has what open: told by consoles, shown to all of them, gone with the connection."""

from __future__ import annotations

from typing import Any

from opsconsole.hub.presence import PRESENT_MAX, Presence
from opsconsole.protocol.rows import Present
from tests.support.hub import ConsoleSocket, RunningHub


def test_a_console_is_here_from_its_greeting_on() -> None:
    presence = Presence()
    assert presence.look("o1", "ana", None, None, 1.0)
    assert presence.shown() == [Present(by="ana", since=1.0)]


def test_what_it_has_open_replaces_what_it_had_open() -> None:
    presence = Presence()
    presence.look("o1", "ana", None, None, 1.0)
    assert presence.look("o1", "ana", "run_1", "ap_1", 2.0)
    assert presence.shown() == [Present(by="ana", run="run_1", approval="ap_1", since=2.0)]


def test_the_same_look_again_is_no_news() -> None:
    presence = Presence()
    presence.look("o1", "ana", "run_1", None, 1.0)
    assert not presence.look("o1", "ana", "run_1", None, 2.0)
    assert presence.shown()[0].since == 1.0


def test_two_consoles_of_one_person_are_two_places() -> None:
    presence = Presence()
    presence.look("o1", "ana", None, None, 1.0)
    presence.look("o2", "ana", "run_1", None, 2.0)
    assert [one.run for one in presence.shown()] == [None, "run_1"]


def test_nobody_is_left_of_a_connection_that_ended() -> None:
    presence = Presence()
    presence.look("o1", "ana", "run_1", None, 1.0)
    assert presence.gone("o1")
    assert (presence.gone("o1"), presence.shown()) == (False, [])


def test_only_so_many_are_shown_the_newest() -> None:
    presence = Presence()
    for number in range(PRESENT_MAX + 5):
        presence.look(f"o{number}", "ana", None, None, float(number))
    assert [one.since for one in presence.shown()] == [float(number) for number in range(5, PRESENT_MAX + 5)]


async def present(console: ConsoleSocket, wanted: list[tuple[str, str | None, str | None]]) -> list[float]:
    """Since when each has it open, once the hub's row says that these have this open."""

    def places(row: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
        return [(one["by"], one.get("run"), one.get("approval")) for one in row.get("present", [])]

    row = await console.row(lambda row: places(row) == wanted)
    return [one["since"] for one in row["present"]]


async def test_consoles_see_what_each_other_has_open_until_it_is_gone(hub: RunningHub) -> None:
    async with hub.console() as one:
        (row,) = (await one.follow("hub"))["rows"]
        me = row["present"][0]["by"]
        async with hub.console() as two:
            await two.send(t="look", run="run_1", approval="ap_1")
            await present(one, [(me, None, None), (me, "run_1", "ap_1")])
            await two.send(t="look")
            await present(one, [(me, None, None), (me, None, None)])
        await present(one, [(me, None, None)])


async def test_who_is_here_is_told_over_http_too(hub: RunningHub) -> None:
    async with hub.console() as console, hub.http() as client:
        (row,) = (await console.follow("hub"))["rows"]
        assert (await client.get("/v1/present")).json()["rows"] == row["present"]
