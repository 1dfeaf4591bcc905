"""The kill ladder as a table: from what is seen and how long a rung took, the next rung; it touches no process.

START --> COOPERATIVE --> TERM --> STRIKE --> PROVEN | UNPROVEN        (a rung above may be skipped, never repeated)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Rung(StrEnum):
    """Where a kill stands. STRIKE freezes, kills and verifies as one."""

    START = "start"
    COOPERATIVE = "cooperative"
    TERM = "term"
    STRIKE = "strike"
    PROVEN = "proven"
    UNPROVEN = "unproven"


FINAL = frozenset({Rung.PROVEN, Rung.UNPROVEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderSettings:
    """How long each rung may take, in milliseconds; `cgroup` allows one to be made where the system lets us."""

    cooperative_ms: float = 250
    term_ms: float = 750
    verify_ms: float = 2000
    cgroup: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known now: `elapsed_ms` on this rung; `offered` and `answered` are of the cooperative cancel; `lost` when
    the reaper is: the tree is then being struck already; `struck` when the strike has ended."""

    elapsed_ms: float = 0
    empty: bool = False
    hurried: bool = False
    frozen: bool = False
    lost: bool = False
    offered: bool = False
    answered: bool | None = None
    struck: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """Leave the rung: what came of it, and where to go."""

    then: Rung
    outcome: str


_When = Callable[[Seen, LadderSettings], bool]


def _cooperative_spent(seen: Seen, settings: LadderSettings) -> bool:
    return seen.elapsed_ms >= settings.cooperative_ms


def _term_spent(seen: Seen, settings: LadderSettings) -> bool:
    return seen.elapsed_ms >= settings.term_ms


RULES: tuple[tuple[Rung, _When, Move], ...] = (
    (Rung.START, lambda seen, _: seen.empty, Move(Rung.PROVEN, "already dead")),
    (Rung.START, lambda seen, _: seen.hurried, Move(Rung.STRIKE, "now")),
    # A frozen tree can neither answer nor handle SIGTERM, and to thaw it would let it run.
    (Rung.START, lambda seen, _: seen.frozen, Move(Rung.STRIKE, "frozen")),
    (Rung.START, lambda seen, _: seen.offered, Move(Rung.COOPERATIVE, "offered")),
    (Rung.START, lambda seen, _: True, Move(Rung.TERM, "nothing to ask")),
    # Who is lost has taken the waiting away: what was struck then, and whether all of it fell, the strike tells.
    (Rung.COOPERATIVE, lambda seen, _: seen.lost, Move(Rung.STRIKE, "reaper lost")),
    (Rung.COOPERATIVE, lambda seen, _: seen.empty, Move(Rung.PROVEN, "ended")),
    (Rung.COOPERATIVE, lambda seen, _: seen.hurried, Move(Rung.STRIKE, "hurried")),
    (Rung.COOPERATIVE, lambda seen, _: seen.frozen, Move(Rung.STRIKE, "frozen")),
    (Rung.COOPERATIVE, lambda seen, _: seen.answered is False, Move(Rung.TERM, "refused")),
    (
        Rung.COOPERATIVE,
        lambda seen, settings: seen.answered is True and _cooperative_spent(seen, settings),
        Move(Rung.TERM, "answered, still running"),
    ),
    (Rung.COOPERATIVE, _cooperative_spent, Move(Rung.TERM, "no answer")),
    (Rung.TERM, lambda seen, _: seen.lost, Move(Rung.STRIKE, "reaper lost")),
    (Rung.TERM, lambda seen, _: seen.empty, Move(Rung.PROVEN, "ended")),
    (Rung.TERM, lambda seen, _: seen.hurried, Move(Rung.STRIKE, "hurried")),
    (Rung.TERM, lambda seen, _: seen.frozen, Move(Rung.STRIKE, "frozen")),
    (Rung.TERM, _term_spent, Move(Rung.STRIKE, "still running")),
    (Rung.STRIKE, lambda seen, _: seen.struck and seen.empty, Move(Rung.PROVEN, "empty tree")),
    (Rung.STRIKE, lambda seen, _: seen.struck, Move(Rung.UNPROVEN, "survivors")),
)
"""The first rule that fits is taken; none means: stay."""


def next_move(rung: Rung, seen: Seen, settings: LadderSettings) -> Move | None:
    """Gives the move to make now, or None to stay on this rung."""
    return next((move for at, fits, move in RULES if at is rung and fits(seen, settings)), None)


def remaining_ms(rung: Rung, seen: Seen, settings: LadderSettings) -> float | None:
    """Gives how long this rung may still take; None where only an event ends it."""
    budgets = {Rung.COOPERATIVE: settings.cooperative_ms, Rung.TERM: settings.term_ms}
    return max(0.0, budgets[rung] - seen.elapsed_ms) if rung in budgets else None
