"""Who else is here and what they have open, in words; what is known is the hub's row, and nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsconsole.domain.text import safe_line
from opsconsole.protocol.rows import Present

NAMES_MAX = 3
"""Names on one line; the rest is counted."""
NAME_CHARS_MAX = 24
"""Of one name: what follows it on the line must be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Every console but this one."""

    present: tuple[Present, ...] = ()
    me: str = ""

    def looking_at(self, *, run: str | None = None, approval: str | None = None) -> list[str]:
        """The names of those who have this run, or this approval, open; each once."""
        found = [
            self.name(one)
            for one in self.present
            if (run is not None and one.run == run) or (approval is not None and one.approval == approval)
        ]
        return list(dict.fromkeys(found))

    def name(self, one: Present) -> str:
        """What to call somebody; a second console of one's own is told from others."""
        return "you elsewhere" if one.by == self.me else safe_line(one.by, limit=NAME_CHARS_MAX)


def others(present: Iterable[Present], me: str, mine: tuple[str | None, str | None]) -> Others:
    """All but one console of `me` that has open what this one has (`mine`: run, approval)."""
    known = list(present)
    own = [one for one in known if one.by == me]
    this = next((one for one in own if (one.run, one.approval) == mine), own[0] if own else None)
    return Others(present=tuple(one for one in known if one is not this), me=me)


def is_one_of_them(name: str) -> bool:
    """Whether a verb after this name has an s: `ben looks`, but `you look` and `you elsewhere look`."""
    return name.split(" ", 1)[0] != "you"


def have(found: Sequence[str]) -> str:
    """The verb after these names."""
    return "has" if len(found) == 1 and is_one_of_them(found[0]) else "have"


def names(found: Sequence[str]) -> str:
    """`ben, cy, dee and 2 more`."""
    more = len(found) - NAMES_MAX
    return ", ".join(found[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
