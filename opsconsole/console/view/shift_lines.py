"""The shift as lines: digest, presence, how people decided, notes; counted once, worded for every width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.amounts import day_and_time, short_id
from opsconsole.console.view.digest import Digest, Note, digest_details, digest_line, digest_of
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.judges import Judge, judge_words, judges
from opsconsole.console.view.line import Line, Tone, wrap_words
from opsconsole.domain.approval import ApprovalStatus
from opsconsole.domain.text import safe_line
from opsconsole.protocol.rows import RunRow

PRESENT_MAX = 50
"""Lines about who looks at what."""


def present(rows: Iterable[RunRow], calls: Iterable[HeldCall], me: str) -> list[str]:
    """Who holds or looks at what now, by takeovers and claims; the hub knows of no other looking."""
    held = [f"{_name(row.baton.by, me)} holds {row.agent} {short_id(row.run)}" for row in rows if row.baton is not None]
    claimed = [
        f"{_name(call.row.claimed_by, me)} looks at {call.row.tool} of {call.row.agent} {short_id(call.row.run)}"
        for call in calls
        if call.row.claimed_by and call.row.status is ApprovalStatus.PENDING
    ]
    return [*held, *claimed][:PRESENT_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What the entries of a shift come to."""

    digest: Digest
    people: tuple[Judge, ...]


def counted(entries: Iterable[Mapping[str, Any]], *, begin: float, complete: bool) -> Count:
    """Entries of the audit as the hub gives them, those from `begin` on; for many of them it takes a while."""
    taken = list(entries)
    digest = digest_of(taken, since=begin, complete=complete)
    return Count(digest=digest, people=tuple(judges(entry for entry in taken if entry.get("at", 0) >= begin)))


def shift_lines(count: Count, here: Iterable[str], *, width: int, zone: tzinfo) -> list[Line]:
    """The whole text in at most `width` cells."""
    digest = count.digest
    lines = _wrapped(digest_line(digest, day_and_time(digest.since, zone)), width, "strong")
    for detail in digest_details(digest):
        lines += _wrapped("  " + detail, width, "alarm" if detail.startswith("!") else "plain")
    lines += _section("Now", here, width, "nobody has claimed or taken over anything")
    meter = [judge_words(judge) for judge in count.people]
    lines += _section("How people decided", meter, width, "nobody decided anything")
    lines += [(), (("Notes", "title"),)]
    for note in reversed(digest.notes):
        lines += _note(note, width, zone)
    return lines if digest.notes else [*lines, (("  none; N on a run leaves one", "dim"),)]


def _note(note: Note, width: int, zone: tzinfo) -> list[Line]:
    return fenced(f"{day_and_time(note.at, zone)} {note.by} on {note.run}", note.text, width=width, tone="plain")


def _section(title: str, words: Iterable[str], width: int, nothing: str) -> list[Line]:
    found = [line for text in words for line in _wrapped("  " + text, width, "plain")]
    return [(), ((title, "title"),), *(found or [(("  " + nothing, "dim"),)])]


def _wrapped(text: str, width: int, tone: Tone) -> list[Line]:
    return [((piece, tone),) for piece in wrap_words(text, width)]


def _name(name: str | None, me: str) -> str:
    return "you" if name == me else safe_line(name or "")
