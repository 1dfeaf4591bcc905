"""A cgroup for one tree, where the system gives one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.supervisor import cgroup
from opsconsole.supervisor.cgroup import Cgroup
from tests.supervisor.trees import DEADLINE_SECONDS, Bench, sleeper

pytestmark = pytest.mark.process


@pytest.fixture
def group(place: Bench) -> Iterator[Cgroup]:
    made = cgroup.make(f"opsconsole-test-{place.mark}")
    if made is None:
        pytest.skip("this system lets us make no cgroup")
    yield made
    made.remove()


def test_its_processes_die_together(group: Cgroup, place: Bench) -> None:
    members = [sleeper(place), sleeper(place, new_session=True)]
    for member in members:
        Path(group.path, "cgroup.procs").write_text(str(member.pid))
    group.kill()
    assert [member.wait(DEADLINE_SECONDS) for member in members] == [-signal.SIGKILL] * 2


def test_an_empty_one_is_removed(group: Cgroup) -> None:
    group.remove()
    assert not Path(group.path).exists()


def test_one_that_is_gone_is_no_error(group: Cgroup) -> None:
    group.remove()
    group.kill()
    group.remove()


def test_none_is_made_where_there_is_no_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("cgroup /sys/fs/cgroup cgroup rw 0 0\n")
    monkeypatch.setattr(cgroup, "MOUNTS", str(mounts))
    assert cgroup.make("opsconsole-test") is None
