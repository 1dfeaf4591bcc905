"""Makes new ids for runs, commands and messages; it knows nothing of what they name."""

from __future__ import annotations

import os
import secrets
import time
from functools import lru_cache

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [one + other for one in _CROCKFORD for other in _CROCKFORD]
_TIME_SHIFTS = (40, 30, 20, 10, 0)


def new_id(prefix: str) -> str:
    """`prefix_` and a ULID: 48 bits of milliseconds, 80 of randomness, sortable by time of making."""
    dice, two = int.from_bytes(os.urandom(10)), _PAIRS
    high = f"{two[dice >> 70]}{two[dice >> 60 & 1_023]}{two[dice >> 50 & 1_023]}{two[dice >> 40 & 1_023]}"
    low = f"{two[dice >> 30 & 1_023]}{two[dice >> 20 & 1_023]}{two[dice >> 10 & 1_023]}{two[dice & 1_023]}"
    return f"{prefix}_{_of_time(time.time_ns() // 1_000_000)}{high}{low}"


@lru_cache(maxsize=4)
def _of_time(milliseconds: int) -> str:
    number = milliseconds & (1 << 48) - 1
    return "".join([_PAIRS[number >> at & 1_023] for at in _TIME_SHIFTS])


def new_gen() -> str:
    """The name of a new journal's generation."""
    return secrets.token_hex(8)
