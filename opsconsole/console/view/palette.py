"""The command palette: which acts and commands fit what was typed, and what it means; it performs none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsconsole.console.actions import Action, ViewName
from opsconsole.console.view.line import Line, Span, Tone, cut, fit, fit_line
from opsconsole.domain.ids import short_id
from opsconsole.domain.text import safe_line
from opsconsole.protocol.rows import RunRow

CHOICES_MAX = 40
RUNS_NAMED_MAX = 3
"""Runs that are named where what was typed fits several."""
BY_KEY_ONLY = frozenset({"approve", "send_draft"})
"""What lets a call happen is never chosen from a list and confirmed by enter."""
_LEFT_OUT = frozenset({"palette", "up", "down"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A command that takes words."""

    name: str
    takes: str
    help: str


VERBS = (
    Verb(name="run", takes="ID", help="Open a run: its id, the end of it, or its agent's name where that is one run."),
    Verb(name="graph", takes="ID", help="Show the agents around a run."),
    Verb(
        name="replay",
        takes="ID",
        help="Scrub through a run as it happened; a whole id also of one that has left the board.",
    ),
    Verb(name="filter", takes="WORDS", help="Show the runs that match; without words, all of them."),
    Verb(
        name="kill",
        takes="ID",
        help="Kill that run, at once, by its id; `all WORDS`: those that a filter selects, asked first.",
    ),
)
_VERBS = {verb.name: verb for verb in VERBS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One line of the palette: an act, or a command with its words."""

    name: str
    """What it is called; typed in full, it is meant whatever else begins so."""
    act: str = ""
    """The id of the act; empty for a command with words."""
    verb: str = ""
    words: str = ""
    keys: str = ""
    help: str = ""
    views: frozenset[ViewName] = frozenset()
    here: bool = True
    """Whether it works in the view shown."""


def choices(text: str, *, view: ViewName, actions: Sequence[Action]) -> list[Choice]:
    """What fits, best first: a command with words, then acts that work here, then those that work elsewhere."""
    wanted = " ".join(text.lower().split())
    verb, _, words = text.strip().partition(" ")
    found: list[Choice] = []
    if verb.lower() in _VERBS and (words.strip() or verb.lower() == "filter"):
        one = _VERBS[verb.lower()]
        found.append(Choice(name=f"{one.name} {one.takes}", verb=one.name, words=words.strip(), help=one.help))
    ranked = []
    for place, action in enumerate(actions):
        score = _score(wanted, action)
        if score is not None and action.id not in _LEFT_OUT:
            ranked.append((score, view not in action.views, place, _choice(action, view)))
    ranked.sort(key=lambda item: item[:3])
    found += [choice for *_, choice in ranked]
    if not words:
        found += [
            Choice(name=f"{one.name} {one.takes}", verb=one.name, help=one.help, here=False)
            for one in VERBS
            if one.name.startswith(wanted) and not any(choice.verb == one.name for choice in found)
        ]
    return found[:CHOICES_MAX]


def is_named(choice: Choice, text: str) -> bool:
    """Whether what was typed is the whole name of the act: acts that do something at once want that."""
    typed = " ".join(text.lower().split())
    return typed in (choice.name, choice.act, choice.act.replace("_", " "))


def choice_line(choice: Choice, *, width: int, chosen: bool) -> Line:
    """One line in exactly `width` cells."""
    tone: Tone = "strong" if choice.here else "dim"
    spans: list[Span] = [("▌" if chosen else " ", "key"), (fit(choice.name, 18 if width >= 60 else 12) + " ", tone)]
    spans.append((fit(choice.keys, 9 if width >= 60 else 5) + " ", "key" if choice.here else "dim"))
    where = "" if choice.here or choice.verb else f"(in {', '.join(sorted(choice.views)[:3])}) "
    words = f"{cut(safe_line(choice.words), 40)}: " if choice.words else ""
    return fit_line((*spans, (where, "warn"), (words, "plain"), (choice.help, "dim")), width)


def matching_run(text: str, rows: Iterable[RunRow], *, by_agent: bool) -> RunRow | str:
    """The one run that was meant, or a sentence that says why there is none.

    A whole id is that run; else the beginning or the end of an id, and only with `by_agent` an agent's whole name.
    """
    wanted = text.strip()
    if not wanted:
        return "say which: an id, or the end of one"
    found: list[RunRow] = []
    for row in rows:
        if row.run == wanted:
            return row
        if _fits(wanted, row) or (by_agent and row.agent == wanted):
            found.append(row)
    if len(found) == 1:
        return found[0]
    if not found:
        return f"no run on the board is “{safe_line(wanted, limit=60)}”"
    some = ", ".join(f"{row.agent} {short_id(row.run)}" for row in found[:RUNS_NAMED_MAX])
    more = "" if len(found) <= RUNS_NAMED_MAX else f" and {len(found) - RUNS_NAMED_MAX:,} more"
    return f"“{safe_line(wanted, limit=60)}” fits several: {some}{more}; nothing was done"


def _fits(wanted: str, row: RunRow) -> bool:
    bare = row.run.split("_", 1)[-1]
    return row.run.startswith(wanted) or bare.startswith(wanted) or short_id(row.run) == wanted


def _choice(action: Action, view: ViewName) -> Choice:
    return Choice(
        name=action.label,
        act=action.id,
        keys=action.key_text,
        help=action.help,
        views=action.views,
        here=view in action.views,
    )


def _score(wanted: str, action: Action) -> int | None:
    """How well an act fits, best 0; None when it does not."""
    names = (action.label.lower(), action.id.replace("_", " "), action.id)
    if not wanted:
        return 5
    tests = (
        wanted in names,
        any(name.startswith(wanted) for name in names),
        any(f" {wanted}" in name for name in names),
        any(wanted in name for name in names),
        len(wanted) > 2 and wanted in action.help.lower(),
    )
    return next((score for score, fits in enumerate(tests) if fits), None)
