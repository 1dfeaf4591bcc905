"""Turns under a lease that take long: told once, each in its time, by one timer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from opsconsole.gateway.outlasting import OUTLASTS_SECONDS, Outlasting


class Timers:
    """A loop as far as timers are concerned."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, act: Callable[[], None]) -> object:
        self.set.append((seconds, act))
        return object()


class Lasting:
    """A turn that leaves when it is told, as turns do."""

    def __init__(self, watch: Outlasting, seconds_ago: float) -> None:
        self.began = time.monotonic() - seconds_ago
        self.told = 0
        self._watch = watch
        watch.begun(self)

    def outlasts(self) -> None:
        self.told += 1
        self._watch.over(self)


def watched() -> tuple[Outlasting, Timers]:
    timers = Timers()
    return Outlasting(cast(Any, timers)), timers


def test_a_turn_that_takes_long_is_told_once() -> None:
    watch, timers = watched()
    turn = Lasting(watch, OUTLASTS_SECONDS)
    [(seconds, look)] = timers.set
    look()
    look()
    assert (seconds, turn.told) == (OUTLASTS_SECONDS, 1)


def test_a_turn_that_is_over_by_then_is_not_told() -> None:
    watch, timers = watched()
    turn = Lasting(watch, OUTLASTS_SECONDS)
    watch.over(turn)
    timers.set[0][1]()
    assert (turn.told, len(timers.set)) == (0, 1)


def test_one_timer_serves_all_and_comes_back_for_the_next() -> None:
    watch, timers = watched()
    turns = [Lasting(watch, OUTLASTS_SECONDS), Lasting(watch, 0.0)]
    [(_, look)] = timers.set
    look()
    assert [turn.told for turn in turns] == [1, 0]
    assert 0.0 < timers.set[1][0] <= OUTLASTS_SECONDS


def test_a_turn_that_begins_later_has_a_timer_of_its_own() -> None:
    watch, timers = watched()
    watch.over(Lasting(watch, OUTLASTS_SECONDS))
    timers.set.pop()[1]()
    Lasting(watch, 0.0)
    assert [seconds for seconds, _ in timers.set] == [OUTLASTS_SECONDS]
