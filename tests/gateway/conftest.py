"""A whole place for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.place import Place, running_place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A hub, a gateway and a scripted upstream."""
    async with running_place(tmp_path, keepalive_seconds=0.1, patience_seconds=0.1, grace_seconds=0.5) as found:
        yield found
