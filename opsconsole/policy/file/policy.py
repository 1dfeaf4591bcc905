"""A loaded policy file: a value that judges by its rules, tells why, and never changes; loading it is elsewhere."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from opsconsole.policy.file.expectations import Expectation, Outcome, run_expectations
from opsconsole.policy.file.settings import BreakerRule, DetectorSettings
from opsconsole.policy.interface import Decision, Limits, Proposal, Verdict
from opsconsole.policy.rules.engine import Failed
from opsconsole.policy.rules.rule import Ruleset
from opsconsole.policy.rules.weigh import Result, weigh

DIFF_LINES_MAX = 400
"""Of a change that is told in the record; the hashes stand for the rest."""

Tried = Literal["matched", "not matched", "failed", "not about this"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTried:
    """What one rule said of one call."""

    id: str
    decision: Decision
    outcome: Tried
    when: str
    why: str = ""
    """Why it could not be evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A verdict, every rule of the file in its order, and the facts they looked at."""

    verdict: Verdict
    rules: tuple[RuleTried, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePolicy:
    """Implements `policy.interface.Policy`; equal when the hash is."""

    name: str
    text: str
    hash: str
    """Digest of everything that decides: the parsed file without its cases, and the files it names."""
    ruleset: Ruleset
    breakers: tuple[BreakerRule, ...]
    detectors: DetectorSettings
    expectations: tuple[Expectation, ...]
    run_limits: Limits
    """What holds where no breaker per run says otherwise."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FilePolicy) and other.hash == self.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def judge(self, proposal: Proposal) -> Verdict:
        """The strictest of everything that matches."""
        return weigh(self.ruleset, proposal).verdict

    def rejudge(self, proposal: Proposal, facts: Mapping[str, Any]) -> Verdict:
        """The verdict on a call of the past, by the facts that were kept with its verdict then."""
        return weigh(self.ruleset, proposal, facts).verdict

    @property
    def has_facts(self) -> bool:
        """Whether anything is worked out that may need a run's history."""
        return bool(self.ruleset.facts)

    def schema_change(self, tool: str, args: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
        """The SQL of a call that changes a schema by the facts of its verdict, else None."""
        for bound in self.ruleset.facts:
            known = facts.get(bound.name)
            if isinstance(known, Mapping) and known.get("changes_schema") is True and bound.tools.matches(tool):
                text = args.get(str(getattr(bound.fact, "arg", "")))
                return text if isinstance(text, str) else None
        return None

    def limits(self, agent: str, labels: Mapping[str, str]) -> Limits:
        """The lowest of each kind among the breakers per run that are about this agent and its labels."""
        about = [one.trip for one in self.breakers if one.scope == "run" and _is_about(one, agent, labels)]
        lowest = {name: min((t[name] for t in about if name in t), default=None) for name in _LIMITED}
        cost, turns, tokens = (lowest[name] for name in _LIMITED)
        return Limits(
            cost_usd=self.run_limits.cost_usd if cost is None else cost,
            turns=self.run_limits.turns if turns is None else int(turns),
            tokens=self.run_limits.tokens if tokens is None else int(tokens),
        )

    def explain(self, proposal: Proposal) -> Explanation:
        """The verdict on the proposal with all that led to it."""
        weighed = weigh(self.ruleset, proposal)
        tried = tuple(
            RuleTried(
                id=rule.id,
                decision=rule.decision,
                outcome=_outcome(result),
                when=rule.when.expression.text if rule.when else "",
                why=result.why if isinstance(result, Failed) else "",
            )
            for rule, result in weighed.results
        )
        return Explanation(verdict=weighed.verdict, rules=tried, facts=weighed.verdict.facts)

    @property
    def passes_turns(self) -> bool:
        """Turns are limited by what they use, not by what they ask."""
        return True

    def test(self) -> tuple[Outcome, ...]:
        """What came of each `[[expect]]` of the file."""
        return run_expectations(self.expectations, self.judge)


_LIMITED = ("cost_usd", "turns", "tokens")


class Written(Protocol):
    """A policy's text and what identifies it."""

    @property
    def hash(self) -> str: ...
    @property
    def text(self) -> str: ...


def diff(old: Written | None, new: FilePolicy) -> str:
    """The change as a unified diff of the texts, at most `DIFF_LINES_MAX` lines; empty when the texts are equal."""
    before = old.text if old else ""
    names = (old.hash if old else "none", new.hash)
    lines = list(difflib.unified_diff(before.splitlines(), new.text.splitlines(), *names, lineterm="", n=2))
    left_out = len(lines) - DIFF_LINES_MAX
    if left_out > 0:
        lines[DIFF_LINES_MAX:] = [f"… {left_out} more lines"]
    return "\n".join(lines)


def _is_about(breaker: BreakerRule, agent: str, labels: Mapping[str, str]) -> bool:
    name, has_value, value = (breaker.label or "").partition("=")
    is_labelled = not name or (name in labels and (not has_value or labels[name] == value))
    return breaker.agent.matches(agent) and is_labelled


def _outcome(result: Result) -> Tried:
    if result is None:
        return "not about this"
    if isinstance(result, Failed):
        return "failed"
    return "matched" if result else "not matched"
