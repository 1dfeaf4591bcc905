"""What every bus must do, whatever engine is behind it."""

import asyncio

import pytest

from opsconsole_storage import NoOwner, Store


async def echo(body: bytes) -> bytes:
    return b"echo " + body


async def test_a_request_gets_the_owners_answer(engine: Store) -> None:
    await engine.bus.serve("kill.agent-1", echo)
    assert await engine.bus.request("kill.agent-1", b"\0now", 1.0) == b"echo \0now"


async def test_a_name_that_nobody_serves_is_refused_at_once(engine: Store) -> None:
    await engine.bus.serve("kill.agent-1", echo)
    with pytest.raises(NoOwner):
        await engine.bus.request("kill.agent-10", b"", 60.0)


async def test_an_owner_that_left_is_no_owner(engine: Store) -> None:
    unserve = await engine.bus.serve("kill.agent-1", echo)
    await unserve()
    with pytest.raises(NoOwner):
        await engine.bus.request("kill.agent-1", b"", 60.0)


async def test_leaving_twice_takes_nobody_elses_place(engine: Store) -> None:
    unserve = await engine.bus.serve("name", echo)
    await unserve()
    await engine.bus.serve("name", echo)
    await unserve()
    assert await engine.bus.request("name", b"", 1.0) == b"echo "


async def test_the_newest_owner_of_a_name_answers(engine: Store) -> None:
    async def newer(_: bytes) -> bytes:
        return b"newer"

    await engine.bus.serve("name", echo)
    await engine.bus.serve("name", newer)
    assert await engine.bus.request("name", b"", 1.0) == b"newer"


async def test_a_silent_owner_times_out(engine: Store) -> None:
    async def silent(_: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    await engine.bus.serve("name", silent)
    with pytest.raises(TimeoutError):
        await engine.bus.request("name", b"", 0.01)


async def test_the_handlers_error_reaches_the_asker(engine: Store) -> None:
    async def broken(_: bytes) -> bytes:
        raise LookupError("no such process")

    await engine.bus.serve("name", broken)
    with pytest.raises(LookupError, match="no such process"):
        await engine.bus.request("name", b"", 1.0)
