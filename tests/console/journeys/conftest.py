"""One hub with its agents for all journeys of a file; consoles and agents of a journey end with it."""

from __future__ import annotations

from collections.abc import Iterator
from shutil import which

import pytest

from tests.console.journeys.world import World, new_world


@pytest.fixture(scope="module")
def earth() -> Iterator[World]:
    """A hub and the process of the agents."""
    if which("tmux") is None:
        pytest.skip("tmux is not installed: nobody walks through the console on a real terminal")
    with new_world() as world:
        yield world


@pytest.fixture
def world(earth: World) -> Iterator[World]:
    """The same, and every console is closed when the journey is at its end."""
    yield earth
    earth.close_consoles()
    earth.end_agents()
