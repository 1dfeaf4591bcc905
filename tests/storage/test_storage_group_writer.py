"""The writer's thread: groups, bounds, and an end that leaves nothing behind."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from opsconsole_storage import Closed, DiskFull, Overloaded, Unknown, group_writer
from opsconsole_storage.group_writer import GroupWriter

WITHIN_SECONDS = 10.0


class Disk:
    """Commits numbers as themselves, one group for every `let_pass`."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = threading.Semaphore(0)
        self.error: Exception | None = None
        self.begun = threading.Event()

    def commit(self, group: Sequence[int]) -> list[int | Exception]:
        self.begun.set()
        assert self.gate.acquire(timeout=WITHIN_SECONDS)
        if self.error:
            raise self.error
        self.groups.append(list(group))
        return list(group)

    def let_pass(self, groups: int = 1_000) -> None:
        self.gate.release(groups)


def ignore(_group: Sequence[int], _results: Sequence[int | Exception]) -> None:
    pass


async def test_what_waits_for_a_commit_forms_the_next_group() -> None:
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    futures = [writer.submit(number, 1) for number in range(500)]
    disk.let_pass()
    assert await asyncio.gather(*futures) == list(range(500))
    assert len(disk.groups) < 10
    await writer.close()


async def test_items_submitted_together_are_committed_in_order_and_told_together() -> None:
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    alone, together = writer.submit(1, 1), writer.submit_all([2, 3, 4], 3)
    assert (writer.pending, writer.pending_bytes) == (4, 4)
    disk.let_pass()
    assert (await alone, await together, writer.pending) == (1, [2, 3, 4], 0)
    assert [number for group in disk.groups for number in group] == [1, 2, 3, 4]
    await writer.close()


async def test_of_items_submitted_together_each_is_told_why_it_failed() -> None:
    disk = Disk()
    disk.let_pass()
    disk.error = DiskFull("full")
    writer = GroupWriter("writer", disk.commit, ignore)
    assert await writer.submit_all([1, 2], 2) == [disk.error, disk.error]
    await writer.close()


async def test_pending_counts_what_was_not_told_yet() -> None:
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    futures = [writer.submit(number, 10) for number in range(5)]
    assert (writer.pending, writer.pending_bytes) == (5, 50)
    disk.let_pass()
    await asyncio.gather(*futures)
    assert (writer.pending, writer.pending_bytes) == (0, 0)
    await writer.close()


async def test_a_full_queue_refuses_and_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_writer, "PENDING_MAX", 3)
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    futures = [writer.submit(number, 1) for number in range(4)]
    disk.let_pass()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [int, int, int, Overloaded]
    assert sorted(number for group in disk.groups for number in group) == [0, 1, 2]
    await writer.close()


async def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_writer, "PENDING_BYTES_MAX", 100)
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    first, second = writer.submit(1, 60), writer.submit(2, 60)
    with pytest.raises(Overloaded):
        await second
    disk.let_pass()
    assert await first == 1
    await writer.close()


@pytest.mark.parametrize(("error", "told"), [(DiskFull("full"), DiskFull), (ZeroDivisionError(), Unknown)])
async def test_a_group_that_fails_does_not_stop_the_writer(error: Exception, told: type[Exception]) -> None:
    disk = Disk()
    disk.let_pass()
    disk.error = error
    writer = GroupWriter("writer", disk.commit, ignore)
    with pytest.raises(told):
        await writer.submit(1, 1)
    disk.error = None
    assert await writer.submit(2, 1) == 2
    await writer.close()


async def test_what_was_cancelled_before_its_turn_is_not_committed() -> None:
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    blocking = writer.submit(0, 1)
    assert await asyncio.to_thread(disk.begun.wait, WITHIN_SECONDS)
    cancelled, kept = writer.submit(1, 1), writer.submit(2, 1)
    cancelled.cancel()
    disk.let_pass()
    assert [await blocking, await kept] == [0, 2]
    assert (disk.groups, writer.pending) == ([[0], [2]], 0)
    await writer.close()


async def test_closing_commits_what_is_queued() -> None:
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    futures = [writer.submit(number, 1) for number in range(50)]
    disk.let_pass()
    await writer.close()
    assert await asyncio.gather(*futures) == list(range(50))


async def test_a_closed_writer_refuses() -> None:
    writer = GroupWriter("writer", Disk().commit, ignore)
    await writer.close()
    with pytest.raises(Closed):
        await writer.submit(1, 1)


async def test_what_is_cancelled_while_it_is_committed_keeps_nobody_else_waiting() -> None:
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    blocking = writer.submit(0, 1)
    assert await asyncio.to_thread(disk.begun.wait, WITHIN_SECONDS)
    cancelled, kept = writer.submit(1, 1), writer.submit(2, 1)
    disk.begun.clear()
    disk.let_pass(1)
    assert await asyncio.to_thread(disk.begun.wait, WITHIN_SECONDS)
    cancelled.cancel()
    disk.let_pass()
    async with asyncio.timeout(WITHIN_SECONDS):
        assert [await blocking, await kept] == [0, 2]
    assert (disk.groups, writer.pending) == ([[0], [1, 2]], 0)
    await writer.close()


@pytest.mark.parametrize(("bound", "value"), [("GROUP_ITEMS_MAX", 3), ("GROUP_BYTES_MAX", 30)])
async def test_a_group_is_bounded_however_much_waits(monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    monkeypatch.setattr(group_writer, bound, value)
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    futures = [writer.submit(number, 10) for number in range(20)]
    disk.let_pass()
    assert await asyncio.gather(*futures) == list(range(20))
    assert max(len(group) for group in disk.groups) <= 3
    await writer.close()


async def test_a_writer_is_closed_only_once_its_last_commit_is_over() -> None:
    disk = Disk()
    writer = GroupWriter("writer", disk.commit, ignore)
    future = writer.submit(1, 1)
    assert await asyncio.to_thread(disk.begun.wait, WITHIN_SECONDS)
    closing = asyncio.create_task(writer.close())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not closing.done()
    disk.let_pass()
    await closing
    assert await future == 1
