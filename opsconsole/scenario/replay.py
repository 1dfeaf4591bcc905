"""A case under a policy: what it would say of each call, what the detectors would find, where the run would stop; pure.

The steps are those that were recorded: after a call that the policy refuses now, the run would have gone another way,
and what follows shows only what the policy says of the same calls. A stop is the first limit or breaker reached or
the first finding of a detector that pauses: what comes after it would have waited for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.policy.facts.memory import Memory
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.interface import Decision, Policy, Proposal, Verdict
from opsconsole.scenario.case import Message, Scenario, ToolCall, Turn
from opsconsole.scenario.detecting import Alarm, Watch
from opsconsole.scenario.masks import masked_arguments
from opsconsole.scenario.spending import Spending

HEARD = frozenset({"user", "system", "operator"})
"""Whose words may name what arguments then use; the agent's own show nothing."""


class Basis(StrEnum):
    """What a verdict was made from."""

    ARGUMENTS = "arguments"
    FACTS = "facts kept"
    NOTHING = "masked"
    """What the policy looks at was masked, and no facts were kept: nothing can be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One call, then and now."""

    step: ToolCall
    turn: int
    """Of the model, counted from 1, that it came after; 0: before any."""
    basis: Basis
    verdict: Verdict | None
    """None: it could not be judged."""
    reached: bool
    """Whether the run would have come so far."""

    @property
    def decision(self) -> Decision | None:
        """The word of the verdict."""
        return None if self.verdict is None else self.verdict.decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Where the run would have been paused until a person lets it go on."""

    turn: int
    why: str
    cost_usd: float
    """Spent until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of a case."""

    scenario: Scenario
    policy: str
    calls: tuple[Judged, ...]
    alarms: tuple[Alarm, ...]
    stop: Stop | None
    turns: int
    """Of the whole recording."""
    cost_usd: float
    """Of the whole recording, as far as prices are known."""
    left_alone: bool = False
    """The team's agent made these steps itself: it has stopped where they end."""

    @property
    def stopped_at(self) -> int | None:
        """The turn after which nothing more happened without a person; None: the recording was cut off before."""
        if self.stop is not None:
            return self.stop.turn
        return self.turns if self.left_alone or self.scenario.state else None

    @property
    def spent_usd(self) -> float:
        """Until the stop."""
        return self.cost_usd if self.stop is None else self.stop.cost_usd


class _Going:
    """The run so far."""

    def __init__(self, scenario: Scenario, policy: Policy) -> None:
        self.scenario, self.policy = scenario, policy
        self.memory = Memory()
        self.spending = Spending(scenario, policy)
        self.watch = Watch(scenario, policy)
        self.calls: list[Judged] = []
        self.stop: Stop | None = None

    def message(self, step: Message) -> None:
        if step.role in HEARD:
            self.memory.hear(step.text)
        self.watch.message(step)

    def turn(self, step: Turn) -> None:
        reached = self.spending.turn(step)
        self.watch.turn(step, self.spending.turns)
        self._stop(reached)

    def call(self, step: ToolCall) -> None:
        verdict, basis = judged(self.scenario, self.policy, step, self.memory)
        turn, reached = self.spending.turns, self.stop is None
        self.calls.append(Judged(step=step, turn=turn, basis=basis, verdict=verdict, reached=reached))
        if step.status is CallStatus.COMPLETED:
            _remember_schema(self.memory, step, step.facts if verdict is None else verdict.facts)
        if step.result:
            self.memory.hear(step.result)
        self.watch.call(step, verdict, turn)
        self._stop(self.spending.call(step) if step.kind is CallKind.TOOL_CALL else None)

    def _stop(self, reached: str | None) -> None:
        """Where a limit is reached or a detector has tripped, for the first time."""
        why = reached or (self.watch.pausing.text if self.watch.pausing else None)
        if why and self.stop is None:
            self.stop = Stop(turn=self.spending.turns, why=why, cost_usd=self.spending.cost_usd)


def replay(scenario: Scenario, policy: Policy, *, left_alone: bool = False) -> Replayed:
    """The case under the policy. Its detectors are those of its settings; a policy without any has the defaults."""
    going = _Going(scenario, policy)
    for step in scenario.steps:
        match step:
            case Message():
                going.message(step)
            case Turn():
                going.turn(step)
            case ToolCall():
                going.call(step)
    return Replayed(
        scenario=scenario,
        policy=policy.hash,
        calls=tuple(going.calls),
        alarms=tuple(going.watch.alarms),
        stop=going.stop,
        turns=going.spending.turns,
        cost_usd=going.spending.cost_usd,
        left_alone=left_alone,
    )


def _remember_schema(memory: Memory, step: ToolCall, facts: Mapping[str, Any]) -> None:
    """A query that changed a schema and succeeded: later names may be those that it made."""
    changed = any(isinstance(one, Mapping) and one.get("changes_schema") is True for one in facts.values())
    for value in step.args.values() if changed else ():
        if isinstance(value, str):
            memory.changed_schema(value)


def judged(scenario: Scenario, policy: Policy, step: ToolCall, memory: Memory) -> tuple[Verdict | None, Basis]:
    """What the policy says of a call, from its arguments where they are whole, else from the facts that were kept."""
    proposal = Proposal(
        run=scenario.run,
        agent=scenario.agent,
        call=step.id,
        kind=step.kind,
        tool=step.tool,
        args=step.args,
        read_only_claimed=step.read_only,
        risk_claimed=step.risk,
        labels=scenario.labels,
        now=scenario.started_at + step.at,
        server=step.server,
        annotations=step.annotations,
        starter=scenario.starter,
        history=replace(memory.history, tool_schema=step.schema) if step.schema else memory.history,
    )
    hidden = masked_arguments(step.args)
    if not hidden or step.kind is not CallKind.TOOL_CALL or not isinstance(policy, FilePolicy):
        return policy.judge(proposal), Basis.ARGUMENTS
    if not can_rejudge(policy, proposal, step.facts, hidden):
        return None, Basis.NOTHING
    return policy.rejudge(proposal, step.facts), Basis.FACTS


def can_rejudge(policy: FilePolicy, proposal: Proposal, facts: Mapping[str, Any], hidden: frozenset[str]) -> bool:
    """Whether everything that a rule about this call looks at is either not masked or among the facts kept.

    A fact of this policy counts as kept only where it has every field that a rule reads: the facts of another policy
    may bear the same name.
    """
    ruleset = policy.ruleset
    bound = {one.name for one in ruleset.facts if one.tools.matches(proposal.tool)}
    for rule in ruleset.rules:
        if rule.when is None or not (rule.tools.matches(proposal.tool) and rule.agents.matches(proposal.agent)):
            continue
        for path in rule.when.expression.paths:
            if path[0] == "args" and (len(path) == 1 or path[1] in hidden):
                return False
            if path[0] in bound and not _has(facts.get(path[0]), path[1:]):
                return False
    return True


def _has(kept: Any, path: tuple[str, ...]) -> bool:
    return isinstance(kept, Mapping) and (not path or path[0] in kept)
