"""A disk that loses power: an apsw VFS that records every write and sync, and the files as a cut could leave them."""

import random
from pathlib import Path
from typing import Any

import apsw

SECTOR_BYTES = 512

Operation = tuple[str, str, int, bytes]
"""What was done (write, truncate, delete, sync, acknowledged), to which file, where, with which bytes."""


class RecordingDisk(apsw.VFS):
    """Passes everything to the real disk and keeps `operations`."""

    def __init__(self, name: str) -> None:
        self.operations: list[Operation] = []
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> "RecordingFile":
        return RecordingFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.operations.append(("delete", Path(filename).name, 0, b""))

    def acknowledge(self, number: int) -> None:
        """Note that the caller was told that entry `number` is durable."""
        self.operations.append(("acknowledged", "", number, b""))


class RecordingFile(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = Path(name.filename() if hasattr(name, "filename") else str(name)).name
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.operations.append(("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.operations.append(("truncate", self._name, size, b""))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.operations.append(("sync", self._name, 0, b""))


def acknowledged(operations: list[Operation]) -> int:
    """The newest entry whose durability was told, 0 for none."""
    return max((number for kind, _, number, _ in operations if kind == "acknowledged"), default=0)


def after_a_cut(operations: list[Operation], chance: random.Random) -> dict[str, bytes]:
    """The files after a cut behind `operations`: what was synced is there, of the rest any sectors are."""
    files: dict[str, bytearray] = {}
    for index, (kind, name, offset, data) in enumerate(operations):
        if kind == "delete":
            files.pop(name, None)
        if kind not in ("write", "truncate"):
            continue
        content = files.setdefault(name, bytearray())
        is_safe = any(later[:2] == ("sync", name) for later in operations[index:])
        if kind == "truncate":
            if is_safe or chance.random() < 0.5:
                del content[offset:]
            continue
        for start in range(0, len(data), SECTOR_BYTES):
            if is_safe or chance.random() < 0.5:
                _put(content, offset + start, data[start : start + SECTOR_BYTES])
    return {name: bytes(content) for name, content in files.items()}


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
