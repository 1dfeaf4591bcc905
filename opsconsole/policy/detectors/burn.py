"""Chronic burn: an agent that spends more than its usual hour after hour, without the spike that a rate would show."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import kept
from opsconsole.policy.detectors.finding import NOTHING, Finding, SettingsOf, Severity
from opsconsole.policy.detectors.observation import Seen, TurnEnded
from opsconsole.policy.file.settings import BurnSettings

HOUR_SECONDS = 3_600
HOURS_KEPT = 7 * 24
USUAL_HOURS_MIN = 8
"""Hours in which the agent spent anything, before those that are judged."""
USD_MAX = 1e6
"""Of one turn; what is beyond it is no amount."""
AGENTS_MAX = 1_000


class Burn:
    """The fleet's. Only priced turns count: those without a price have an alarm of their own."""

    watches: ClassVar[tuple[type[Seen], ...]] = (TurnEnded,)

    def __init__(self, settings_of: SettingsOf[BurnSettings]) -> None:
        self.settings_of = settings_of
        self._agents: dict[str, dict[int, float]] = {}
        """Agent -> hour since the epoch -> dollars."""

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at turns that cost something; an hour is judged when the next one begins."""
        assert isinstance(seen, TurnEnded)
        if seen.cost_usd is None or not 0 < seen.cost_usd <= USD_MAX:
            return NOTHING
        hours = kept(self._agents, seen.agent, dict[int, float], AGENTS_MAX)
        hour = int(seen.at // HOUR_SECONDS)
        is_new = bool(hours) and hour > max(hours)
        hours[hour] = hours.get(hour, 0.0) + seen.cost_usd
        if not is_new:
            return NOTHING
        for old in [one for one in hours if one <= hour - HOURS_KEPT]:
            del hours[old]
        return self._judge(seen, hours, hour)

    def _judge(self, seen: TurnEnded, hours: dict[int, float], hour: int) -> Sequence[Finding]:
        settings = self.settings_of(seen.agent)
        first = hour - settings.hours
        lately = [hours.get(one, 0.0) for one in range(first, hour)]
        before = [usd for one, usd in hours.items() if one < first]
        if len(before) < USUAL_HOURS_MIN:
            return NOTHING
        usual = median(before)
        if min(lately) <= max(settings.minimum_usd, settings.ratio * usual):
            return NOTHING
        mean = sum(lately) / settings.hours
        return (
            Finding(
                detector="burn",
                severity=Severity.WARN,
                text=f"chronic burn: {seen.agent} spent ${mean:,.2f} an hour for {settings.hours} hours, "
                f"its usual is ${usual:,.2f}",
                key=f"burn:{seen.agent}:{hour // 24}",
                runs=(seen.run,),
                agents=(seen.agent,),
                evidence={"hours": [round(usd, 4) for usd in lately], "usual": round(usual, 4)},
            ),
        )

    def dump(self) -> Any:
        """Dollars by agent and hour."""
        return {agent: [[hour, usd] for hour, usd in hours.items()] for agent, hours in self._agents.items()}

    def load(self, state: Any) -> None:
        """See `Detector`."""
        self._agents = {agent: {int(hour): float(usd) for hour, usd in hours} for agent, hours in state.items()}
