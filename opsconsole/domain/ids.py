"""The shapes of the identifiers that cross the wire; it makes none (randomness is given from outside)."""

from __future__ import annotations

import base64
import hashlib
import re

ID_CHARS_MAX = 128
_SEALED = re.compile(r"\.[a-z2-7]{16}\Z")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}\Z")


def is_id(text: str) -> bool:
    """Whether `text` may serve as an id: 1 to 128 of letters, digits and `_.:-`, starting with a letter or digit."""
    return _ID.match(text) is not None


def sealed_run_id(run: str, key: str) -> str:
    """A run id that only the holder of `key` can supervise: it commits to the key and does not reveal it.

    The key stays in the supervisor's memory; the process it starts gets the id alone.
    """
    return f"{run}.{_seal(key)}"


def is_sealed(run: str) -> bool:
    """Whether the run id commits to a key, which says that a supervisor holds the run's processes."""
    return _SEALED.search(run) is not None


def is_sealed_by(run: str, key: str | None) -> bool:
    """Whether `key` is the one that the run id commits to."""
    return key is not None and run.rpartition(".")[2] == _seal(key) and "." in run


def approval_id(run: str, call: str) -> str:
    """The approval of one call: derived, so that a proposal sent twice, or replayed after a crash, is one approval."""
    return "apr_" + _short(f"{run}\n{call}")


def verdict_id(run: str, call: str) -> str:
    """The command that carries the verdict on one call; derived for the same reason."""
    return "cmd_v" + _short(f"{run}\n{call}")


def joined_id(*parts: str) -> str:
    """Ids joined by dots; where that is too long to be an id itself, a short one derived from it."""
    joined = ".".join(parts)
    return joined if len(joined) <= ID_CHARS_MAX else "cmd_j" + _short(joined)


def _seal(key: str) -> str:
    return base64.b32encode(hashlib.sha256(key.encode()).digest()[:10]).decode().lower()


def _short(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[:15]).decode().lower()
