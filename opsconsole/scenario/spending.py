"""What one run of a case spends, against the policy's limits and breakers; each counts this run alone."""

from __future__ import annotations

from collections.abc import Iterable

from opsconsole.policy.breakers import Amount, Breakers, Note, Notice, Subject
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.interface import Policy, Spent, tripped
from opsconsole.scenario.case import Scenario, ToolCall, Turn


class Spending:
    """The run so far."""

    def __init__(self, scenario: Scenario, policy: Policy) -> None:
        self.turns = 0
        self.cost_usd = 0.0
        """As far as prices are known."""
        self._tokens = 0
        self._run = scenario.run or "run"
        self._began = scenario.started_at
        self._limits = policy.limits(scenario.agent, scenario.labels)
        self._breakers = Breakers(policy.breakers if isinstance(policy, FilePolicy) else ())
        self._breakers.started(
            Subject(run=self._run, agent=scenario.agent, labels=scenario.labels, started_at=scenario.started_at)
        )

    def turn(self, step: Turn) -> str | None:
        """Counts an answer of the model; what it has reached, in words, or None."""
        tokens = step.input_tokens + step.output_tokens
        self.turns += 1
        self._tokens += tokens
        self.cost_usd += step.cost_usd or 0.0
        spent = Spent(cost_usd=self.cost_usd, turns=self.turns, tokens=self._tokens)
        if reached := tripped(spent, self._limits):
            return f"limit: {reached}"
        at = self._began + step.at
        used = Amount(cost_usd=step.cost_usd, turns=1, tokens=tokens)
        return _trip([*self._breakers.use(self._run, used, at), *self._breakers.tick(at)])

    def call(self, step: ToolCall) -> str | None:
        """Counts a tool call, as `turn`."""
        at = self._began + step.at
        used = Amount(tool_calls=1)
        return _trip([*self._breakers.use(self._run, used, at, step.tool), *self._breakers.tick(at)])


def _trip(notices: Iterable[Notice]) -> str | None:
    return next((f"breaker {one.breaker}: {one.text}" for one in notices if one.note is Note.TRIP), None)
