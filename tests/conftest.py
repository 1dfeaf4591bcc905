"""What the whole suite starts with: order, names and heap, signals as in a terminal, and no clock on an example."""

from __future__ import annotations

import gc
import hashlib
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

ID_CHARS_MAX = 100
"""Of one parameter in a test's name, which goes into reports, the environment and logs again and again."""

RARELY = (50_000, 20, 20)
"""Allocations, then looks, between looks for garbage: a console's start makes a great deal that stays."""

SLOW_IS_FINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine at work elsewhere is no reason to fail; timings belong to bench/."""

settings.register_profile("search", SLOW_IS_FINE)
settings.register_profile("gate", SLOW_IS_FINE, derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "search")


def pytest_configure() -> None:
    """A suite started in the background inherits an ignored Ctrl-C, and so would every process that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text is named by its length and digest."""
    if not isinstance(val, str | bytes) or len(val) <= ID_CHARS_MAX:
        return None
    content = val if isinstance(val, bytes) else val.encode("utf-8", "surrogatepass")
    return f"{argname}-{len(val)}-{hashlib.sha256(content).hexdigest()[:8]}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Alone, what is slow runs last: a plain mistake should show soon. Among workers it runs first: none ends late."""

    def is_slow(item: pytest.Item) -> bool:
        return item.get_closest_marker("slow") is not None

    items.sort(key=is_slow, reverse=hasattr(config, "workerinput"))


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: each full collection would look it over for half a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARELY)
