"""Waiting over HTTP: a look after news, an end by time, and nobody kept when the hub goes down."""

from __future__ import annotations

import asyncio

from opsconsole.hub.waiters import Waiters

LONG_SECONDS = 3600.0


async def waiting(waiters: Waiters, happened: list[str]) -> asyncio.Task[bool]:
    task = asyncio.create_task(waiters.until(lambda: bool(happened), LONG_SECONDS))
    await asyncio.sleep(0)
    return task


async def test_what_holds_already_is_told_at_once() -> None:
    assert await Waiters().until(lambda: True, 0.0)


async def test_who_waits_looks_again_after_news() -> None:
    waiters, happened = Waiters(), list[str]()
    task = await waiting(waiters, happened)
    happened.append("it")
    waiters.news()
    async with asyncio.timeout(10.0):
        assert await task


async def test_what_does_not_happen_in_time_is_told_as_not_happened() -> None:
    assert not await Waiters().until(lambda: False, 0.01)


async def test_nobody_is_kept_when_the_hub_goes_down() -> None:
    waiters = Waiters()
    task = await waiting(waiters, [])
    waiters.let_go()
    async with asyncio.timeout(10.0):
        await task
