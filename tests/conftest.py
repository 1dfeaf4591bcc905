"""What the whole suite starts with: its order, signals as a terminal gives them, and no clock on an example."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("opsconsole", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opsconsole")  # a machine at work elsewhere is no reason to fail; timings belong to bench/


def pytest_configure() -> None:
    """A suite started in the background inherits an ignored Ctrl-C, and so would every process that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is marked slow last, so that a plain mistake shows within seconds."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
