"""How well people decide, from the audit: how long against how much there was to read, and how often yes; no verdict.

The time runs from the question, not from when it was looked at: a decision marked hasty was certainly faster than its
arguments can be read; one that is not marked may have been.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from opsconsole.console.view.digest import operator_of

READ_CHARS_PER_SECOND = 50.0
"""Twice as fast as people read prose: who is faster has not read it."""
GLANCE_CHARS = 60
"""What is taken in at a glance."""
_YES = frozenset({"approve", "edit"})
_DECISIONS = ("approval.decided", "approval.voted")
_DECOY = "decoy.answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """One operator's decisions."""

    name: str
    decided: int
    yes: int
    median_seconds: float
    median_chars: float
    """Of the arguments as JSON."""
    hasty: int
    """Yes, faster than the arguments can be read."""
    answers: Counter[str]
    decoys: int = 0
    """Made-up calls that were answered; they are not among the decisions."""
    caught: int = 0
    """Of those, refused."""

    @property
    def yes_share(self) -> float:
        """How often the answer was yes."""
        return self.yes / self.decided if self.decided else 0.0


def judges(entries: Iterable[Mapping[str, Any]]) -> list[Judge]:
    """Everybody who decided, most decisions first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        if entry.get("kind") in (*_DECISIONS, _DECOY) and (name := operator_of(entry)):
            found.setdefault(name, []).append(entry)
    return sorted((_judge(name, own) for name, own in found.items()), key=lambda one: (-one.decided, one.name))


def judge_words(judge: Judge) -> str:
    """`ana: 14 decisions, yes 86 %, median 41 s for 320 characters, 2 hasty`."""
    hasty = f", {judge.hasty} HASTY (yes faster than it can be read)" if judge.hasty else ""
    decoys = (
        f", caught {judge.caught} of {judge.decoys} decoy{'' if judge.decoys == 1 else 's'}" if judge.decoys else ""
    )
    if not judge.decided:
        return f"{judge.name}: no decision{decoys}"
    return (
        f"{judge.name}: {judge.decided} decision{'' if judge.decided == 1 else 's'}, yes {judge.yes_share:.0%}, "
        f"median {judge.median_seconds:.0f} s for {judge.median_chars:.0f} characters{hasty}{decoys}"
    )


def _judge(name: str, everything: list[Mapping[str, Any]]) -> Judge:
    entries = [entry for entry in everything if entry.get("kind") in _DECISIONS]
    decoys = [entry for entry in everything if entry.get("kind") == _DECOY]
    answers = Counter(str(entry.get("answer", "")) for entry in entries)
    sizes = [_chars(entry) for entry in entries]
    waits = [_seconds(entry) for entry in entries]
    timed = [wait for wait in waits if wait is not None]
    hasty = sum(
        wait is not None and wait < max(0, size - GLANCE_CHARS) / READ_CHARS_PER_SECOND and entry.get("answer") in _YES
        for entry, size, wait in zip(entries, sizes, waits, strict=True)
    )
    return Judge(
        name=name,
        decided=len(entries),
        yes=sum(answers[answer] for answer in _YES),
        median_seconds=median(timed) if timed else 0.0,
        median_chars=median(sizes) if sizes else 0.0,
        hasty=hasty,
        answers=answers,
        decoys=len(decoys),
        caught=sum(entry.get("caught") is True for entry in decoys),
    )


def _chars(entry: Mapping[str, Any]) -> int:
    return len(json.dumps(entry.get("args"), ensure_ascii=False))


def _seconds(entry: Mapping[str, Any]) -> float | None:
    value = entry.get("seconds_to_decide")
    return float(value) if isinstance(value, int | float) else None
