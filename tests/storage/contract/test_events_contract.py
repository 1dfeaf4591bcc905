"""What every event store must do, whatever engine is behind it."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from opsconsole_storage import Batch, Closed, Store, StoredBatch

WITHIN_SECONDS = 10.0


def batch(run: str = "run-1", first_seq: int = 1, *, gen: str = "g1", count: int = 2, body: bytes = b"[1,2]") -> Batch:
    return Batch(run=run, gen=gen, first_seq=first_seq, count=count, at=1.0, body=body)


async def take(stored: AsyncIterator[StoredBatch], count: int) -> list[StoredBatch]:
    taken: list[StoredBatch] = []
    async with asyncio.timeout(WITHIN_SECONDS), aclosing(stored) as source:  # type: ignore[type-var]
        async for one in source:
            taken.append(one)
            if len(taken) == count:
                break
    return taken


async def test_an_empty_store_has_no_position(engine: Store) -> None:
    assert (await engine.events.head(), await engine.events.read(0, 10)) == (0, [])


@pytest.mark.parametrize("body", [b"", b"[]", bytes(range(256)) * 300, b"[" + b'"same"' * 20_000 + b"]"])
async def test_a_batch_comes_back_as_it_went_in(engine: Store, body: bytes) -> None:
    published = batch("run ☂ *", 41, gen="", count=3, body=body)
    position = await engine.events.publish(published)
    assert await engine.events.read(0, 10) == [StoredBatch(position=position, batch=published)]


async def test_positions_grow_over_all_runs(engine: Store) -> None:
    positions = await asyncio.gather(*(engine.events.publish(batch(f"run-{number % 3}")) for number in range(100)))
    assert positions == sorted(set(positions))


async def test_the_head_is_the_last_position(engine: Store) -> None:
    positions = [await engine.events.publish(batch()) for _ in range(3)]
    assert await engine.events.head() == positions[-1]


async def test_a_read_starts_after_a_position_and_stops_at_the_limit(engine: Store) -> None:
    positions = [await engine.events.publish(batch()) for _ in range(6)]
    assert [stored.position for stored in await engine.events.read(positions[1], 3)] == positions[2:5]


async def test_a_read_can_be_limited_to_one_run(engine: Store) -> None:
    for number in range(6):
        await engine.events.publish(batch(f"run-{number % 2}", number))
    assert [stored.batch.first_seq for stored in await engine.events.read(0, 10, "run-1")] == [1, 3, 5]


async def test_a_subscription_replays_and_goes_on_live(engine: Store) -> None:
    first = await engine.events.publish(batch(first_seq=1))
    await engine.events.publish(batch(first_seq=3))
    subscription = asyncio.create_task(take(engine.events.subscribe(first), 2))
    await asyncio.sleep(0)
    await engine.events.publish(batch(first_seq=5))
    assert [stored.batch.first_seq for stored in await subscription] == [3, 5]


async def test_a_subscription_to_one_run_sees_no_other(engine: Store) -> None:
    subscription = asyncio.create_task(take(engine.events.subscribe(0, "run-1"), 10))
    for number in range(20):
        await engine.events.publish(batch(f"run-{number % 2}", number))
    assert [stored.batch.first_seq for stored in await subscription] == list(range(1, 20, 2))


async def test_a_subscription_has_no_gap_under_load(engine: Store) -> None:
    subscription = asyncio.create_task(take(engine.events.subscribe(0), 500))
    positions = await asyncio.gather(*(engine.events.publish(batch(first_seq=number)) for number in range(500)))
    assert [stored.position for stored in await subscription] == positions


async def test_the_last_event_number_is_that_of_the_newest_batch(engine: Store) -> None:
    await engine.events.publish(batch(first_seq=1, count=20))
    await engine.events.publish(batch(first_seq=21, count=5))
    await engine.events.publish(batch("run-2", first_seq=90))
    assert await engine.events.last_seq("run-1", "g1") == 25


async def test_a_new_generation_of_a_run_counts_from_zero(engine: Store) -> None:
    await engine.events.publish(batch(gen="g1"))
    assert await engine.events.last_seq("run-1", "g2") == 0


@pytest.mark.parametrize(
    "bad",
    [
        Batch(run="\ud800", gen="g", first_seq=1, count=1, at=1.0, body=b""),
        Batch(run="r", gen="g", first_seq=2**63, count=1, at=1.0, body=b""),
        Batch(run="r", gen="g", first_seq=-1, count=1, at=1.0, body=b""),
        Batch(run="r", gen="g", first_seq=1, count=1, at=math.nan, body=b""),
    ],
)
async def test_a_batch_that_can_not_be_stored_fails_alone(engine: Store, bad: Batch) -> None:
    refused, accepted = engine.events.publish(bad), engine.events.publish(batch())
    with pytest.raises(ValueError):
        await refused
    assert await accepted == await engine.events.head()


async def test_batches_published_together_are_stored_in_order_and_a_bad_one_fails_alone(engine: Store) -> None:
    bad = Batch(run="r", gen="g", first_seq=-1, count=1, at=1.0, body=b"")
    first, refused, last = await engine.events.publish_all([batch("run-1"), bad, batch("run-2")])
    assert isinstance(refused, ValueError)
    assert [(stored.position, stored.batch.run) for stored in await engine.events.read(0, 10)] == [
        (first, "run-1"),
        (last, "run-2"),
    ]


async def test_a_subscription_ends_when_the_store_is_closed(engine: Store) -> None:
    async def drain() -> list[StoredBatch]:
        return [stored async for stored in engine.events.subscribe(0)]

    subscription = asyncio.create_task(drain())
    await asyncio.sleep(0)
    await engine.close()
    async with asyncio.timeout(WITHIN_SECONDS):
        assert await subscription == []


async def test_a_publish_after_the_close_is_refused(engine: Store) -> None:
    await engine.close()
    with pytest.raises(Closed):
        await engine.events.publish(batch())
    with pytest.raises(Closed):
        await engine.events.publish_all([batch()])
