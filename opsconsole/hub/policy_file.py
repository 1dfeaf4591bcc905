"""The policy file on disk: read whole, watched for changes, remembered over restarts; what it means is elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from opsconsole.hub.accounts import write_private
from opsconsole.hub.server import Hub
from opsconsole.policy.file.loader import load
from opsconsole.policy.file.policy import FilePolicy, diff
from opsconsole.policy.file.problem import PolicyError, Problem
from opsconsole.policy.interface import Limits

LOOK_SECONDS = 2.0
"""How often it is looked whether the file has changed."""
BYTES_MAX = 1_048_576
"""Read of the file and of each that it names; the loader's own bounds are lower."""
REMEMBERED_NAME = "policy.json"
"""In the data directory: the policy in force, so that a change while the hub was down is told as one."""

Seen = tuple[int, int, int]
"""Of a file: when it was written (ns), its size, its inode; -1 where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A policy as it was written down."""

    name: str
    hash: str
    text: str


class PolicyFile:
    """One policy file and those that it names."""

    def __init__(self, path: Path, run_limits: Limits) -> None:
        self.path = path
        self._run_limits = run_limits
        self._seen: dict[Path, Seen] = {}

    def read(self) -> FilePolicy:
        """The policy it holds now. Raises: PolicyError with everything that is wrong."""
        self._seen = {self.path: _seen(self.path)}
        try:
            text = self._bytes(self.path).decode()
        except (OSError, UnicodeDecodeError) as error:
            words = f"{self.path} cannot be read: {getattr(error, 'strerror', None) or error}"
            raise PolicyError((Problem(line=None, field="", message=words),)) from None
        return load(text, read=self._beside, run_limits=self._run_limits)

    def changed(self) -> bool:
        """Whether a file has been written since it was last read."""
        return any(_seen(path) != seen for path, seen in self._seen.items())

    def _beside(self, name: str) -> bytes:
        path = self.path.parent / name
        self._seen[path] = _seen(path)
        return self._bytes(path)

    def _bytes(self, path: Path) -> bytes:
        with path.open("rb") as file:
            return file.read(BYTES_MAX + 1)


def _seen(path: Path) -> Seen:
    try:
        found = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


class PolicyWatch:
    """Tells the hub when its policy file has changed."""

    def __init__(self, hub: Hub, file: PolicyFile, data_dir: Path) -> None:
        self._hub = hub
        self._file = file
        self._data_dir = data_dir
        self._problems: tuple[Problem, ...] = ()

    async def look(self) -> None:
        """Take up what has changed; a file that cannot be used changes nothing, and is told once."""
        if not await asyncio.to_thread(self._file.changed):
            return
        try:
            policy = await asyncio.to_thread(self._file.read)
        except PolicyError as error:
            if await asyncio.to_thread(self._file.changed):
                return  # somebody is writing it: the next look sees more
            if error.problems != self._problems:
                self._hub.reject_policy([str(problem) for problem in error.problems])
            self._problems = error.problems
            return
        if await asyncio.to_thread(self._file.changed):
            return  # a half of it may be a policy, too
        self._problems = ()
        old = self._hub.desk.policy
        self._hub.change_policy(policy, diff(old if isinstance(old, FilePolicy) else None, policy))
        remember(self._data_dir, policy)


def remember(data_dir: Path, policy: FilePolicy) -> None:
    """Keep what is in force for the next start."""
    written = {"name": policy.name, "hash": policy.hash, "text": policy.text}
    write_private(data_dir / REMEMBERED_NAME, json.dumps(written) + "\n")


def remembered(data_dir: Path) -> Written | None:
    """The policy file that was in force when the hub last ran, if any."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((data_dir / REMEMBERED_NAME).read_text())
        return Written(name=str(found["name"]), hash=str(found["hash"]), text=str(found["text"]))
    return None
