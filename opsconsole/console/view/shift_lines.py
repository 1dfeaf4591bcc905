"""The shift as lines: digest, presence, how people decided, notes; counted once, worded for every width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.amounts import day_and_time
from opsconsole.console.view.digest import Digest, Note, Standing, digest_details, digest_line, digest_of
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.judges import Judge, judge_words, judges
from opsconsole.console.view.line import Line, Tone, wrap_words
from opsconsole.console.view.presence import Others, have, is_one_of_them
from opsconsole.domain.approval import OPEN, ApprovalStatus
from opsconsole.domain.ids import short_id
from opsconsole.domain.run import TERMINAL
from opsconsole.domain.text import safe_line
from opsconsole.protocol.rows import Present, RunRow

PRESENT_MAX = 50
"""Lines about who looks at what."""
NOBODY = "nobody else is here, and nothing is claimed or taken over"


def present(rows: Mapping[str, RunRow], calls: Iterable[HeldCall], others: Others) -> list[str]:
    """Who holds, has claimed or has open what now; those who are here without it, last."""
    me = others.me
    held = [
        f"{_does(row.baton.by, me, 'hold')} {row.agent} {short_id(row.run)}"
        for row in rows.values()
        if row.baton is not None
    ]
    claimed = [
        f"{_does(call.row.claimed_by, me, 'look')} at {call.row.tool} of {call.row.agent} {short_id(call.row.run)}"
        for call in calls
        if call.row.claimed_by and call.row.status is ApprovalStatus.PENDING
    ]
    opened = [
        f"{others.name(one)} {have([others.name(one)])} {_opened(one, rows)} open" for one in others.present if one.run
    ]
    idle = [
        f"{others.name(one)} {'is' if is_one_of_them(others.name(one)) else 'are'} here"
        for one in others.present
        if not one.run
    ]
    return [*held, *claimed, *opened, *idle][:PRESENT_MAX]


def _opened(one: Present, rows: Mapping[str, RunRow]) -> str:
    row = rows.get(one.run or "")
    what = "a held call of " if one.approval else ""
    return f"{what}{row.agent if row else 'run'} {short_id(one.run or '')}"


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


def standing(runs: Iterable[RunRow], calls: Iterable[HeldCall]) -> Standing:
    """What stands now, by these rows; a call whose decision is being recorded still waits."""
    live = [row for row in runs if row.state not in TERMINAL]
    return Standing(
        left=sum(1 for call in calls if call.row.status in OPEN),
        cost_usd=sum(row.cost_usd for row in live),
        cost_known=all(row.cost_known for row in live),
    )


def shift_lines(count: Count, now: Standing, here: Iterable[str], *, width: int, zone: tzinfo) -> list[Line]:
    """The whole text in at most `width` cells."""
    digest = count.digest
    lines = _wrapped(digest_line(digest, day_and_time(digest.since, zone), now), width, "strong")
    for detail in digest_details(digest):
        lines += _wrapped("  " + detail, width, "alarm" if detail.startswith("!") else "plain")
    lines += _section("Now", here, width, NOBODY)
    meter = [judge_words(judge) for judge in count.people]
    lines += _section("How people decided", meter, width, "nobody decided anything")
    lines += [(), (("Notes", "title"),)]
    for note in reversed(digest.notes):
        lines += _note(note, width, zone)
    return lines if digest.notes else [*lines, (("  none; N on a run leaves one", "dim"),)]


def _note(note: Note, width: int, zone: tzinfo) -> list[Line]:
    return fenced(f"{day_and_time(note.at, zone)} {note.by} on {note.run}", note.text, width=width, tone="plain")


def _section(title: str, words: Iterable[str], width: int, nothing: str) -> list[Line]:
    found = [(("  ", "plain"), *line) for text in words for line in _wrapped(text, width - 2, "plain")]
    return [(), ((title, "title"),), *(found or [(("  " + nothing, "dim"),)])]


def _wrapped(text: str, width: int, tone: Tone) -> list[Line]:
    return [((piece, tone),) for piece in wrap_words(text, width)]


def _does(name: str | None, me: str, verb: str) -> str:
    return f"you {verb}" if name == me else f"{safe_line(name or '')} {verb}s"
