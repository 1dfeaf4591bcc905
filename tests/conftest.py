"""What the whole suite starts with: its order, and signals as a terminal gives them."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """A suite started in the background inherits an ignored Ctrl-C, and so would every process that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is marked slow last, so that a plain mistake shows within seconds."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
