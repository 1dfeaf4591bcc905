"""Canonical JSON and the digests that bind a decision to exactly what was shown; it decides nothing.

Canonical form: keys sorted by code point, no white space, UTF-8 without escapes beyond JSON's own, floats in shortest
round-trip form, no NaN or infinity, no lone surrogates (so that every digest is over valid UTF-8).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

DIGEST_PREFIX = "sha256:"
DEPTH_MAX = 32
"""Levels of nesting in arguments; deeper ones are refused: no operator could read them, and parsers recurse."""


class NotCanonical(ValueError):
    """The value has no canonical form: not JSON, NaN or infinity, a lone surrogate, or nested too deeply."""


def canonical(value: Any) -> bytes:
    """The one byte string that stands for a JSON value. Raises: NotCanonical."""
    _check_depth(value, DEPTH_MAX)
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (ValueError, TypeError) as error:
        raise NotCanonical(str(error)) from error


def digest(value: Any) -> str:
    """`sha256:` and the hex digest of the canonical form. Raises: NotCanonical."""
    return DIGEST_PREFIX + hashlib.sha256(canonical(value)).hexdigest()


def call_digest(tool: str, args: Any) -> str:
    """The digest of one exact call, as both the enforcement point and the hub compute it."""
    return digest({"tool": tool, "args": args})


def approval_digest(*, run: str, call: str, call_digest: str, policy_hash: str) -> str:
    """What a decision must quote: this call of this run, under this policy."""
    return digest({"run": run, "call": call, "call_digest": call_digest, "policy": policy_hash})


def _check_depth(value: Any, left: int) -> None:
    if left < 0:
        raise NotCanonical(f"nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical("a key is not a string")
            _check_depth(item, left - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_depth(item, left - 1)
