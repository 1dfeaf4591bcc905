"""What a tool gave, reduced to what tells two outcomes apart: times and addresses that differ by themselves do not."""

from __future__ import annotations

import re
from hashlib import blake2b

OUTCOME_CHARS_MAX = 4_096
"""Of an outcome that are looked at; two that agree so far are the same."""
DIGEST_BYTES = 7
"""56 bits: an integer that every JSON reader keeps exactly, but for those that stop at 53, which we do not use."""

_UUID_HINT = re.compile(r"-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_BY_ITSELF = re.compile(
    r"\d(?:"
    r"(?<=0)x[0-9a-fA-F]+"  # an address
    r"|\d{3}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"  # a timestamp
    r"|\d?:\d\d:\d\d(?:[.,]\d{1,9})?"  # a time of day, with its seconds
    r"|\d{0,12}+(?:\.\d{1,12}+)?\ ?(?:[nuµm]?s|secs?|seconds?|min|minutes?|h|hours?)\b"  # a duration
    r")"
)
"""Each begins with a digit, so that the search skips whatever does not."""
_MAYBE_BY_ITSELF = re.compile(r"\d(?:[x:]|\ ?(?:[nuµm]?s|secs?|seconds?|min|minutes?|h|hours?)\b)")
"""Stands in each of them; most outcomes hold none, which is seen in half the time."""


def normalised(text: str) -> str:
    """The first `OUTCOME_CHARS_MAX` characters, with what changes by itself replaced by `#`."""
    text = text[:OUTCOME_CHARS_MAX]
    if _UUID_HINT.search(text):
        text = _UUID.sub("#", text)
    return _BY_ITSELF.sub("#", text) if _MAYBE_BY_ITSELF.search(text) else text


def digest_of(*parts: str) -> int:
    """A number for these texts, the same in every process; it cannot be turned back."""
    return int.from_bytes(blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=DIGEST_BYTES).digest())


class Outcome:
    """The text of one outcome; what is worked out from it is worked out once."""

    __slots__ = ("_digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._digest: int | None = None

    @property
    def digest(self) -> int:
        """Of the normalised text."""
        if self._digest is None:
            self._digest = digest_of(normalised(self.text))
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Outcome({len(self.text)} characters)"


NO_OUTCOME = Outcome("")
