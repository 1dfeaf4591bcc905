"""The clients' environments: pinned, made anew when their pins change, and a clear word where they cannot be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gateway.clients import environments
from tests.gateway.clients.environments import Environment, Unavailable, made

EMPTY = Environment(name="empty", packages=())
UNHEARD_OF = Environment(name="unheard-of", packages=("opsconsole-has-no-such-package==0",))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "PLACE", tmp_path)
    monkeypatch.setattr(environments, "environments", lambda: {one.name: one for one in (EMPTY, UNHEARD_OF)})
    for name in ("PIP_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")


def test_every_package_of_every_environment_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    packages = [package for one in environments.environments().values() for package in one.packages]
    assert [package for package in packages if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", package)] == []


def test_an_environment_that_cannot_be_installed_says_so_in_one_line_and_leaves_nothing() -> None:
    with pytest.raises(Unavailable, match=r"\Athe environment 'unheard-of' could not be installed: .+\Z"):
        made("unheard-of")
    assert not UNHEARD_OF.is_current


def test_an_environment_is_current_while_its_pins_are() -> None:
    EMPTY.place.mkdir()
    (EMPTY.place / ".made").write_text(EMPTY.fingerprint)
    EMPTY.python.parent.mkdir()
    EMPTY.python.touch()
    assert EMPTY.is_current
    (EMPTY.place / ".made").write_text(UNHEARD_OF.fingerprint)
    assert not EMPTY.is_current
