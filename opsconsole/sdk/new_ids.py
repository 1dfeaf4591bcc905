"""Makes new ids for runs, commands and messages; it knows nothing of what they name."""

from __future__ import annotations

import secrets
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(prefix: str) -> str:
    """`prefix_` and a ULID: 48 bits of milliseconds, 80 of randomness, sortable by time of making."""
    number = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return prefix + "_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def new_gen() -> str:
    """The name of a new journal's generation."""
    return secrets.token_hex(8)
