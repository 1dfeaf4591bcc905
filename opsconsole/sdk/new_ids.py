"""Makes new ids for runs, commands and messages; it knows nothing of what they name."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from functools import lru_cache

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [one + other for one in _CROCKFORD for other in _CROCKFORD]
_TIME_SHIFTS = (40, 30, 20, 10, 0)
_LETTER_OF_BYTE = "".join(_CROCKFORD[one & 31] for one in range(256)).encode()
"""Each letter stands for as many bytes as any other: five bits of randomness a letter."""
RANDOM_LETTERS = 16
DRAWN_AT_ONCE = 256
"""Ids for which the system is asked for randomness at a time: each question costs more than all the rest of an id."""


def new_id(prefix: str) -> str:
    """`prefix_` and a ULID: 48 bits of milliseconds, 80 of randomness, sortable by time of making."""
    return f"{prefix}_{_of_time(time.time_ns() // 1_000_000)}{_dice.throw()}"


class _Dice:
    """Sixteen letters, 80 bits of randomness, a throw; a forked child draws its own."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Throw away what is drawn."""
        self._drawn: Iterator[str] = iter(())

    def throw(self) -> str:
        """As no other thread gets it: the iterator gives each of its values once."""
        while True:
            for drawn in self._drawn:
                return drawn
            letters = os.urandom(RANDOM_LETTERS * DRAWN_AT_ONCE).translate(_LETTER_OF_BYTE).decode()
            self._drawn = iter([letters[at : at + RANDOM_LETTERS] for at in range(0, len(letters), RANDOM_LETTERS)])


_dice = _Dice()


@lru_cache(maxsize=4)
def _of_time(milliseconds: int) -> str:
    number = milliseconds & (1 << 48) - 1
    return "".join([_PAIRS[number >> at & 1_023] for at in _TIME_SHIFTS])


def new_gen() -> str:
    """The name of a new journal's generation."""
    return secrets.token_hex(8)
