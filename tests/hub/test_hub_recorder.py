"""Between the desk and the disk: order, refusals, and when agents are read no further."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from opsconsole.hub.desk.effects import HUB_GEN, Record, Store
from opsconsole.hub.recorder import GATHERED_MAX, MISSING_RUNS_MAX, OFFERED_MAX, Recorder
from opsconsole_storage import Batch, Closed, Conflict, DiskFull
from tests.support.hub import PATIENCE_SECONDS, eventually


class SlowStore:
    """Storage whose every answer is given by the test."""

    def __init__(self) -> None:
        self.log = self
        self.events = self
        self.published: list[tuple[Batch, asyncio.Future[int]]] = []
        self.appended: list[tuple[str, asyncio.Future[int]]] = []
        self.expected: list[int | None] = []
        self.closed = False

    def publish_all(self, batches: Sequence[Batch]) -> asyncio.Future[Sequence[int | Exception]]:
        parts: list[asyncio.Future[int]] = [asyncio.get_running_loop().create_future() for _ in batches]
        self.published.extend(zip(batches, parts, strict=True))
        return asyncio.ensure_future(self._answers(parts))

    async def _answers(self, parts: Sequence[asyncio.Future[int]]) -> Sequence[int | Exception]:
        answers: list[Any] = await asyncio.gather(*parts, return_exceptions=True)
        if self.closed:
            raise Closed("the store is closed")
        return answers

    def append(self, key: str, _body: bytes, *, at: float, expect: int | None = None) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.appended.append((key, future))
        self.expected.append(expect)
        return future


class FitfulStore:
    """Storage that takes all it is offered or refuses all of it, late and as the dice fall."""

    def __init__(self, seed: int) -> None:
        self.events = self
        self.held: list[int] = []
        self._dice = random.Random(seed)

    async def _answer(self, batches: Sequence[Batch]) -> Sequence[int | Exception]:
        for _ in range(self._dice.randrange(4)):
            await asyncio.sleep(0)
        if self._dice.random() < 0.5:
            return [DiskFull("no space")] * len(batches)
        self.held.extend(one.first_seq for one in batches)
        return [one.first_seq for one in batches]

    def publish_all(self, batches: Sequence[Batch]) -> asyncio.Future[Sequence[int | Exception]]:
        return asyncio.ensure_future(self._answer(batches))


class Told:
    """What a recorder told, in order."""

    def __init__(self, store: SlowStore | FitfulStore, **limits: Any) -> None:
        self.heard: list[Any] = []
        self.recorder = Recorder(
            store,  # type: ignore[arg-type]
            stored=lambda stored: self.heard.extend((effect.token, position) for effect, position in stored),
            recorded=lambda token, seq: self.heard.append(("recorded", token, seq)),
            failed=lambda token, problem: self.heard.append(("failed", token, problem)),
            missing=lambda lines: self.heard.append(("missing", lines)),
            **({"batches_max": 10, "bytes_max": 1_000, "retry_seconds": 0.0, "gather_seconds": 0.0} | limits),
        )


def batch(token: int, run: str = "run_1") -> Store:
    return Store(token=token, run=run, gen="g", first_seq=token, count=1, body=b"[{}]")


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_batches_are_told_in_the_order_in_which_they_came() -> None:
    store = SlowStore()
    told = Told(store, gather_seconds=0.01)
    for token in (1, 2, 3):
        told.recorder.store(batch(token), 0.0)
        await turn()
    store.published[0][1].set_result(10)
    await eventually(lambda: len(store.published) == 3)
    for place in (2, 1):
        store.published[place][1].set_result(place + 10)
    await turn()
    assert told.heard == [(1, 10), (2, 11), (3, 12)]


async def test_a_refused_batch_is_offered_again_with_those_behind_it() -> None:
    store = SlowStore()
    told = Told(store)
    told.recorder.store(batch(1), 0.0)
    await turn()
    told.recorder.store(batch(2), 0.0)
    store.published[0][1].set_exception(DiskFull("no space"))
    await turn()
    assert (told.heard, told.recorder.problem) == ([], "no space")
    await eventually(lambda: len(store.published) == 3)
    store.published[1][1].set_result(8)
    store.published[2][1].set_result(9)
    await turn()
    assert (told.heard, told.recorder.problem) == ([(1, 8), (2, 9)], "")


async def test_batches_behind_a_refused_one_wait_with_it() -> None:
    store = SlowStore()
    told = Told(store, retry_seconds=3600.0)
    told.recorder.store(batch(1), 0.0)
    await turn()
    store.published[0][1].set_exception(DiskFull("no space"))
    await turn()
    for token in range(2, GATHERED_MAX + 3):
        told.recorder.store(batch(token), 0.0)
    assert len(store.published) == 1


async def test_a_batch_that_can_not_be_stored_holds_up_none_behind_it() -> None:
    store = SlowStore()
    told = Told(store, gather_seconds=0.01)
    for token in (1, 2):
        told.recorder.store(batch(token), 0.0)
        await turn()
    store.published[0][1].set_exception(ValueError("no such time"))
    await eventually(lambda: len(store.published) == 2)
    store.published[1][1].set_result(7)
    await turn()
    assert (told.heard, told.recorder.problem, told.recorder.batches_waiting) == ([(2, 7)], "", 0)


async def test_a_disk_that_is_behind_holds_agents_back_until_it_catches_up() -> None:
    store = SlowStore()
    told = Told(store, batches_max=2)
    told.recorder.store(batch(1), 0.0)
    assert not told.recorder.is_congested
    await turn()
    told.recorder.store(batch(2), 0.0)
    assert told.recorder.is_congested
    store.published[0][1].set_result(1)
    await told.recorder.relief()


async def test_a_disk_that_refuses_holds_nobody_back() -> None:
    store = SlowStore()
    told = Told(store, batches_max=1, retry_seconds=3600.0)
    told.recorder.store(batch(1), 0.0)
    await turn()
    store.published[0][1].set_exception(DiskFull("no space"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await told.recorder.relief()


def line(token: int, run: str = "run_1") -> Store:
    return Store(token=token, run=run, gen=HUB_GEN, first_seq=token, count=1, body=b"[{}]")


async def refusing(told: Told, store: SlowStore) -> None:
    """A disk that has refused the first batch, and is offered it again when the test lets time pass."""
    told.recorder.store(batch(1), 0.0)
    await eventually(lambda: store.published)
    store.published[0][1].set_exception(DiskFull("no space"))
    await eventually(lambda: told.recorder.events_problem)


async def test_while_the_disk_refuses_no_more_of_the_hubs_own_lines_wait_than_may_and_the_rest_is_counted() -> None:
    store = SlowStore()
    told = Told(store, batches_max=3)
    await refusing(told, store)
    for token in range(2, 10):
        told.recorder.store(line(token, f"run_{token % 2}"), 0.0)
    assert told.recorder.batches_waiting == 3
    while told.recorder.batches_waiting:
        for number, (_, answer) in enumerate(store.published[1:]):
            if not answer.done():
                answer.set_result(number)
        await turn()
    missing = [one for one in told.heard if one[0] == "missing"]
    assert [one[0] for one in told.heard if one not in missing] == [1, 2, 3]
    assert missing == [("missing", {"run_0": 3, "run_1": 3})]


async def test_what_points_told_is_never_left_out() -> None:
    store = SlowStore()
    told = Told(store, batches_max=3, retry_seconds=3600.0)
    await refusing(told, store)
    for token in range(2, 10):
        told.recorder.store(batch(token), 0.0)
    assert told.recorder.batches_waiting == 9


async def test_a_disk_that_is_behind_and_takes_what_it_is_offered_gets_every_line_of_the_hub() -> None:
    told = Told(SlowStore(), batches_max=3)
    for token in range(1, 10):
        told.recorder.store(line(token), 0.0)
    assert told.recorder.batches_waiting == 9


async def test_the_lines_left_out_of_very_many_runs_are_counted_together() -> None:
    store = SlowStore()
    told = Told(store, batches_max=1)
    await refusing(told, store)
    for number in range(MISSING_RUNS_MAX + 7):
        told.recorder.store(line(number + 2, f"run_{number}"), 0.0)
    await eventually(lambda: len(store.published) == 2)
    store.published[1][1].set_result(1)
    await eventually(lambda: len(told.heard) == 2)
    _, lines = told.heard[1]
    assert (len(lines), lines[""], sum(lines.values())) == (MISSING_RUNS_MAX + 1, 7, MISSING_RUNS_MAX + 7)


async def test_an_entry_is_told_when_it_is_durable() -> None:
    store = SlowStore()
    told = Told(store)
    told.recorder.record(Record(token=5, key="k", body=b"{}"), 0.0)
    assert told.heard == []
    store.appended[0][1].set_result(42)
    await turn()
    assert told.heard == [("recorded", 5, 42)]


async def test_a_refused_entry_is_told_with_its_problem() -> None:
    store = SlowStore()
    told = Told(store)
    told.recorder.record(Record(token=5, key="k", body=b"{}"), 0.0)
    store.appended[0][1].set_exception(DiskFull("no space"))
    await turn()
    assert (told.heard, told.recorder.problem) == ([("failed", 5, "no space")], "no space")


async def test_a_lost_race_is_no_problem_of_the_disk() -> None:
    store = SlowStore()
    told = Told(store)
    told.recorder.record(Record(token=5, key="k", body=b"{}", expect=0), 0.0)
    store.appended[0][1].set_exception(Conflict(None))
    await turn()
    assert (told.heard[0][:2], told.recorder.problem) == (("failed", 5), "")


async def test_it_is_idle_when_everything_is_durable() -> None:
    store = SlowStore()
    told = Told(store)
    told.recorder.store(batch(1), 0.0)
    await turn()
    store.published[0][1].set_result(1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await told.recorder.idle()
    assert told.heard == [(1, 1)]


async def test_the_first_batch_is_given_to_the_disk_at_once_and_those_behind_it_gather() -> None:
    store = SlowStore()
    told = Told(store, gather_seconds=0.01)
    told.recorder.store(batch(1), 0.0)
    await turn()
    store.published[0][1].set_result(1)
    await turn()
    for token in (2, 3):
        told.recorder.store(batch(token), 0.0)
    assert [published.first_seq for published, _ in store.published] == [1]
    await eventually(lambda: len(store.published) > 1)
    assert [published.first_seq for published, _ in store.published] == [1, 2, 3]


async def test_batches_of_one_round_are_given_to_the_disk_together() -> None:
    store = SlowStore()
    told = Told(store, gather_seconds=3_600.0)
    for token in (1, 2, 3):
        told.recorder.store(batch(token), 0.0)
    await turn()
    assert [published.first_seq for published, _ in store.published] == [1, 2, 3]


async def test_many_batches_wait_for_no_more() -> None:
    store = SlowStore()
    told = Told(store, gather_seconds=3600.0, batches_max=1_000)
    told.recorder.store(batch(1), 0.0)
    await turn()
    store.published[0][1].set_result(1)
    await turn()
    for token in range(2, GATHERED_MAX + 2):
        told.recorder.store(batch(token), 0.0)
    assert len(store.published) == GATHERED_MAX + 1


async def test_the_disk_is_offered_a_part_of_what_waits_where_that_is_much() -> None:
    store = SlowStore()
    told = Told(store, batches_max=10_000)
    told.recorder.store(batch(1), 0.0)
    await turn()
    for token in range(2, OFFERED_MAX + 3):
        told.recorder.store(batch(token), 0.0)
    store.published[0][1].set_result(1)
    await turn()
    assert len(store.published) == 1 + OFFERED_MAX


async def test_what_comes_while_a_refused_batch_is_offered_again_stays_behind_it() -> None:
    store = SlowStore()
    told = Told(store)
    told.recorder.store(batch(1), 0.0)
    await turn()
    store.published[0][1].set_exception(DiskFull("no space"))
    await eventually(lambda: len(store.published) == 2)
    told.recorder.store(batch(2), 0.0)
    await turn()
    assert [published.first_seq for published, _ in store.published] == [1, 1]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_disk_refuses_and_when_it_holds_what_came_first(seed: int) -> None:
    """A crash may come at any moment: what is on the disk must never lack something earlier."""
    dice, store = random.Random(seed), FitfulStore(seed)
    told = Told(store, batches_max=1_000)
    for token in range(1, 201):
        told.recorder.store(batch(token), 0.0)
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await told.recorder.idle()
    assert store.held == list(range(1, 201))
    assert [token for token, _ in told.heard] == list(range(1, 201))


async def test_an_entry_that_can_not_be_stored_is_no_problem_of_the_disk() -> None:
    store = SlowStore()
    told = Told(store)
    told.recorder.record(Record(token=5, key="k", body=b"{}"), 0.0)
    store.appended[0][1].set_exception(ValueError("no such time"))
    await turn()
    assert (told.heard, told.recorder.problem) == ([("failed", 5, "no such time")], "")


@pytest.mark.parametrize("expect", [None, 0, 41])
async def test_an_entry_is_appended_behind_the_one_that_it_expects(expect: int | None) -> None:
    store = SlowStore()
    Told(store).recorder.record(Record(token=5, key="k", body=b"{}", expect=expect), 0.0)
    assert store.expected == [expect]


async def test_the_disk_is_offered_so_many_bytes_at_once_and_one_batch_however_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("opsconsole.hub.recorder.OFFERED_BYTES_MAX", 10)
    store = SlowStore()
    told = Told(store, gather_seconds=3_600.0)
    for token, size in ((1, 50), (2, 4), (3, 4), (4, 4)):
        told.recorder.store(Store(token=token, run="run_1", gen="g", first_seq=token, count=1, body=b"x" * size), 0.0)
    await turn()
    assert [published.first_seq for published, _ in store.published] == [1]


async def test_a_closed_store_is_offered_nothing_more_and_keeps_nobody_waiting() -> None:
    store = SlowStore()
    told = Told(store, batches_max=1)
    told.recorder.store(batch(1), 0.0)
    await turn()
    store.closed = True
    store.published[0][1].set_result(1)
    async with asyncio.timeout(5.0):
        await told.recorder.idle()
    assert (told.heard, told.recorder.batches_waiting, told.recorder.is_congested) == ([], 0, False)
