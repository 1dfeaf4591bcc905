"""The bench on which each test of real processes works."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.supervisor.process import SupervisedProcess
from tests.supervisor.trees import PYTHON, Bench, bench

Start = Callable[..., Awaitable[SupervisedProcess]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


@pytest.fixture
async def start(place: Bench) -> AsyncIterator[Start]:
    """Starts Python code as a supervised command; closes it after the test."""
    started: list[SupervisedProcess] = []

    async def begin(code: str, *argv: str, **more: Any) -> SupervisedProcess:
        process = await SupervisedProcess.start(
            [*PYTHON, code, *argv], **{"env": place.env, "receipt_path": place.receipt, **more}
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        await process.close()
