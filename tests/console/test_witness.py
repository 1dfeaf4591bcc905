"""The hub's audit is compared with what this console saw of it: by itself, on demand, and loudly where it differs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opsconsole.console.pages import WITNESS_RESTS_SECONDS
from opsconsole.console.view.witnessed import Witnessed
from opsconsole.errors import ConfigError, HubError, HubRefused, HubUnreachable
from tests.console.conftest import OpenConsole
from tests.console.support import Seat

SEEN_AT = 1_753_000_000.0
HELD = Witnessed(size=1_204, root="9f86d081884c7d65", before=1_180, seen_at=SEEN_AT)
CUT = Witnessed(size=1_100, root="00", before=1_180, seen_at=SEEN_AT, broken="the hub now shows 1,100 entries")


class FakeWitness:
    """Finds what the test says, and keeps the proofs."""

    def __init__(self, found: Witnessed) -> None:
        self.found = found
        self.proofs: list[str] = []
        self.problem: Exception | None = None

    def since(self) -> int:
        if self.problem:
            raise self.problem
        return self.found.before or 0

    def compare(self, proof: str, *, now: float) -> Witnessed:
        self.proofs.append(proof)
        return self.found

    def unproven(self, why: str) -> Witnessed:
        return Witnessed(unproven=why, before=self.found.before, seen_at=self.found.seen_at)


@pytest.fixture
def witness() -> FakeWitness:
    return FakeWitness(HELD)


async def compared(seat: Seat) -> None:
    """A second has passed, and what was asked of the hub in it is answered and painted."""
    await seat.settle()
    await seat.app.pages.settled()
    await seat.settle()


def asked(seat: Seat) -> list[tuple[Any, ...]]:
    return [call for call in seat.api.asked if call[0] == "consistency"]


async def test_the_hub_is_asked_by_itself_once_it_greets(console: OpenConsole, witness: FakeWitness) -> None:
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        assert asked(seat) == [("consistency", 1_180)]
        assert witness.proofs == ["proof since 1180"]
        assert "AUDIT" not in seat.screen


async def test_another_start_of_the_hub_is_asked_again(console: OpenConsole, witness: FakeWitness) -> None:
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        seat.link.close()
        seat.link.open(epoch="e2")
        await compared(seat)
        await compared(seat)
        assert len(asked(seat)) == 2


async def test_the_audit_view_says_what_holds(console: OpenConsole, witness: FakeWitness) -> None:
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        await seat.press("4")
        await compared(seat)
        assert "✔ signed head 9f86d081 of 1,204 holds the 1,180 seen" in seat.screen
        assert len(asked(seat)) == 2


async def test_a_verification_compares_again(console: OpenConsole, witness: FakeWitness) -> None:
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        await seat.press("4")
        await compared(seat)
        await seat.press("v")
        await compared(seat)
        assert len(asked(seat)) == 3
        assert "✔ verified by the hub: 6 entries" in seat.screen


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
async def test_a_cut_audit_is_said_everywhere_and_in_full(
    console: OpenConsole, witness: FakeWitness, size: tuple[int, int]
) -> None:
    witness.found = CUT
    async with console(size=size, witness=lambda: witness) as seat:
        await compared(seat)
        assert "✖ AUDIT CHANGED" in seat.screen
        assert seat.note.startswith("✖ the audit no longer contains what this console saw at")
        await seat.press("4")
        await compared(seat)
        words = " ".join(" ".join(text for text, _ in line) for line in seat.app.audit_panel.pane.lines)
        assert words.startswith("✖ the audit no longer contains what this console saw at 2025-07-20 08:26:40")
        assert "(1,180 entries): the hub now shows 1,100 entries" in words


async def test_a_hub_that_says_it_is_shorter_is_asked_how_long_it_is(
    console: OpenConsole, witness: FakeWitness
) -> None:
    witness.found = CUT
    async with console(filled=False, witness=lambda: witness) as seat:
        seat.api.consistency_problem = lambda since: HubRefused("409 conflict", status=409) if since else None
        seat.link.open()
        await compared(seat)
        assert asked(seat) == [("consistency", 1_180), ("consistency", 0)]
        assert witness.proofs == ["proof since 0"]


@pytest.mark.parametrize(
    "problem", [HubUnreachable("no answer within 10 s"), HubRefused("503 unavailable", status=503)], ids=["away", "503"]
)
async def test_a_hub_that_proves_nothing_is_never_shown_as_whole(
    console: OpenConsole, witness: FakeWitness, problem: HubError
) -> None:
    async with console(size=(160, 45), filled=False, witness=lambda: witness) as seat:
        seat.api.consistency_problem = lambda since: problem
        seat.link.open()
        await seat.press("4")
        await compared(seat)
        assert f"? not compared with what this console saw: the hub gives no proof ({problem})" in seat.screen
        assert "signed head" not in seat.screen


async def test_a_memory_that_cannot_be_read_is_said(console: OpenConsole, witness: FakeWitness) -> None:
    witness.problem = ConfigError("audit-pins.json cannot be used: cut off")
    async with console(size=(160, 45), witness=lambda: witness) as seat:
        await compared(seat)
        assert seat.note.startswith(
            "? not compared with what this console saw: audit-pins.json cannot be used: cut off"
        )


def witnessed_line(seat: Seat) -> str:
    return " ".join(" ".join(text for text, _ in line) for line in seat.app.audit_panel._signed(400))


async def test_a_hub_that_proves_nothing_does_not_clear_what_was_found_broken(
    console: OpenConsole, witness: FakeWitness
) -> None:
    witness.found = CUT
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        seat.api.consistency_problem = lambda since: HubRefused("500 internal", status=500)
        await seat.press("4")
        await compared(seat)
        assert seat.note.startswith("? not compared with what this console saw")
        assert "✖ AUDIT CHANGED" in seat.screen
        assert witnessed_line(seat).startswith("✖ the audit no longer contains what this console saw")


async def test_an_audit_that_is_proven_whole_again_is_no_longer_called_changed(
    console: OpenConsole, witness: FakeWitness
) -> None:
    witness.found = CUT
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        witness.found = HELD
        await seat.press("4")
        await compared(seat)
        assert "AUDIT CHANGED" not in seat.screen
        assert witnessed_line(seat).startswith("✔ signed head")


async def test_while_it_is_compared_no_earlier_tick_stands(console: OpenConsole, witness: FakeWitness) -> None:
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        assert witnessed_line(seat).startswith("✔ signed head")
        held = asyncio.Event()
        seat.api.consistency_held = held
        await seat.press("4")
        assert witnessed_line(seat) == "comparing with what this console saw …"
        held.set()
        await compared(seat)
        assert witnessed_line(seat).startswith("✔ signed head")


async def test_a_comparison_that_fails_leaves_no_tick_and_is_begun_again(
    console: OpenConsole, witness: FakeWitness
) -> None:
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        witness.problem = RuntimeError("a defect")
        await seat.press("4")
        await compared(seat)
        assert witnessed_line(seat).startswith(
            "? not compared with what this console saw: the comparison itself failed (RuntimeError: a defect)"
        )


async def test_the_hub_counts_as_asked_only_once_something_came_of_it(
    console: OpenConsole, witness: FakeWitness
) -> None:
    witness.problem = RuntimeError("a defect")
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        epoch = seat.app.session.link.epoch
        witness.problem = None
        for _ in range(WITNESS_RESTS_SECONDS):
            seat.app.pages.second(epoch)
        await compared(seat)
        assert witnessed_line(seat).startswith("✔ signed head")


async def test_a_hub_that_refuses_the_proof_is_not_let_off_with_a_lesser_one(
    console: OpenConsole, witness: FakeWitness
) -> None:
    async with console(filled=False, witness=lambda: witness) as seat:
        seat.api.consistency_problem = lambda since: HubRefused("503 unavailable", status=503) if since else None
        seat.link.open()
        await compared(seat)
        assert (asked(seat), witness.proofs) == ([("consistency", 1_180)], [])


async def test_a_memory_that_cannot_be_written_is_said(console: OpenConsole, witness: FakeWitness) -> None:
    witness.problem = OSError(28, "No space left on device")
    async with console(size=(160, 45), witness=lambda: witness) as seat:
        await compared(seat)
        assert seat.note.startswith("? not compared with what this console saw: [Errno 28] No space left on device")


async def test_a_hub_that_starts_anew_while_it_is_compared_is_compared_again(
    console: OpenConsole, witness: FakeWitness
) -> None:
    async with console(filled=False, witness=lambda: witness) as seat:
        held = asyncio.Event()
        seat.api.consistency_held = held
        seat.link.open(epoch="e1")
        await seat.settle()
        seat.link.close()
        seat.link.open(epoch="e2")
        held.set()
        await compared(seat)
        await compared(seat)
        assert len(asked(seat)) == 2


async def test_a_comparison_that_keeps_failing_is_not_begun_each_second(
    console: OpenConsole, witness: FakeWitness
) -> None:
    witness.problem = RuntimeError("a defect")
    async with console(witness=lambda: witness) as seat:
        await compared(seat)
        epoch, witness.problem = seat.app.session.link.epoch, None
        for _ in range(2):
            seat.app.pages.second(epoch)
        await compared(seat)
        assert asked(seat) == []


def test_what_is_still_compared_is_not_kept_yet() -> None:
    kept = [HELD, Witnessed(under_way=True), Witnessed(unproven="away"), CUT]
    assert [found.is_kept for found in kept] == [True, False, False, False]
