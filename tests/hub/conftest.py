"""Fixtures of the hub's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opsconsole_storage import MemoryStore
from tests.support.hub import RunningHub, running_hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[RunningHub]:
    """A hub whose events and audit are in memory."""
    async with running_hub(tmp_path / "data", store=MemoryStore()) as running:
        yield running


@pytest.fixture
async def disk_hub(tmp_path: Path) -> AsyncIterator[RunningHub]:
    """A hub with everything on disk."""
    async with running_hub(tmp_path / "data") as running:
        yield running
