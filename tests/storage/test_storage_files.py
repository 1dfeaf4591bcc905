"""Small durable files: what is on the disk and in which order, so that a crash or a full disk leaves one whole."""

import fcntl
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsconsole_storage import files, sidecar
from opsconsole_storage.files import make_private, write_whole
from opsconsole_storage.keys import PRIVATE_NAME, PUBLIC_NAME, create_signer, load_signer
from opsconsole_storage.notes import NOTE_BYTES_MAX, Signer
from opsconsole_storage.sidecar import Sidecar, read_sidecar

SIGNER = Signer("log.example/files", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
NOTES = [SIGNER.sign(size, bytes(32)) for size in range(4)]
TRY_TO_LOCK = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


class Disk:
    """What was made durable, in order: each file as it was when it was synced, and the names that were changed."""

    def __init__(self, watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.watched = watched
        self.seen: list[Any] = []
        self._sync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self.sync)
        monkeypatch.setattr(os, "replace", self.replace)
        monkeypatch.setattr(sidecar, "_fdatasync", self.sync)

    def sync(self, descriptor: int) -> None:
        self._sync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self.seen.append("the folder")
        else:
            with open(f"/dev/fd/{descriptor}", "rb") as file:
                self.seen.append((file.read(), self.watched.read_bytes() if self.watched.exists() else None))

    def replace(self, source: Path, target: Path) -> None:
        self._replace(source, target)
        self.seen.append("the name")


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """Meanwhile no file can grow beyond this, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_new_content_is_on_the_disk_before_it_takes_the_name_and_the_name_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"old")
    disk = Disk(path, monkeypatch)
    write_whole(path, b"new content")
    assert (disk.seen, path.read_bytes()) == ([(b"new content", b"old"), "the name", "the folder"], b"new content")


def test_a_disk_with_room_for_a_part_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"old")
    with room_for(10), pytest.raises(OSError):
        write_whole(path, b"much longer than ten bytes")
    assert path.read_bytes() == b"old"


def test_making_a_file_private_ends_no_lock_that_this_process_has_on_it(tmp_path: Path) -> None:
    path = tmp_path / "database"
    path.touch(0o644)
    with path.open("r+") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        make_private(path)
        other = subprocess.run([sys.executable, "-c", TRY_TO_LOCK, str(path)], capture_output=True, text=True)
    assert (other.returncode, other.stderr.strip().splitlines()[-1].split(":")[0]) == (1, "BlockingIOError")
    assert stat.S_IMODE(path.stat().st_mode) == files.OWNER_ONLY


def test_a_key_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / f"{PRIVATE_NAME}.new").mkdir()
    with pytest.raises(OSError):
        create_signer(tmp_path)
    assert not (tmp_path / PUBLIC_NAME).exists()
    (tmp_path / f"{PRIVATE_NAME}.new").rmdir()
    assert create_signer(tmp_path).name == load_signer(tmp_path).name


def test_a_checkpoint_is_on_the_disk_when_it_counts_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint"
    disk = Disk(path, monkeypatch)
    outside = Sidecar(path)
    assert [one if isinstance(one, str) else one[0] for one in disk.seen] == [b"\n" * 2 * NOTE_BYTES_MAX, "the folder"]
    outside.write(NOTES[1])
    assert disk.seen[2][0].startswith(NOTES[1].encode())
    outside.close()


def test_the_newest_checkpoint_is_never_the_one_that_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    for size, note in enumerate(NOTES):
        newest = read_sidecar(path, SIGNER.verifier)
        outside = Sidecar(path, newest[2]) if newest else Sidecar(path)
        before = path.read_bytes()
        outside.write(note)
        outside.close()
        kept = [slot for slot in (0, 1) if part(before, slot) == part(path.read_bytes(), slot)]
        assert newest is None or kept == [newest[2]], size


def part(content: bytes, slot: int) -> bytes:
    return content[slot * NOTE_BYTES_MAX :][:NOTE_BYTES_MAX]
