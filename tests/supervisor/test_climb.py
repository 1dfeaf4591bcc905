"""One kill driven up the ladder, against a tree that obeys the test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from opsconsole.supervisor.climb import Climb
from opsconsole.supervisor.ladder import LadderSettings
from opsconsole.supervisor.receipts import KillReceipt
from opsconsole.supervisor.sweep import Stage, Swept
from tests.supervisor.test_sweep import process

PATIENT = LadderSettings(cooperative_ms=60_000, term_ms=60_000)
HURRY_SECONDS = 30.0
"""Less than a patient ladder waits."""
HASTY = LadderSettings(cooperative_ms=1, term_ms=1)
STAGES = (
    Stage(name="freeze", ms=1, outcome="3 processes"),
    Stage(name="kill", ms=1, outcome="3 signalled"),
    Stage(name="verify", ms=1, outcome="empty tree"),
)


@dataclass
class Tree:
    """A tree that dies of what the test says."""

    empty: bool = False
    frozen: bool = False
    lost: bool = False
    dies: bool = True
    done: list[str] = field(default_factory=list)
    termed: asyncio.Event = field(default_factory=asyncio.Event)

    async def terminate(self) -> None:
        self.done.append("term")
        self.termed.set()

    async def strike(self) -> Swept:
        self.done.append("strike")
        return Swept(stages=STAGES, killed=(), survivors=(), empty=self.dies)


def outline(receipt: KillReceipt) -> tuple[str, list[tuple[str, str]]]:
    return receipt.proof, [(step.name, step.outcome) for step in receipt.steps]


STRUCK = [("freeze", "3 processes"), ("kill", "3 signalled"), ("verify", "empty tree")]


async def agree() -> bool:
    return True


async def hang() -> bool:
    await asyncio.Event().wait()
    return True


async def fail() -> bool:
    raise RuntimeError("the agent broke")


async def test_a_dead_tree_is_proven_dead_without_touching_it() -> None:
    tree = Tree(empty=True)
    receipt = await Climb(tree, PATIENT, cooperative=hang).run()
    assert (outline(receipt), tree.done) == (("process", [("verify", "already dead")]), [])


async def test_now_goes_to_the_strike_at_once() -> None:
    receipt = await Climb(Tree(), PATIENT, cooperative=hang, now=True).run()
    assert outline(receipt) == ("process", STRUCK)


async def test_every_rung_is_tried_in_order() -> None:
    receipt = await Climb(Tree(), HASTY, cooperative=hang).run()
    assert outline(receipt) == ("process", [("cooperative", "no answer"), ("term", "still running"), *STRUCK])


async def test_an_agent_that_breaks_when_asked_has_refused() -> None:
    settings = LadderSettings(cooperative_ms=60_000, term_ms=1)
    receipt = await Climb(Tree(), settings, cooperative=fail).run()
    assert outline(receipt) == ("process", [("cooperative", "refused"), ("term", "still running"), *STRUCK])


async def test_a_tree_that_ends_on_request_is_not_struck() -> None:
    tree = Tree()

    async def end() -> bool:
        tree.empty = True
        return True

    receipt = await Climb(tree, PATIENT, cooperative=end).run()
    assert (outline(receipt), tree.done) == (("process", [("cooperative", "ended")]), [])


async def test_a_hurry_skips_what_is_left_of_the_waiting() -> None:
    tree = Tree()
    climb = Climb(tree, PATIENT)
    running = asyncio.create_task(climb.run())
    await tree.termed.wait()
    climb.hurry()
    async with asyncio.timeout(HURRY_SECONDS):
        assert outline(await running) == ("process", [("term", "hurried"), *STRUCK])


async def test_a_freeze_during_the_ladder_leads_to_the_strike() -> None:
    tree = Tree()
    climb = Climb(tree, PATIENT)
    running = asyncio.create_task(climb.run())
    await tree.termed.wait()
    tree.frozen = True
    climb.look()
    async with asyncio.timeout(HURRY_SECONDS):
        assert outline(await running) == ("process", [("term", "frozen"), *STRUCK])


async def test_what_fell_with_a_lost_reaper_is_told_by_the_strike() -> None:
    tree = Tree()
    climb = Climb(tree, PATIENT)
    running = asyncio.create_task(climb.run())
    await tree.termed.wait()
    tree.lost = tree.empty = True
    climb.look()
    async with asyncio.timeout(HURRY_SECONDS):
        assert outline(await running) == ("process", [("term", "reaper lost"), *STRUCK])


async def test_survivors_leave_the_kill_without_proof() -> None:
    receipt = await Climb(Tree(dies=False), HASTY, now=True).run()
    assert receipt.proof == "none"


async def test_an_agent_that_agrees_and_stays_is_terminated() -> None:
    receipt = await Climb(Tree(), HASTY, cooperative=agree).run()
    assert receipt.steps[0].outcome == "answered, still running"


async def test_an_agent_is_asked_no_longer_once_its_time_is_over() -> None:
    given_up = asyncio.Event()

    async def hang() -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return True

    await Climb(Tree(), HASTY, cooperative=hang).run()
    async with asyncio.timeout(5):
        await given_up.wait()


async def test_a_receipt_names_the_dead_and_the_survivors() -> None:
    class Hardy(Tree):
        async def strike(self) -> Swept:
            return Swept(stages=STAGES, killed=(process(1, 0),), survivors=(process(2, 1),), empty=False)

    receipt = await Climb(Hardy(), HASTY, now=True).run()
    assert (receipt.killed, receipt.survivors) == ((process(1, 0),), (process(2, 1),))
