"""A channel to a reaper that goes: whoever asks learns it at once, for a kill must not wait to take over."""

from __future__ import annotations

import asyncio
import socket

import pytest

from opsconsole.supervisor.channel import LINE_BYTES_MAX, Channel, ReaperLost

PATIENCE_SECONDS = 600.0
"""Longer than any test: what is learnt before it is over was told, not waited for."""


async def opened() -> tuple[Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    channel = Channel(lambda message: None)
    await channel.open(ours)
    return channel, theirs


async def test_a_question_is_given_up_when_the_reaper_goes() -> None:
    channel, theirs = await opened()
    asked = asyncio.create_task(channel.ask("kill", timeout_seconds=PATIENCE_SECONDS))
    await asyncio.sleep(0)
    theirs.close()
    async with asyncio.timeout(30):
        with pytest.raises(ReaperLost, match="gone"):
            await asked
        with pytest.raises(ReaperLost, match="gone"):
            await channel.ask("kill", timeout_seconds=PATIENCE_SECONDS)
    await channel.close()


@pytest.mark.parametrize("line", [b"no message\n", b"x" * (LINE_BYTES_MAX + 1)], ids=["words", "endless"])
async def test_what_is_no_message_of_ours_is_as_good_as_gone(line: bytes) -> None:
    channel, theirs = await opened()
    asked = asyncio.create_task(channel.ask("kill", timeout_seconds=PATIENCE_SECONDS))
    theirs.setblocking(False)
    async with asyncio.timeout(30):
        await asyncio.get_running_loop().sock_sendall(theirs, line)
        with pytest.raises(ReaperLost, match="gone"):
            await asked
    theirs.close()
    await channel.close()
