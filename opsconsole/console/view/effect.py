"""What a held call would do, where that can be known without running anything, as lines; it looks nothing up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from opsconsole.console.view.fence import fenced, fenced_spans
from opsconsole.console.view.line import Line, Span, Tone, fit_line, wrap_words
from opsconsole.console.view.text_diff import diff_lines
from opsconsole.domain.text import safe, safe_line

PLAN_LINES_MAX = 20
DIFF_LINES_MAX = 200
SAME_CHARS_MAX = 80
"""Of what is the same in a changed line, beside the change: the rest is counted, so that the change is on screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What was found; every text may be an agent's or a database's, and is made safe where it is shown."""

    source: str
    """Where it was looked up."""
    words: str = ""
    """What it would do, in a sentence of ours."""
    rows: int | None = None
    """Rows that it reads or changes."""
    rows_are_all: bool = False
    """Whether these are all rows of the table."""
    plan: tuple[str, ...] = ()
    """How the database would go about it."""
    before: str | None = None
    """The file as it is; None: no file is compared."""
    after: str = ""
    problem: str = ""
    """Why nothing, or not all, is known."""

    @property
    def is_known(self) -> bool:
        """Whether all of it is."""
        return bool(self.words) and not self.problem

    @property
    def tone(self) -> Tone:
        """How loud it is."""
        return "warn" if self.problem and not self.words else "bad" if self.rows_are_all else "strong"


def effect_lines(effect: Effect, *, width: int) -> list[Line]:
    """The effect, in our words."""
    lines: list[Line] = []
    if effect.words:
        lines += _titled("EFFECT", effect.words, effect.tone, width)
    if effect.problem:
        lines += _titled("EFFECT", f"not {'all ' if effect.words else ''}known: {effect.problem}", "warn", width)
    return [fit_line(line, width) for line in lines]


def effect_details(effect: Effect, *, width: int) -> list[Line]:
    """Where it was looked up, and what databases and files say of it, in fences."""
    lines = _titled("EFFECT", f"nothing was run; looked up in {effect.source}", "dim", width)
    if effect.plan:
        lines += fenced(
            "HOW THE DATABASE WOULD GO ABOUT IT", "\n".join(safe_line(one) for one in effect.plan), width=width
        )
    if effect.before is not None:
        lines += _difference(effect.before, effect.after, width)
    return [fit_line(line, width) for line in lines]


def effect_in_short(effect: Effect, *, of: str, width: int) -> list[Line]:
    """The effect of one of several calls, in a sentence; `of` says which it is of, already safe."""
    words = effect.words if effect.is_known else f"not known: {effect.problem}"
    return _titled("EFFECT", f"{of}: {safe_line(words)}", effect.tone if effect.is_known else "warn", width)


def _titled(title: str, words: str, tone: Tone, width: int) -> list[Line]:
    pieces = wrap_words(safe_line(words), max(10, width - 7))
    return [((f"{title if place == 0 else '':<7}", "dim"), (piece, tone)) for place, piece in enumerate(pieces)]


def _difference(before: str, after: str, width: int) -> list[Line]:
    """The texts are compared as they are and made safe afterwards: what only looks alike is different."""
    changes = diff_lines(before, after)
    lines: list[Line] = []
    if not changes:
        changes = [(("  the same, to the last character", "plain"),)]
    elif _visible(before) == _visible(after):
        lines += _titled("", "the file differs in characters that look alike here", "bad", width)
    if len(changes) > DIFF_LINES_MAX:
        lines += _titled("", f"the difference has {len(changes):,} lines: not all stand below", "warn", width)
    title = "THE FILE, AS IT IS AND AS IT WOULD BE"
    return lines + fenced_spans(title, _spans(changes, width), width=width, lines_max=DIFF_LINES_MAX)


def _spans(changes: list[Line], width: int) -> Iterator[Span]:
    """Line by line, each span safe and no longer than what the fence can show."""
    for place, line in enumerate(changes[: DIFF_LINES_MAX + 1]):
        if place:
            yield "\n", "plain"
        for at, (text, tone) in enumerate(line):
            yield _visible(_beside(text, is_before=at < 2) if tone == "dim" else _bounded(text, width)), tone


def _bounded(text: str, width: int) -> str:
    most = DIFF_LINES_MAX * width
    return text if len(text) <= most else f"{text[:most]}… {len(text) - most:,} more"


def _beside(text: str, *, is_before: bool) -> str:
    """What is the same before or after a change, the end next to it."""
    left_out = len(text) - SAME_CHARS_MAX
    if left_out <= 0:
        return text
    if is_before:
        return f"… {left_out:,} the same …{text[-SAME_CHARS_MAX:]}"
    return f"{text[:SAME_CHARS_MAX]}… {left_out:,} the same …"


def _visible(text: str) -> str:
    return safe(text, limit=max(1, len(text)))
