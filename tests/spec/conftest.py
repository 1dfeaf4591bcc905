"""A hub for a whole module: agents of its tests are told apart by their names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.spec.place import Place
from tests.support.hub import RunningHub


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A machine with a hub as its own process; a module may say SETTINGS, as environment variables."""
    settings = dict(getattr(request.module, "SETTINGS", {}))
    made = Place(tmp_path_factory.mktemp("place"), settings=settings)
    made.start_hub()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def hub(place: Place) -> RunningHub:
    """The same hub, for raw sockets."""
    return place.hub_by_socket
