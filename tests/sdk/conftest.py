"""The fake hub and a fast-reconnecting agent's side of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.sdk import run_host
from opsconsole.sdk.hub import Hub
from opsconsole.sdk.link import Pace
from opsconsole.sdk.opening import Adoption
from opsconsole.sdk.run_host import RunHost
from opsconsole.sdk.settings import read_settings
from opsconsole.sdk.sync import Hub as SyncHub
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, running_hub

PACE = Pace(first_seconds=0.01, last_seconds=0.05)
Connect = Callable[..., Hub]


@pytest.fixture(autouse=True)
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that leaves gives its hub as long as a test does, on a machine that does much else."""
    monkeypatch.setattr(run_host, "FLUSH_SECONDS", TIME_LIMIT_SECONDS)


@pytest.fixture
def fake_hub() -> Iterator[FakeHub]:
    with running_hub() as hub:
        yield hub


def host_of(hub: FakeHub, data_dir: Path, environ: dict[str, str] | None = None, **settings: Any) -> RunHost:
    read = read_settings(hub=hub.url, token=settings.get("token", hub.token), data_dir=data_dir, environ={})
    return RunHost(read, pace=settings.get("pace", PACE), adoption=Adoption(environ or {}))


@pytest.fixture
def connect(fake_hub: FakeHub, tmp_path: Path) -> Connect:
    """An agent's `connect()` to the fake hub, as a process of its own would see it."""
    return lambda **settings: Hub(host_of(fake_hub, tmp_path, **settings))


@pytest.fixture
def connect_sync(fake_hub: FakeHub, tmp_path: Path) -> Callable[..., SyncHub]:
    return lambda **settings: SyncHub(host_of(fake_hub, tmp_path, **settings))
