"""Day files: one a day, positions that never repeat, and a lost file that costs only itself."""

import json
import shutil
from pathlib import Path

import pytest

from opsconsole_storage import Batch
from opsconsole_storage.event_files import STATE_NAME
from opsconsole_storage.sqlite_store import SqliteStore
from tests.storage.conftest import Opener, SteadyClock

DAY_SECONDS = 86_400


def batch(number: int, run: str = "run-1") -> Batch:
    return Batch(run=run, gen="g", first_seq=number, count=10, at=1.0, body=b"[%d]" % number)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("events-*.db"))


async def three_days(store: SqliteStore, clock: SteadyClock) -> list[int]:
    """One batch a day on three days, from 2027-01-15 on; their positions."""
    positions = []
    for number in range(3):
        positions.append(await store.events.publish(batch(number)))
        clock.now += DAY_SECONDS
    clock.now -= DAY_SECONDS
    return positions


async def first_seqs(store: SqliteStore) -> list[int]:
    return [stored.batch.first_seq for stored in await store.events.read(0, 100)]


async def test_each_day_has_its_file(store: SqliteStore, clock: SteadyClock, directory: Path) -> None:
    await three_days(store, clock)
    assert names(directory) == ["events-20270115.db", "events-20270116.db", "events-20270117.db"]


async def test_a_read_goes_over_all_days(store: SqliteStore, clock: SteadyClock) -> None:
    positions = await three_days(store, clock)
    assert [stored.position for stored in await store.events.read(positions[0], 10)] == positions[1:]


async def test_positions_and_event_numbers_go_on_after_a_restart(open_store: Opener, clock: SteadyClock) -> None:
    store = await open_store()
    positions = await three_days(store, clock)
    await store.close()
    store = await open_store()
    assert (await store.events.head(), await store.events.last_seq("run-1", "g")) == (positions[-1], 11)
    assert await store.events.publish(batch(12)) == positions[-1] + 1


async def test_a_clock_that_goes_back_keeps_the_order(store: SqliteStore, clock: SteadyClock, directory: Path) -> None:
    await three_days(store, clock)
    clock.now -= 2 * DAY_SECONDS
    await store.events.publish(batch(3))
    assert await first_seqs(store) == [0, 1, 2, 3]
    assert "events-20270115-2.db" in names(directory)


async def test_a_clock_that_went_back_keeps_the_order_after_a_restart(open_store: Opener, clock: SteadyClock) -> None:
    store = await open_store()
    await three_days(store, clock)
    clock.now -= 2 * DAY_SECONDS
    await store.events.publish(batch(3))
    await store.close()
    store = await open_store()
    await store.events.publish(batch(4))
    assert await first_seqs(store) == [0, 1, 2, 3, 4]


async def test_a_removed_day_is_named_and_the_others_serve(
    open_store: Opener, clock: SteadyClock, directory: Path
) -> None:
    store = await open_store()
    await three_days(store, clock)
    await store.close()
    (directory / "events-20270116.db").unlink()
    store = await open_store()
    assert (await first_seqs(store), store.events.damaged) == ([0, 2], {"events-20270116.db": "missing"})


async def test_a_corrupt_day_is_named_and_the_others_serve(
    open_store: Opener, clock: SteadyClock, directory: Path
) -> None:
    store = await open_store()
    await three_days(store, clock)
    await store.close()
    (directory / "events-20270116.db").write_bytes(b"no database" * 1000)
    store = await open_store()
    assert await first_seqs(store) == [0, 2]
    assert store.events.damaged == {"events-20270116.db": "file is not a database"}


@pytest.mark.parametrize("is_removed", [True, False])
async def test_a_lost_newest_file_repeats_no_position(
    open_store: Opener, clock: SteadyClock, directory: Path, is_removed: bool
) -> None:
    store = await open_store()
    positions = await three_days(store, clock)
    await store.close()
    newest = directory / "events-20270117.db"
    newest.unlink() if is_removed else newest.write_bytes(b"no database" * 1000)
    store = await open_store()
    assert await store.events.publish(batch(9)) > positions[-1]
    assert await first_seqs(store) == [0, 1, 9]


async def test_a_damaged_page_found_while_reading_costs_only_its_file(
    open_store: Opener, clock: SteadyClock, directory: Path
) -> None:
    store = await open_store()
    await three_days(store, clock)
    await store.close()
    path = directory / "events-20270116.db"
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    store = await open_store()
    assert await first_seqs(store) == [0, 2]
    assert list(store.events.damaged) == ["events-20270116.db"]


async def test_an_unreadable_list_of_files_repeats_no_position(
    open_store: Opener, clock: SteadyClock, directory: Path
) -> None:
    store = await open_store()
    positions = await three_days(store, clock)
    await store.close()
    (directory / STATE_NAME).write_text("{")
    store = await open_store()
    assert await store.events.publish(batch(9)) > positions[-1]
    assert STATE_NAME in store.events.damaged


async def test_old_days_are_deleted_and_the_rest_serves(
    store: SqliteStore, clock: SteadyClock, directory: Path
) -> None:
    await three_days(store, clock)
    assert await store.retain_events(1) == ["events-20270115.db"]
    assert names(directory) == ["events-20270116.db", "events-20270117.db"]
    assert (await first_seqs(store), store.events.damaged) == ([1, 2], {})


async def test_a_deleted_day_is_not_missed_after_a_restart(open_store: Opener, clock: SteadyClock) -> None:
    store = await open_store()
    await three_days(store, clock)
    await store.retain_events(1)
    await store.close()
    store = await open_store()
    assert (await first_seqs(store), store.events.damaged) == ([1, 2], {})


async def test_the_newest_file_is_never_deleted(store: SqliteStore, clock: SteadyClock, directory: Path) -> None:
    await store.events.publish(batch(1))
    clock.now += 90 * DAY_SECONDS
    assert (await store.retain_events(7), names(directory)) == ([], ["events-20270115.db"])


async def test_events_are_kept_for_at_least_a_day(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="at least one day"):
        await store.retain_events(0)


async def test_a_slow_subscription_reads_what_left_the_memory_from_the_files(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole_storage.sqlite_events.RECENT_BATCHES_MAX", 10)
    subscription = store.events.subscribe(0)
    first = [await store.events.publish(batch(number)) for number in range(5)]
    seen = [(await anext(subscription)).position]
    rest = [await store.events.publish(batch(number)) for number in range(5, 60)]
    while len(seen) < 60:
        seen.append((await anext(subscription)).position)
    assert seen == first + rest


async def test_what_can_be_packed_takes_less_room(store: SqliteStore, directory: Path) -> None:
    body = json.dumps([{"type": "llm.message", "text": "hello world"}] * 2000).encode()
    for number in range(20):
        await store.events.publish(Batch(run="r", gen="g", first_seq=number, count=1, at=1.0, body=body))
    await store.close()
    assert (directory / names(directory)[0]).stat().st_size < len(body) * 20 / 5


async def test_no_position_is_given_twice_however_many_were_given_before_a_crash(
    open_store: Opener, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole_storage.event_files.POSITIONS_RESERVED", 3)
    store = await open_store()
    positions = [await store.events.publish(batch(number)) for number in range(10)]
    crashed = tmp_path / "crashed"
    shutil.copytree(directory, crashed)
    (crashed / "events-20270115.db").unlink()
    assert await (await open_store(crashed)).events.publish(batch(10)) > positions[-1]
