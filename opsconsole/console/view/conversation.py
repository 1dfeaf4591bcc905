"""A run's conversation as it is said: words with their Markdown drawn in fences, calls and acts in one line each."""

from __future__ import annotations

from datetime import tzinfo

from opsconsole.console.view.amounts import time_of_day
from opsconsole.console.view.fence import LINES_MAX
from opsconsole.console.view.line import Line, Tone, cut, fit_line, width_of
from opsconsole.console.view.markdown import markdown
from opsconsole.console.view.timeline import Step, Timeline
from opsconsole.console.view.timeline_lines import CARET
from opsconsole.domain.text import safe, safe_line

STEPS_SHOWN_MAX = 120
"""Newest messages, calls and acts that are drawn; the timeline has the others."""
_TALK = ("message:", "tool:", "command")
_TONES: dict[str, Tone] = {"thought": "dim", "system": "dim", "user": "plain", "operator": "hold"}


class Conversation:
    """Lines of one timeline; what did not change since it was drawn is not drawn again."""

    def __init__(self) -> None:
        self._drawn: dict[str, tuple[tuple[int, int, bool], list[Line]]] = {}
        self._run = ""

    def lines(self, timeline: Timeline, *, width: int, zone: tzinfo, speaking: str | None = None) -> list[Line]:
        """The newest of it, oldest first; `speaking` is the key of the message that still grows."""
        if timeline.run != self._run:
            self._run, self._drawn = timeline.run, {}
        keys = [key for key in timeline.order() if _is_said(timeline.steps[key])]
        shown = keys[-STEPS_SHOWN_MAX:]
        before, self._drawn = self._drawn, {}
        lines: list[Line] = []
        if len(keys) > len(shown):
            lines.append(fit_line(((f"… {len(keys) - len(shown):,} earlier ones are in the timeline", "dim"),), width))
        for key in shown:
            step, known = timeline.steps[key], before.get(key)
            state = (step.version, width, key == speaking)
            drawn = known[1] if known and known[0] == state else step_said(step, width, zone, speaking=key == speaking)
            self._drawn[key] = (state, drawn)
            lines += drawn
        return lines


def _is_said(step: Step) -> bool:
    return step.key.startswith(_TALK) and step.what != "model"


def step_said(step: Step, width: int, zone: tzinfo, *, speaking: bool = False) -> list[Line]:
    """One message in a fence, or a call or an act in one line."""
    if not step.key.startswith("message:"):
        return [_in_one_line(step, width, zone)]
    who = safe_line(str(step.fields.get("author") or ""))
    role = safe_line(step.what)
    title = cut(f"{f'{who} as the model' if who and role == 'assistant' else who or role}", max(1, width - 16))
    head = f"┌─ {title} {time_of_day(step.at, zone)} "
    rule = "─" * max(0, width - width_of(((head, "dim"),)))
    tone = "hold" if who else _TONES.get(role, "quote")
    words = safe(step.text) + (CARET if speaking else "")
    drawn = markdown(words, width=max(4, width - 2), tone=tone)
    lines: list[Line] = [fit_line(((head + rule, "dim"),), width)]
    lines += [fit_line((("│ ", "dim"), *line), width) for line in drawn[:LINES_MAX]]
    if len(drawn) > LINES_MAX:
        lines.append(fit_line((("│ … the rest is in the timeline", "warn"),), width))
    return [*lines, fit_line((("└" + "─" * max(0, width - 1), "dim"),), width)]


def _in_one_line(step: Step, width: int, zone: tzinfo) -> Line:
    outcome = f"  {cut(safe_line(step.outcome), max(1, width // 3))}" if step.outcome else ""
    room = max(1, width - len(outcome) - 20)
    head = f"  → {safe_line(step.what)} " if step.key.startswith("tool:") else f"  ◉ {safe_line(step.what)} "
    spans: Line = (
        (head, "key"),
        (cut(step.title, room), step.tone),
        (outcome, "dim"),
        (f"  {time_of_day(step.at, zone)}", "dim"),
    )
    return fit_line(spans, width)
