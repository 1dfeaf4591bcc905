"""Writing to a terminal that takes little at a time, or nothing: everything in order, and nobody waits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from opsconsole.console.driver import UNTAKEN_BYTES_MAX, LoopWriter

FRAMES = [f"{number:04d}" * 2_000 for number in range(40)]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    yield ours, theirs
    os.close(ours)


def writer_to(descriptor: int, anew: list[str]) -> LoopWriter:
    with open(os.devnull, "w", encoding="utf-8") as file:
        return LoopWriter(file, descriptor, asyncio.get_running_loop(), lambda: anew.append("anew"))


async def read(descriptor: int, until: int) -> bytes:
    os.set_blocking(descriptor, False)
    data = b""
    async with asyncio.timeout(60):
        while len(data) < until:
            try:
                data += os.read(descriptor, 10_000)
            except BlockingIOError:
                pass
            await asyncio.sleep(0)
    return data


async def test_frames_reach_a_slow_terminal_whole_and_in_order(pipe: tuple[int, int]) -> None:
    writer, whole = writer_to(pipe[1], []), "".join(FRAMES).encode()
    for frame in FRAMES:
        writer.write(frame)
    assert await read(pipe[0], len(whole)) == whole
    writer.stop()


async def test_what_is_too_much_is_left_out_and_everything_is_drawn_anew_when_there_is_room(
    pipe: tuple[int, int],
) -> None:
    anew: list[str] = []
    writer = writer_to(pipe[1], anew)
    writer.write("a" * (2 * UNTAKEN_BYTES_MAX))
    writer.write("never")
    assert anew == []
    assert set(await read(pipe[0], 2 * UNTAKEN_BYTES_MAX)) == {ord("a")}
    async with asyncio.timeout(60):
        while not anew:  # noqa: ASYNC110
            await asyncio.sleep(0)
    writer.write("b")
    assert await read(pipe[0], 1) == b"b"
    writer.stop()


async def test_the_rest_is_written_before_it_ends(pipe: tuple[int, int]) -> None:
    writer = writer_to(pipe[1], [])
    writer.write("x" * 200_000)
    reading = asyncio.get_running_loop().run_in_executor(None, _all_of, pipe[0])
    writer.stop()
    assert await reading == 200_000


def _all_of(descriptor: int) -> int:
    size = 0
    while data := os.read(descriptor, 65_536):
        size += len(data)
    return size


async def test_a_terminal_that_is_gone_is_written_to_no_more() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    os.set_blocking(theirs, False)
    writer = writer_to(theirs, [])
    writer.write("lost")
    writer.write("too")
    writer.write("and this")
    writer.stop()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(theirs)
