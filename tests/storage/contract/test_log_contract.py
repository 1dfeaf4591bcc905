"""What every log must do, whatever engine is behind it."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from opsconsole_storage import Closed, Conflict, Entry, Log, Store

WITHIN_SECONDS = 10.0
ODD_KEYS = ["", " ", "a b", "*", ">", "a.b.>", "ключ/键/🔑", "nul\0inside", "%_\\'\";--", "line\nbreak"]
BODIES = {
    "empty": b"",
    "binary": bytes(range(256)),
    "nul": b"\0" * 10,
    "large": b"\xff\x00" * 35_000,
    "text": "päivää".encode(),
}


async def take(entries: AsyncIterator[Entry], count: int) -> list[Entry]:
    """The first `count` entries of a tail."""
    taken: list[Entry] = []
    async with asyncio.timeout(WITHIN_SECONDS), aclosing(entries) as source:  # type: ignore[type-var]
        async for entry in source:
            taken.append(entry)
            if len(taken) == count:
                break
    return taken


async def fill(log: Log, count: int) -> None:
    await asyncio.gather(*(log.append(f"key-{number}", b"%d" % number, at=1.0) for number in range(1, count + 1)))


async def test_an_empty_log_ends_at_zero(engine: Store) -> None:
    assert (await engine.log.head(), await engine.log.read(0, 10)) == (0, [])


async def test_entries_are_numbered_from_one_without_a_gap(engine: Store) -> None:
    assert [await engine.log.append("a", b"", at=1.0) for _ in range(3)] == [1, 2, 3]


async def test_the_head_counts_what_was_acknowledged(engine: Store) -> None:
    await fill(engine.log, 7)
    assert await engine.log.head() == 7


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_comes_back_as_it_went_in(engine: Store, body: bytes) -> None:
    seq = await engine.log.append("key", body, at=12.5)
    assert await engine.log.last("key") == Entry(seq=seq, key="key", at=12.5, body=body)


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_an_odd_key_is_only_itself(engine: Store, key: str) -> None:
    await engine.log.append(f"{key}x", b"other", at=1.0)
    seq = await engine.log.append(key, b"mine", at=1.0, expect=0)
    await engine.log.append(f"x{key}", b"other", at=1.0)
    assert await engine.log.last(key) == Entry(seq=seq, key=key, at=1.0, body=b"mine")


@pytest.mark.parametrize("at", [0.0, -0.0, -5.5, 1e-300, 1e300, 2.0**53, 1_800_000_000.123456])
async def test_a_wrong_clock_is_recorded_as_it_was(engine: Store, at: float) -> None:
    await engine.log.append("key", b"", at=at)
    last = await engine.log.last("key")
    assert last is not None
    assert last.at == at


async def test_entries_keep_their_order_when_the_clock_goes_back(engine: Store) -> None:
    await engine.log.append("key", b"", at=100.0)
    await engine.log.append("key", b"", at=50.0)
    assert [entry.at for entry in await engine.log.read(0, 10)] == [100.0, 50.0]


@pytest.mark.parametrize("at", [math.nan, math.inf, -math.inf])
async def test_what_is_no_time_is_refused(engine: Store, at: float) -> None:
    with pytest.raises(ValueError, match="not a time"):
        await engine.log.append("key", b"", at=at)


async def test_a_key_that_is_no_text_fails_alone(engine: Store) -> None:
    bad, good = engine.log.append("\ud800", b"", at=1.0), engine.log.append("key", b"", at=1.0)
    with pytest.raises(ValueError, match="surrogates"):
        await bad
    assert await good == 1


async def test_an_unknown_key_has_no_last_entry(engine: Store) -> None:
    await engine.log.append("key", b"", at=1.0)
    assert await engine.log.last("kez") is None


async def test_the_last_entry_is_the_newest_with_that_key(engine: Store) -> None:
    for body in (b"1", b"2", b"3"):
        await engine.log.append("key", body, at=1.0)
    await engine.log.append("other", b"4", at=1.0)
    assert await engine.log.last("key") == Entry(seq=3, key="key", at=1.0, body=b"3")


async def test_expecting_none_accepts_the_first_entry_of_a_key(engine: Store) -> None:
    await engine.log.append("other", b"", at=1.0)
    assert await engine.log.append("key", b"", at=1.0, expect=0) == 2


async def test_expecting_the_last_entry_accepts_the_next(engine: Store) -> None:
    first = await engine.log.append("key", b"", at=1.0, expect=0)
    await engine.log.append("other", b"", at=1.0)
    assert await engine.log.append("key", b"", at=1.0, expect=first) == 3


async def test_a_conflict_names_the_entry_that_won(engine: Store) -> None:
    await engine.log.append("key", b"winner", at=1.0, expect=0)
    with pytest.raises(Conflict) as conflict:
        await engine.log.append("key", b"loser", at=2.0, expect=0)
    assert conflict.value.current == Entry(seq=1, key="key", at=1.0, body=b"winner")


async def test_expecting_an_entry_where_there_is_none_conflicts_with_nothing(engine: Store) -> None:
    with pytest.raises(Conflict) as conflict:
        await engine.log.append("key", b"", at=1.0, expect=7)
    assert conflict.value.current is None


async def test_a_conflict_stores_nothing(engine: Store) -> None:
    await engine.log.append("key", b"winner", at=1.0, expect=0)
    with pytest.raises(Conflict):
        await engine.log.append("key", b"loser", at=2.0, expect=0)
    assert await engine.log.head() == 1


async def test_a_conflict_does_not_fail_its_neighbours(engine: Store) -> None:
    appends = [engine.log.append("key", b"%d" % number, at=1.0, expect=0) for number in range(3)]
    appends.append(engine.log.append("other", b"", at=1.0))
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [int, Conflict, Conflict, int]


async def test_of_twenty_deciders_exactly_one_wins_every_approval(engine: Store) -> None:
    async def decide(approval: int, decider: int) -> bool:
        try:
            await engine.log.append(f"approval/{approval}", b"%d" % decider, at=1.0, expect=0)
        except Conflict:
            return False
        return True

    for approval in range(30):
        assert sum(await asyncio.gather(*(decide(approval, decider) for decider in range(20)))) == 1


async def test_every_loser_is_told_the_same_winner(engine: Store) -> None:
    appends = (engine.log.append("approval", b"%d" % decider, at=1.0, expect=0) for decider in range(20))
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    winner = await engine.log.last("approval")
    assert [outcome.current for outcome in outcomes if isinstance(outcome, Conflict)] == [winner] * 19


async def test_what_was_acknowledged_is_read_back_at_once(engine: Store) -> None:
    for number in range(1, 30):
        seq = await engine.log.append("key", b"%d" % number, at=1.0)
        last = await engine.log.last("key")
        assert last == Entry(seq=seq, key="key", at=1.0, body=b"%d" % number)


async def test_a_read_starts_after_the_given_entry_and_stops_at_the_limit(engine: Store) -> None:
    await fill(engine.log, 9)
    assert [entry.seq for entry in await engine.log.read(3, 4)] == [4, 5, 6, 7]


async def test_a_read_can_be_limited_to_a_prefix_of_the_key(engine: Store) -> None:
    for key in ("run/1", "run/2", "RUN/3", "run%", "approval/1", "run\0/4"):
        await engine.log.append(key, b"", at=1.0)
    assert [entry.key for entry in await engine.log.read(0, 10, "run/")] == ["run/1", "run/2"]


async def test_a_tail_replays_from_the_middle_and_goes_on_live(engine: Store) -> None:
    await fill(engine.log, 5)
    tail = asyncio.create_task(take(engine.log.tail(3), 4))
    await asyncio.sleep(0)
    await fill(engine.log, 2)
    assert [entry.seq for entry in await tail] == [4, 5, 6, 7]


async def test_a_tail_sees_every_entry_once_and_in_order_while_eight_write(engine: Store) -> None:
    async def write(writer: int) -> None:
        for number in range(25):
            await engine.log.append(f"writer/{writer}", b"%d" % number, at=1.0)

    tail = asyncio.create_task(take(engine.log.tail(0), 200))
    await asyncio.gather(*(write(writer) for writer in range(8)))
    assert [entry.seq for entry in await tail] == list(range(1, 201))


async def test_all_tails_see_the_same_order(engine: Store) -> None:
    tails = [asyncio.create_task(take(engine.log.tail(0), 60)) for _ in range(3)]
    await fill(engine.log, 60)
    first, second, third = await asyncio.gather(*tails)
    assert first == second == third


async def test_a_cancelled_append_is_stored_whole_or_not_at_all(engine: Store) -> None:
    appends = [engine.log.append(f"key/{number}", b"whole", at=1.0) for number in range(50)]
    for append in appends[::2]:
        append.cancel()
    await asyncio.gather(*appends, return_exceptions=True)
    stored = await engine.log.read(0, 100)
    assert [entry.seq for entry in stored] == list(range(1, len(stored) + 1))
    assert {entry.body for entry in stored} == {b"whole"}
    assert {f"key/{number}" for number in range(1, 50, 2)} <= {entry.key for entry in stored}


async def test_a_tail_ends_when_the_store_is_closed(engine: Store) -> None:
    async def drain() -> list[int]:
        return [entry.seq async for entry in engine.log.tail(0)]

    await fill(engine.log, 2)
    tail = asyncio.create_task(drain())
    async with asyncio.timeout(WITHIN_SECONDS):
        await take(engine.log.tail(0), 2)
        await engine.close()
        assert set(await tail) <= {1, 2}


async def test_an_append_after_the_close_is_refused(engine: Store) -> None:
    await engine.close()
    with pytest.raises(Closed):
        await engine.log.append("key", b"", at=1.0)
