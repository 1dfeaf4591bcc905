"""Shifts from seeds: whatever befalls the hub, the wires, the disk and the agents, every promise holds."""

from __future__ import annotations

import pytest

from tests.simulation.shift import Shift
from tests.simulation.stage import Violated

FAST = [range(start, start + 20) for start in range(0, 200, 20)]
SLOW = [range(start, start + 50) for start in range(1_000, 2_000, 50)]


def told(seeds: range) -> str:
    """The story of the first shift that breaks a promise, and how to see it again; empty when none does."""
    for seed in seeds:
        shift = Shift(seed)
        try:
            shift.play()
        except Violated as broken:
            return "\n".join([*shift.stage.story, f"{broken} — again: python -m tests.simulation {seed}"])
    return ""


def name(seeds: range) -> str:
    """A name for a group of seeds."""
    return f"{seeds.start}-{seeds.stop - 1}"


@pytest.mark.parametrize("seeds", FAST, ids=name)
def test_every_promise_holds_through_any_shift(seeds: range) -> None:
    assert told(seeds) == ""


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SLOW, ids=name)
def test_every_promise_holds_through_a_thousand_shifts(seeds: range) -> None:
    assert told(seeds) == ""


def test_a_seed_tells_the_same_story_every_time() -> None:
    stories = []
    for _ in range(2):
        shift = Shift(7)
        shift.play()
        stories.append(shift.stage.story)
    assert stories[0] == stories[1]
