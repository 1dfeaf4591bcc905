"""When the console calls its operator, and with which bytes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from opsconsole.console.sample import approval
from opsconsole.console.view.ringing import Ringer, Way
from tests.console.conftest import OpenConsole

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


def look(ringer: Ringer, calls: str = "", kills: str = "") -> str:
    return ringer.look(calls.split(), kills.split(), now=NOON, zone=UTC)


def test_what_waits_when_the_console_opens_is_no_news() -> None:
    assert look(Ringer(), "a b", "k") == "\x1b]2;(2) opsconsole\x1b\\"


@pytest.mark.parametrize(
    ("way", "rung"),
    [
        ("bell", "\a"),
        ("osc9", "\x1b]9;opsconsole: 1 new call to decide, 2 waiting\x1b\\\a"),
        ("osc777", "\x1b]777;notify;opsconsole;1 new call to decide, 2 waiting\x1b\\\a"),
    ],
)
def test_a_new_call_rings_once(way: Way, rung: str) -> None:
    ringer = Ringer(way)
    look(ringer, "a")
    assert look(ringer, "a b") == "\x1b]2;(2) opsconsole\x1b\\" + rung
    assert look(ringer, "a b") == ""


def test_who_wants_none_gets_none() -> None:
    ringer = Ringer("off")
    assert [look(ringer, "a"), look(ringer, "a b", "k")] == ["", ""]


def test_in_quiet_hours_only_an_unconfirmed_kill_rings() -> None:
    ringer = Ringer("bell", lambda minute: minute == 12 * 60)
    look(ringer)
    assert look(ringer, "a") == "\x1b]2;(1) opsconsole\x1b\\"
    assert look(ringer, "a", "k") == "\a"


def test_a_link_that_was_down_brings_no_old_news() -> None:
    ringer = Ringer()
    look(ringer, "a")
    ringer.forget()
    assert look(ringer, "a b c") == "\x1b]2;(3) opsconsole\x1b\\"


async def test_the_words_that_ring_are_never_an_agents(console: OpenConsole) -> None:
    written: list[str] = []
    async with console(ringer=Ringer("osc777")) as seat:
        seat.app.write_raw = written.append  # type: ignore[method-assign]
        evil = approval("apr_evil", "run_evil", "x\x1b]52;c;eA==\x07", "\x1b]2;pwned\x07", {"a": "\x1b[3;1H"})
        seat.link.delta("approvals", [evil])
        await seat.settle()
        [rung] = [text for text in written if "notify" in text]
        assert rung.endswith("\x1b]777;notify;opsconsole;1 new call to decide, 4 waiting\x1b\\\a")
