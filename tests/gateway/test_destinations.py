"""What a path means is worked out once, and what clients write is kept within bounds."""

from __future__ import annotations

import pytest

from opsconsole.gateway import destinations
from opsconsole.gateway.coverage import TURN, Endpoint
from opsconsole.gateway.destinations import KEPT_CHARS_MAX, Destinations

CHAT = "/r/run_1/tester/openai/v1/chat/completions"


def test_a_path_means_the_same_each_time() -> None:
    known = Destinations()
    first = known.find("POST", CHAT)
    assert first is not None
    assert (first.route.run, first.provider.name, first.endpoint) == (
        "run_1",
        "openai",
        Endpoint(kind=TURN, dialect="openai.chat"),
    )
    assert known.find("POST", CHAT) is first


def test_another_method_means_something_else() -> None:
    known = Destinations()
    posted, got = known.find("POST", CHAT), known.find("GET", CHAT)
    assert posted is not None
    assert got is not None
    assert posted.endpoint != got.endpoint


@pytest.mark.parametrize("path", ["/healthz", "/nobody/v1/models", "/", ""])
def test_a_path_that_is_no_provider_s_goes_nowhere(path: str) -> None:
    assert Destinations().find("GET", path) is None


def test_a_long_path_is_not_kept() -> None:
    known = Destinations()
    path = CHAT + "/" * KEPT_CHARS_MAX
    assert known.find("POST", path) is not known.find("POST", path)


def test_many_paths_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "KEPT_MAX", 3)
    known = Destinations()
    first = known.find("POST", CHAT)
    for number in range(3):
        known.find("POST", f"/r/run_{number + 2}/tester/openai/v1/chat/completions")
    assert known.find("POST", CHAT) is not first
