"""Folders that are made for their owner alone, whatever the process lets others see."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.sdk.private_folder import make_private_folder


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_folder_is_made_private_and_so_are_those_above_it(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "data" / "journal" / "gateway")
    made = [stat.S_IMODE(place.stat().st_mode) for place in (tmp_path / "data").rglob("*")]
    assert [stat.S_IMODE((tmp_path / "data").stat().st_mode), *made] == [0o700] * 3


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    make_private_folder(tmp_path / "data" / "journal")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "data")
