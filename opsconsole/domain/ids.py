"""The shapes of the identifiers that cross the wire; it makes none (randomness is given from outside)."""

from __future__ import annotations

import base64
import hashlib
import re

ID_CHARS_MAX = 128
PROOF_PREFIX = "proof-"
"""No key begins so: what shows that somebody holds a key is never taken for one."""
_SEALED = re.compile(r"\.[a-z2-7]{16}\Z")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}\Z")


def is_id(text: str) -> bool:
    """Whether `text` may serve as an id: 1 to 128 of letters, digits and `_.:-`, starting with a letter or digit."""
    return _ID.match(text) is not None


def sealed_run_id(run: str, key: str) -> str:
    """A run id that only the holder of `key` can supervise: it commits to the key and does not reveal it.

    The key stays in the supervisor's memory while anything of the process lives; that gets the id alone.
    """
    return f"{run}.{_seal(key_proof(key))}"


def key_proof(key: str) -> str:
    """What shows to others than the hub that somebody holds a run's key: they can check it, and learn no key."""
    return PROOF_PREFIX + hashlib.sha256(f"opsconsole run key\n{key}".encode()).hexdigest()


def is_sealed(run: str) -> bool:
    """Whether the run id commits to a key, which says that a supervisor holds the run's processes."""
    return _SEALED.search(run) is not None


def is_sealed_by(run: str, key: str | None) -> bool:
    """Whether `key` is the one that the run id commits to, by its proof or by itself."""
    if key is None or key.startswith(PROOF_PREFIX) or "." not in run:
        return False
    return run.rpartition(".")[2] in (_seal(key_proof(key)), _seal(key))


def is_proved_by(run: str, proof: str) -> bool:
    """Whether who shows `proof` holds the key that the run id commits to."""
    if not (proof.startswith(PROOF_PREFIX) and proof.isascii() and is_sealed(run)):
        return False
    return run.rpartition(".")[2] == _seal(proof)


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


def _seal(secret: str) -> str:
    return base64.b32encode(hashlib.sha256(secret.encode()).digest()[:10]).decode().lower()


def _short(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[:15]).decode().lower()


def short_id(identifier: str) -> str:
    """The part of an id that tells it from its neighbours: the end, for ids with a time in front."""
    bare = identifier.split("_", 1)[-1]
    bare = bare.partition(".")[0]  # what follows is a supervised run's seal
    return bare if len(bare) <= 8 else bare[-6:]
