"""The client tests play on one stage side by side: those of a file begin with its first, and report as themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.clients.environments import Unavailable, made
from tests.gateway.clients.stage import Theatre

AT_ONCE = 12
"""Scenarios; most of each is waiting."""


TIME_LIMIT_SECONDS = 300
"""Of a test: on a new machine the first makes the environments, and the others wait for room."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests of this folder their time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIME_LIMIT_SECONDS))


@pytest.fixture(scope="session")
def open_theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """The stage, with nothing begun."""
    try:
        for name in ("current", "earlier", "program"):
            made(name)
    except Unavailable as problem:
        pytest.skip(str(problem))
    opened = Theatre(tmp_path_factory.mktemp("stage") / "hub", at_once=AT_ONCE)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def theatre(request: pytest.FixtureRequest, open_theatre: Theatre) -> Theatre:
    """The stage, with every selected scenario of the file begun: the other files may be another worker's."""
    for item in request.session.items:
        scenario = getattr(getattr(item, "function", None), "scenario", None)
        if scenario is not None and item.path == request.path:
            callspec = getattr(item, "callspec", None)
            open_theatre.start(item.nodeid, scenario, callspec.params if callspec else {})
    return open_theatre
