"""The collector of garbage: by hand while the console runs, Python's own before and after."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from opsconsole.console.heap import STILL_SECONDS, SWEEP_SECONDS, SWEEP_SECONDS_MAX, Heap


@pytest.fixture
def heap() -> Iterator[Heap]:
    made = Heap()
    made.start(now=0.0)
    yield made
    made.stop()


class Knot:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


def forgotten() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


def test_what_was_made_and_thrown_away_between_two_pieces_of_work_is_freed(heap: Heap) -> None:
    knot = forgotten()
    heap.tidy()
    assert knot() is None


@pytest.mark.parametrize(
    ("now", "still_for", "freed"),
    [
        (SWEEP_SECONDS, STILL_SECONDS, True),
        (SWEEP_SECONDS - 1, STILL_SECONDS, False),
        (SWEEP_SECONDS, 0.1, False),
        (SWEEP_SECONDS_MAX, 0.1, True),
    ],
)
def test_what_outlived_its_youth_is_freed_when_the_keys_are_still_or_it_is_high_time(
    heap: Heap, now: float, still_for: float, freed: bool
) -> None:
    old = Knot()
    gc.collect()
    knot = weakref.ref(old)
    del old
    heap.second(now=now, still_for=still_for)
    assert (knot() is None) is freed


def test_a_console_that_has_ended_leaves_the_collector_to_python(heap: Heap) -> None:
    running = gc.isenabled()
    heap.stop()
    assert (running, gc.isenabled(), gc.get_freeze_count()) == (False, True, 0)
