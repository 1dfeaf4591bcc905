"""Patterns over names, as in `shell|bash` and `pay_*`: which calls a rule, a fact or a breaker is about."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

PATTERN_CHARS_MAX = 500
ALTERNATIVES_MAX = 50
STARS_MAX = 3
"""In one alternative: each multiplies the time that a long name takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Alternatives between `|`; `*` stands for any run of characters, every other character for itself."""

    text: str
    alternatives: tuple[str, ...]
    _expression: re.Pattern[str] | None = field(repr=False, compare=False)
    """None where the text is a star alone, which every name fits, or holds none, and a name fits that it lists."""

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises: ValueError, with what is accepted."""
        if len(text) > PATTERN_CHARS_MAX:
            raise ValueError(f"is longer than {PATTERN_CHARS_MAX} characters")
        alternatives = tuple(part.strip() for part in text.split("|"))
        if len(alternatives) > ALTERNATIVES_MAX:
            raise ValueError(f"has more than {ALTERNATIVES_MAX} alternatives")
        for part in alternatives:
            if not part or not part.isprintable():
                raise ValueError("is empty, or has an empty alternative or a character that cannot be printed")
            if part.count("*") > STARS_MAX:
                raise ValueError(f"has more than {STARS_MAX} stars in {part!r}")
        if "*" not in text or text == "*":
            return cls(text=text, alternatives=alternatives, _expression=None)
        expression = "|".join(re.escape(part).replace(r"\*", ".*") for part in alternatives)
        return cls(text=text, alternatives=alternatives, _expression=re.compile(f"(?s:{expression})\\Z"))

    def matches(self, name: str) -> bool:
        """Whether the whole name fits, case and all."""
        if self._expression is None:
            return name in self.alternatives or self.text == "*"
        return self._expression.match(name) is not None

    def covers(self, other: Pattern) -> bool:
        """Whether every name that fits `other` surely fits this one; a star is compared as a character of the name."""
        return all(self.matches(part) for part in other.alternatives)


EVERY = Pattern.parse("*")
