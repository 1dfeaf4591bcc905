"""Databases that a hub must not open, and a disk that is full while it runs: refusals are said, stops go on."""

from __future__ import annotations

import ctypes
import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.spec.manifest import proves
from tests.spec.place import PATIENCE_SECONDS, PROGRAM, Place, until
from tests.support.hub import RunningHub

pytestmark = pytest.mark.process

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def start(data_dir: Path, before: Callable[[], object] | None = None) -> tuple[int, str]:
    """Exit code and words of a hub that does not come up on a directory."""
    argv = [*PROGRAM, "hub", "--port", "0", "--data-dir", str(data_dir)]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, preexec_fn=before
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that a hub has used and left."""
    place = Place(tmp_path_factory.mktemp("used"))
    place.start_hub()
    place.close()
    return place.data_dir


NEWER = {
    "audit.db": ("PRAGMA user_version = 99", "PRAGMA user_version = 1"),
    "hub.db": (
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('opsconsole.hub', 'later', 'x')",
        "DELETE FROM _sqlite_migrations WHERE name = 'later'",
    ),
}
"""What makes a database one of a newer version, and what undoes it."""


@proves("storage.newer")
@pytest.mark.parametrize("name", list(NEWER))
def test_a_database_of_a_newer_version_is_refused_by_name(used: Path, name: str) -> None:
    ahead, back = NEWER[name]
    with opened(used / name) as connection:
        connection.execute(ahead)
    code, said = start(used)
    with opened(used / name) as connection:
        connection.execute(back)
    assert (code, name in said, "newer" in said or "version of opsconsole" in said) == (5, True, True)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    with connection:
        yield connection
    connection.close()


@proves("storage.read-only")
def test_a_directory_that_cannot_be_written_is_refused_by_name(used: Path) -> None:
    modes = {path: path.stat().st_mode for path in (used, *used.iterdir())}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        code, said = start(used, without_privilege if os.geteuid() == 0 else None)
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert (code, str(used) in said) == (5, True)


def without_privilege() -> None:
    """From here on the superuser keeps to what the modes of files say."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@proves("storage.locked")
def test_a_second_hub_on_a_directory_is_told_who_holds_it(place: Place) -> None:
    code, said = start(place.data_dir)
    assert place.hub is not None
    assert (code, f"process {place.hub.pid}" in said, place.url in said) == (4, True, True)
    assert place.get("info")["principal"]


@contextmanager
def full_disk(place: Place) -> Iterator[None]:
    """No file of the hub may grow, as on a disk without space."""
    assert place.hub is not None
    before = resource.prlimit(place.hub.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(place.hub.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(place.hub.pid, resource.RLIMIT_FSIZE, before)


def status_of(place: Place, path: str) -> int:
    return httpx.get(f"{place.url}/{path}", trust_env=False, timeout=PATIENCE_SECONDS).status_code


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="a limit is set on a running process")
@proves("storage.full-refuses", "storage.full-stops", "storage.full-returns")
async def test_on_a_full_disk_nothing_is_allowed_a_kill_acts_and_nothing_is_lost(
    place: Place, hub: RunningHub, tmp_path: Path
) -> None:
    agent = place.puppet("on-full-disk", supervised=False)
    agent.does("tool", args={"path": str(tmp_path / "out"), "text": "x"})
    held = place.held(agent.run)
    other = place.puppet("asks-on-full-disk", supervised=False)
    place.row_when(other.run, lambda row: row["state"] == "working")
    async with hub.agent("run_dies") as dies:
        await dies.begin()
        with full_disk(place):
            refused = place.decide(held, "approve")
            assert (refused["ok"], refused["error"]["code"]) == (False, "storage_failed")
            other.does("note", text="on the full disk")
            other.does("tool", args={"path": str(tmp_path / "out"), "text": "y"})
            assert other.says() == {"noted": "on the full disk"}
            killed = place.command("kill", run="run_dies", note="on a full disk")
            assert (await dies.next("cmd"))["do"] == "kill"
            until(lambda: status_of(place, "readyz") == 503, "the word that it is not ready")
            assert status_of(place, "healthz") == 200
            assert (agent.has_said_nothing(), (tmp_path / "out").exists()) == (True, False)
            assert place.held(agent.run)["approval"] == held["approval"]
        until(lambda: status_of(place, "readyz") == 200, "the word that it is ready")
    assert place.decide(held, "approve")["ok"] is True
    assert agent.says()["result"] == "written"
    assert (tmp_path / "out").read_text() == "x"
    until(lambda: "on the full disk" in [event.get("text") for event in place.timeline(other.run)], "the note")
    entries = until(lambda: place.get("audit", kind="kill", run="run_dies")["entries"], "the record of the kill")
    assert (entries[0]["reason"], entries[0]["command"]) == ("on a full disk", killed["cmd"])
    assert place.get("audit/verify")["ok"] is True
