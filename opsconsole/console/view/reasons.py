"""Reasons for a refusal that are typed by their number; any other words are a reason as they are."""

from __future__ import annotations

REASONS: tuple[str, ...] = (
    "wrong target: check what you act on, and ask again",
    "too broad: narrow it to what the task needs",
    "not now: this has to wait for a person or a window",
    "not needed: reach the goal without this call",
    "unsafe: find a way that can be undone",
    "not yours to do: hand it to a person",
)
"""Written to the agent's model, which reads them."""


def reasons_line() -> str:
    """All of them in short, with their numbers."""
    return "  ".join(f"{number} {reason.partition(':')[0]}" for number, reason in enumerate(REASONS, 1))


def reason_of(typed: str) -> str:
    """The reason that was meant: by its number, or the words themselves."""
    words = typed.strip()
    if words.isdecimal() and len(words) <= 2 and 1 <= int(words) <= len(REASONS):
        return REASONS[int(words) - 1]
    return words
