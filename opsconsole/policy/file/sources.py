"""The JSON files that a policy names: read through what the caller gives, beside the policy and nowhere else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from opsconsole.policy.file.table import Table

FILE_BYTES_MAX = 1_048_576
"""A schema of a database or a tool."""
FILES_MAX = 50

Read = Callable[[str], bytes]
"""The bytes of a file by its name relative to the policy file; raises OSError or KeyError when there is none."""


class Sources:
    """Reads each file once and keeps its digest."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._parsed: dict[str, Any] = {}
        self.digests: dict[str, str] = {}

    def json(self, table: Table, key: str) -> Any:
        """What the file named under `key` holds, or None after a problem; a table there stands for itself."""
        given = table.raw(key)
        if not isinstance(given, str):
            if given is not None and not isinstance(given, dict):
                table.add(key, "give the name of a JSON file beside the policy")
            return given if isinstance(given, dict) else None
        if given not in self._parsed:
            try:
                self._parsed[given] = self._load(given)
            except ValueError as error:
                table.add(key, str(error))
                self._parsed[given] = None
        return self._parsed[given]

    def _load(self, name: str) -> Any:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
            raise ValueError(f"{name!r} is no name of a file beside the policy")
        if len(self._parsed) >= FILES_MAX:
            raise ValueError(f"the policy names more than {FILES_MAX} files")
        try:
            data = self._read(name)
        except (OSError, KeyError):
            raise ValueError(f"{name} cannot be read") from None
        if len(data) > FILE_BYTES_MAX:
            raise ValueError(f"{name} is larger than {FILE_BYTES_MAX:,} bytes")
        self.digests[name] = hashlib.sha256(data).hexdigest()
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name} is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(f"{name} holds no JSON object")
        return value
