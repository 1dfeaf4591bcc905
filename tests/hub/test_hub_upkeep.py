"""Saving what the desk remembers: when it is due, in slices, and nothing lost on the way."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest

from opsconsole.hub.desk.records import DeskRecord
from opsconsole.hub.metrics import Counts
from opsconsole.hub.settings import ShellLimits
from opsconsole.hub.upkeep import Keeper


class FakeDesk:
    """A desk with so many records to take; it notes how many were asked for at once."""

    def __init__(self, count: int) -> None:
        self.dirty = deque(DeskRecord(kind="run", id=f"run_{number}", body=b"{}") for number in range(count))
        self.slices: list[int] = []

    def take_dirty(self, limit: int) -> list[DeskRecord]:
        taken = [self.dirty.popleft() for _ in range(min(limit, len(self.dirty)))]
        self.slices.append(len(taken))
        return taken


class FakeHub:
    """What a keeper needs of a hub."""

    def __init__(self, count: int, **limits: Any) -> None:
        self.desk = FakeDesk(count)
        self.limits = ShellLimits(**limits)
        self.counts = Counts()
        self.audit_seq, self.position = 7, 9
        self.time = 0.0

    def now(self) -> float:
        return self.time


class FakeRecords:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.saves: list[tuple[list[str], Any]] = []

    async def save(self, records: list[DeskRecord], marks: Any) -> None:
        self.saves.append(([record.id for record in records], marks))


def made(count: int, **limits: Any) -> tuple[FakeHub, FakeRecords, Keeper]:
    hub, records = FakeHub(count, **limits), FakeRecords()
    return hub, records, Keeper(hub, records)  # type: ignore[arg-type]


async def test_records_are_made_in_slices_and_saved_in_transactions_with_the_marks_in_the_last() -> None:
    hub, records, keeper = made(5, records_chunk=4, records_slice=2)
    await keeper.save()
    assert hub.desk.slices == [2, 2, 1]
    assert [(len(saved), marks is not None) for saved, marks in records.saves] == [(4, False), (1, True)]


async def test_a_pass_that_is_cut_off_loses_nothing() -> None:
    _, records, keeper = made(5, records_chunk=4, records_slice=2)
    task = asyncio.ensure_future(keeper.save())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await keeper.save()
    assert sorted({one for saved, _ in records.saves for one in saved}) == [f"run_{number}" for number in range(5)]


@pytest.mark.parametrize(("seconds", "events", "is_due"), [(29.0, 99, False), (30.0, 0, True), (1.0, 100, True)])
async def test_records_are_saved_after_a_while_or_when_much_has_happened(
    seconds: float, events: int, is_due: bool
) -> None:
    hub, records, keeper = made(1, records_seconds=30.0, records_events=100)
    hub.time, hub.counts.events = seconds, events
    await keeper.save_if_due()
    assert bool(records.saves) == is_due


@pytest.mark.parametrize(("seconds", "is_due"), [(19.0, False), (20.0, True)])
async def test_saving_takes_at_most_a_twentieth_of_the_time_however_much_happens(seconds: float, is_due: bool) -> None:
    hub, records, keeper = made(1, records_seconds=30.0, records_events=100)
    hub.counts.events = 100
    hub.desk.take_dirty = lambda _limit: _slow(hub, 1.0)  # type: ignore[method-assign,assignment]
    await keeper.save_if_due()
    saves, hub.position, hub.time, hub.counts.events = len(records.saves), 10, seconds, 1_000
    await keeper.save_if_due()
    assert (len(records.saves) > saves) == is_due


def _slow(hub: FakeHub, seconds: float) -> list[DeskRecord]:
    hub.time += seconds
    return []
