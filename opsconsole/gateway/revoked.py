"""The run tokens that a person has revoked, as a file beside the gateway's secret; it makes none of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from opsconsole.errors import ConfigError

REVOKED_FILE = "gateway.revoked"
FILE_BYTES_MAX = 1_048_576
"""Some thirty thousand ids."""
LOOK_SECONDS = 1.0
"""How often a gateway looks whether another was revoked."""


class Revoked:
    """The ids in the file, as of a second ago at most."""

    def __init__(self, data_dir: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = data_dir / REVOKED_FILE, clock
        self._looked = float("-inf")
        self._seen: tuple[int, int] | None = None
        self._ids: frozenset[str] | None = frozenset()
        """None where the file cannot be read: then nobody knows."""

    def __contains__(self, token: object) -> bool:
        """Whether the token with this id counts as revoked; all do while the file cannot be read."""
        if (now := self._clock()) >= self._looked + LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._ids is None or token in self._ids

    def _look(self) -> None:
        try:
            status = self._path.stat()
            if self._seen != (seen := (status.st_mtime_ns, status.st_size)):
                self._ids = frozenset(self._path.read_text().split()) if status.st_size <= FILE_BYTES_MAX else None
                self._seen = seen
        except FileNotFoundError:
            self._ids, self._seen = frozenset(), None
        except (OSError, UnicodeDecodeError):
            self._ids, self._seen = None, None


def revoke(data_dir: Path, token: str) -> None:
    """Puts an id into the file, on disk when this returns. Raises: ConfigError."""
    path = data_dir / REVOKED_FILE
    line = f"{token}\n".encode()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "ab") as file:
            if file.tell() + len(line) > FILE_BYTES_MAX:
                raise ConfigError(f"{path} is full: remove gateway.secret, which ends all run tokens, and {path.name}")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None
