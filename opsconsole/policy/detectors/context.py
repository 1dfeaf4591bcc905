"""Context bloat: a conversation that fills its model's window, or is filled by one result or by repeated lines."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, ClassVar
from zlib import crc32

from opsconsole.policy.detectors.bounded import kept
from opsconsole.policy.detectors.finding import NOTHING, Finding, Severity
from opsconsole.policy.detectors.observation import CallEnded, Seen, TurnEnded
from opsconsole.policy.file.settings import ContextSettings

GROWTHS = 5
"""Turns whose median growth is expected of the next."""
GROWTHS_MIN = 3
RESULT_BYTES_MAX = 50_000
CHARS_A_TOKEN = 4
"""Roughly; a result's tokens are counted only once they are in a turn."""
DUPLICATES_SHARE = 0.5
"""Of the lines of results; half of them repeated is common in runs that go well: a note, never a trip."""
LINES_KEPT = 400
LINES_MIN = 100
LINE_CHARS_MIN = 8
"""A shorter line (a brace, a rule) is repeated in every text."""
LINES_READ_MAX = 200
"""Of one result."""
AGENTS_MAX = 64


@dataclass(slots=True)
class _Context:
    """One agent's conversation."""

    window: int = 0
    tokens: int = 0
    growths: deque[int] = field(default_factory=lambda: deque(maxlen=GROWTHS))


class Context:
    """One run's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (TurnEnded, CallEnded)

    def __init__(self, settings: ContextSettings) -> None:
        self.settings = settings
        self._agents: dict[str, _Context] = {}
        self._lines: deque[int] = deque()
        self._counts: Counter[int] = Counter()

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at turns, and at the size of results."""
        if isinstance(seen, TurnEnded):
            return self._turn(seen, kept(self._agents, seen.agent, _Context, AGENTS_MAX))
        if isinstance(seen, CallEnded) and not seen.denied_by_console:
            return self._large(seen) or self._repeated(seen)
        return NOTHING

    def _turn(self, seen: TurnEnded, context: _Context) -> Sequence[Finding]:
        grown = seen.input_tokens - context.tokens
        if grown < 0:
            context.growths.clear()  # it was compacted, or begun anew
        elif context.tokens:
            context.growths.append(grown)
        context.tokens, context.window = seen.input_tokens, seen.window
        if seen.window <= 0:
            return NOTHING
        share = seen.input_tokens / seen.window
        turns = _turns_left(context)
        is_tight = turns is not None and turns < self.settings.turns_left
        if share < self.settings.warn_at and not is_tight:
            return NOTHING
        full = f"context {share:.0%} full ({seen.input_tokens:,} of {seen.window:,} tokens)"
        soon = f"; at this rate full in {turns:.0f} turns" if is_tight else ""
        severity = Severity.TRIP if share >= self.settings.trip_at else Severity.WARN
        evidence = {"share": round(share, 3), "tokens": seen.input_tokens, "window": seen.window, "turns_left": turns}
        what = "soon" if share < self.settings.warn_at else "full"
        return _found(seen, severity, full + soon, what, evidence)

    def _large(self, seen: CallEnded) -> Sequence[Finding]:
        chars = len(seen.outcome.text)
        context = self._agents.get(seen.agent)
        window = context.window if context else 0
        share = chars / CHARS_A_TOKEN / window if window else 0.0
        if share <= self.settings.result_share and (chars * 4 <= RESULT_BYTES_MAX or _bytes(seen) <= RESULT_BYTES_MAX):
            return NOTHING
        of = f", about {share:.0%} of the context" if window else ""
        text = f"one result of {seen.tool} has {chars:,} characters{of}"
        evidence = {"tool": seen.tool, "call": seen.call, "chars": chars, "share": round(share, 3)}
        return _found(seen, Severity.WARN, text, f"result:{seen.tool}", evidence)

    def _repeated(self, seen: CallEnded) -> Sequence[Finding]:
        lines = seen.outcome.text[: LINES_READ_MAX * 80].splitlines()[:LINES_READ_MAX]
        for line in lines:
            if len(line) >= LINE_CHARS_MIN:
                self._line(crc32(line.encode("utf-8", "replace")))
        if len(self._lines) < LINES_MIN:
            return NOTHING
        share = 1 - len(self._counts) / len(self._lines)
        if share <= DUPLICATES_SHARE:
            return NOTHING
        text = f"{share:.0%} of the last {len(self._lines)} lines of results were there before"
        return _found(seen, Severity.WARN, text, "lines", {"share": round(share, 3), "lines": len(self._lines)})

    def _line(self, line: int) -> None:
        self._lines.append(line)
        self._counts[line] += 1
        if len(self._lines) > LINES_KEPT:
            gone = self._lines.popleft()
            self._counts[gone] -= 1
            if not self._counts[gone]:
                del self._counts[gone]

    def dump(self) -> Any:
        """Sizes, and digests of lines."""
        agents = {agent: [one.window, one.tokens, list(one.growths)] for agent, one in self._agents.items()}
        return [agents, list(self._lines)]

    def load(self, state: Any) -> None:
        """See `Detector`."""
        agents, lines = state
        for agent, (window, tokens, growths) in agents.items():
            self._agents[agent] = _Context(int(window), int(tokens), deque(map(int, growths), maxlen=GROWTHS))
        self._lines = deque(map(int, lines))
        self._counts = Counter(self._lines)


def _turns_left(context: _Context) -> float | None:
    if len(context.growths) < GROWTHS_MIN:
        return None
    growth = median(context.growths)
    return max(0.0, (context.window - context.tokens) / growth) if growth > 0 else None


def _bytes(seen: CallEnded) -> int:
    return len(seen.outcome.text.encode("utf-8", "replace"))


def _found(seen: Seen, severity: Severity, text: str, what: str, evidence: dict[str, Any]) -> Sequence[Finding]:
    return (
        Finding(
            detector="context",
            severity=severity,
            text=text,
            key=f"context:{seen.run}:{seen.agent}:{what}",
            runs=(seen.run,),
            agents=(seen.agent,),
            evidence=evidence,
        ),
    )
