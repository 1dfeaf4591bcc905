"""Pictures of what others do and what was seen: groups, who has a call open, an audit that changed, a refused token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from opsconsole.console import sample
from opsconsole.console.view.witnessed import Witnessed
from tests.console.support import Bench, rest, whole
from tests.console.test_witness import CUT, HELD, FakeWitness

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80", "160"])
EVIL = "ben\x1b]52;c;x\x07\u202e\u200b" + "n" * 200


def scene(bench: Bench, *keys: str, others: str = "", closed: int = 0) -> Callable[[Pilot[int]], Awaitable[None]]:
    """Keys pressed on the sample fleet; `others` is who has the first call and its run open too."""
    call = sample.approvals()[0]
    hub = {"key": "hub", "policy": "default", "policy_hash": "sha256:12", "policy_since": 0.0}
    present = [
        {"by": "ana", "since": 1.0},
        {"by": others, "run": call["run"], "approval": call["key"], "since": 2.0},
        {"by": "ana", "run": call["run"], "since": 3.0},
        {"by": "cy", "since": 4.0},
    ]

    async def before(pilot: Pilot[int]) -> None:
        bench.fill()
        bench.link.snap("hub", [{**hub, "present": present if others else []}])
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
            await bench.app.pages.settled()
            await bench.app.shift.settled()
        await settle(pilot)
        if closed:
            bench.link.close(code=closed, final=True)
        await settle(pilot)
        await whole(bench.app, pilot)

    async def settle(pilot: Pilot[int]) -> None:
        bench.clock.now += 1.0
        await rest(bench.app, pilot)

    return before


def picture(snap_compare: Any, bench: Bench, size: tuple[int, int], before: Any) -> bool:
    return bool(snap_compare(bench.app, terminal_size=size, run_before=before))


@SIZES
def test_groups_one_of_them_folded(snap_compare: Any, size: tuple[int, int]) -> None:
    bench = Bench()
    assert picture(snap_compare, bench, size, scene(bench, "B", *"agent", "enter", "g", "enter", "j"))


@SIZES
@pytest.mark.parametrize("others", ["ben", EVIL], ids=["busy", "hostile"])
def test_a_call_that_others_have_open(snap_compare: Any, size: tuple[int, int], others: str) -> None:
    bench = Bench()
    assert picture(snap_compare, bench, size, scene(bench, "2", "j", others=others))


@SIZES
def test_runs_that_others_have_open(snap_compare: Any, size: tuple[int, int]) -> None:
    bench = Bench()
    assert picture(snap_compare, bench, size, scene(bench, others="ben"))


@SIZES
@pytest.mark.parametrize("found", [HELD, CUT], ids=["held", "cut"])
def test_the_audit_against_what_was_seen(snap_compare: Any, size: tuple[int, int], found: Witnessed) -> None:
    bench = Bench(witness=lambda: FakeWitness(found))
    assert picture(snap_compare, bench, size, scene(bench, "4"))


@SIZES
def test_a_token_that_has_expired(snap_compare: Any, size: tuple[int, int]) -> None:
    bench = Bench()
    assert picture(snap_compare, bench, size, scene(bench, closed=401))
