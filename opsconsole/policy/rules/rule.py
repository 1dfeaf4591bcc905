"""The rules of one policy as values; how they are tried is told elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from types import MappingProxyType

from opsconsole.domain.tool_call import Risk
from opsconsole.policy.facts.interface import Fact
from opsconsole.policy.interface import Decision, Escalation, Quorum
from opsconsole.policy.rules.engine import Program, Variables
from opsconsole.policy.rules.hours import Hours
from opsconsole.policy.rules.pattern import EVERY, Pattern

BASE_VARIABLES: Mapping[str, str] = {
    "args": "json",
    "tool.name": "str",
    "tool.server": "str",
    "tool.mcp": "bool",
    "tool.trusted": "bool",
    "tool.read_only": "bool",
    "tool.destructive": "bool",
    "tool.idempotent": "bool",
    "tool.open_world": "bool",
    "run.agent": "str",
    "run.starter": "str",
    "run.labels": "texts",
}
"""What every rule can look at, beside the policy's own facts and hours."""

STRICTNESS = {Decision.ALLOW: 0, Decision.ASK: 1, Decision.DENY: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How people are asked; nothing that time does allows a call."""

    quorum: Quorum
    timeout_seconds: float
    may_edit: bool = True
    not_by: tuple[str, ...] = ()
    remind_seconds: float | None = None
    escalation: Escalation | None = None
    is_default: bool = False
    """Whether the rule leaves it to the policy's defaults: then it is content with whomever another rule asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What happens to the calls that it matches; without an expression it matches by the names alone."""

    id: str
    decision: Decision
    risk: Risk
    ask: Ask
    reason: str = ""
    tools: Pattern = EVERY
    agents: Pattern = EVERY
    when: Program | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What happens where no rule matches, and where one cannot be evaluated."""

    decision: Decision
    risk: Risk
    on_error: Decision
    ask: Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundFact:
    """A fact under the name by which rules read it, for the tools whose arguments it understands."""

    name: str
    tools: Pattern
    fact: Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """Everything that a verdict depends on, besides the proposal."""

    rules: tuple[Rule, ...]
    defaults: Defaults
    facts: tuple[BoundFact, ...]
    hours: Mapping[str, Hours]
    zone: tzinfo
    trusted_servers: frozenset[str]
    variables: Variables
    args_read: frozenset[str] | None
    """The arguments that expressions look at; None: any of them."""
    names_read: Mapping[str, frozenset[str]]
    """What expressions look at below each root name, as `flag` of `sql.flag`; the engine is given nothing else."""


def args_read(rules: tuple[Rule, ...]) -> frozenset[str] | None:
    """The first-level names of arguments that the rules' expressions read; None when one reads them all."""
    found: set[str] = set()
    for rule in rules:
        for path in rule.when.expression.paths if rule.when else ():
            if path[0] == "args":
                if len(path) == 1:
                    return None
                found.add(path[1])
    return frozenset(found)


def names_read(rules: tuple[Rule, ...]) -> Mapping[str, frozenset[str]]:
    """The names below each root that the rules' expressions read; for a root that is read as a whole none."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        for path in rule.when.expression.paths if rule.when else ():
            found.setdefault(path[0], set()).update(path[1:2])
    return MappingProxyType({root: frozenset(names) for root, names in found.items()})
