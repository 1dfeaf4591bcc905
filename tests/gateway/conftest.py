"""A whole place for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opsconsole.hub.desk import leases
from tests.gateway.place import Place, running_place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A hub, a gateway and a scripted upstream."""
    async with running_place(tmp_path, keepalive_seconds=0.1, patience_seconds=0.1, grace_seconds=0.5) as found:
        yield found


@pytest.fixture
def lasting_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends a lease in a test is what the test does, never its time."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3_600.0)
