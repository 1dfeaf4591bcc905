"""Hallucinated parameters: calls whose tool, names or identifiers do not exist; the facts say so, this counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import kept
from opsconsole.policy.detectors.finding import NOTHING, Finding, Severity
from opsconsole.policy.detectors.observation import CallProposed, Seen
from opsconsole.policy.detectors.outcome import digest_of
from opsconsole.policy.file.settings import ParameterSettings

AGENTS_MAX = 64
QUOTED_MAX = 3
"""Values of one call that are named."""


class Parameters:
    """One run's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (CallProposed,)

    def __init__(self, settings: ParameterSettings) -> None:
        self.settings = settings
        self._agents: dict[str, deque[bool]] = {}

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at proposals."""
        assert isinstance(seen, CallProposed)
        wrong = _wrong(seen)
        calls = kept(self._agents, seen.agent, deque, AGENTS_MAX)
        calls.append(bool(wrong))
        while len(calls) > self.settings.window:
            calls.popleft()
        if not wrong:
            return NOTHING
        count = sum(calls)
        trips = count >= self.settings.trip
        text = f"{seen.tool}: {'; '.join(wrong)}"
        often = f"{count} of the last {len(calls)} calls have invented parameters; " if trips else ""
        what = "often" if trips else f"{digest_of(text):x}"
        return (
            Finding(
                detector="parameters",
                severity=Severity.TRIP if trips else Severity.WARN,
                text=often + text,
                key=f"parameters:{seen.run}:{seen.agent}:{what}",
                runs=(seen.run,),
                agents=(seen.agent,),
                evidence={"call": seen.call, "tool": seen.tool, "wrong": wrong, "times": count, "of": len(calls)},
            ),
        )

    def dump(self) -> Any:
        """Which of the last calls were wrong."""
        return {agent: [int(one) for one in calls] for agent, calls in self._agents.items()}

    def load(self, state: Any) -> None:
        """See `Detector`."""
        self._agents = {agent: deque(map(bool, calls)) for agent, calls in state.items()}


def _wrong(seen: CallProposed) -> list[str]:
    wrong = ["no such tool"] if seen.unknown_tool else []
    for what, values in (
        ("against its schema", seen.schema_errors),
        ("unknown names", seen.unknown_names),
        ("never seen before", seen.ungrounded),
    ):
        if values:
            more = f" and {len(values) - QUOTED_MAX} more" if len(values) > QUOTED_MAX else ""
            wrong.append(f"{what}: {', '.join(values[:QUOTED_MAX])}{more}")
    return wrong
