"""`[[expect]]`: cases that the file itself states, read and run against a policy that is given; it judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.file.table import Table
from opsconsole.policy.interface import Decision, Proposal, Verdict
from opsconsole.policy.normalise import NotNormal, normalise

EXPECTATIONS_MAX = 1_000
NOON = (2026, 1, 7, 12)
"""When a case says no time: a Wednesday at noon in the policy's time zone."""


YEARS = range(1971, 3000)
"""Whose every moment every time zone can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One call and what the policy should say of it; None: anything."""

    number: int
    line: int | None
    proposal: Proposal
    decision: Decision
    name: str = ""
    rule: str | None = None
    risk: Risk | None = None
    approvers: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one expectation."""

    expectation: Expectation
    verdict: Verdict
    differences: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """What was not as expected: name -> (expected, found); empty when it passed."""

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.differences


def read_expectation(table: Table, number: int, line: int | None, zone: tzinfo, rules: frozenset[str]) -> Expectation:
    """One case."""
    table.require("tool", "decision")
    found = Expectation(
        number=number,
        line=line,
        name=table.text("name"),
        decision=table.word("decision", Decision, Decision.DENY),
        rule=_rule(table, rules),
        risk=table.word("risk", Risk, Risk.LOW) if table.has("risk") else None,
        approvers=table.whole("approvers", 1) if table.has("approvers") else None,
        group=table.text("from") if table.has("from") else None,
        proposal=Proposal(
            run="run_expected",
            agent=table.text("agent", "agent"),
            call="call_expected",
            kind=CallKind.TOOL_CALL,
            tool=table.text("tool"),
            args=_args(table),
            labels=_labels(table),
            now=_moment(table, zone),
            server=table.text("server") if table.has("server") else None,
            annotations=table.table("annotations").values,
            starter=table.text("starter") if table.has("starter") else None,
            history=NO_HISTORY,
        ),
    )
    table.close()
    return found


def run_expectations(cases: Iterable[Expectation], judge: Callable[[Proposal], Verdict]) -> tuple[Outcome, ...]:
    """Every case, in the order of the file."""
    return tuple(_outcome(case, judge(case.proposal)) for case in cases)


def _outcome(case: Expectation, verdict: Verdict) -> Outcome:
    group = verdict.quorums[0].group if verdict.quorums else None
    approvers = verdict.approvers if verdict.decision is Decision.ASK else None
    pairs = {
        "decision": (case.decision, verdict.decision),
        "rule": (case.rule, verdict.rule),
        "risk": (case.risk, verdict.risk),
        "approvers": (case.approvers, approvers),
        "from": (case.group, group),
    }
    wrong = {name: (str(one), str(other)) for name, (one, other) in pairs.items() if one is not None and one != other}
    return Outcome(expectation=case, verdict=verdict, differences=wrong)


def _rule(table: Table, rules: frozenset[str]) -> str | None:
    if not table.has("rule"):
        return None
    name = table.text("rule")
    if name not in rules and not name.startswith("policy:"):
        table.add("rule", f"no rule of this file is called {name}")
    return name


def _args(table: Table) -> Mapping[str, Any]:
    """The arguments as JSON would carry them: a case about what JSON cannot carry is not one of an agent's."""
    values = table.table("args").values
    try:
        normalise(values)
    except NotNormal as error:
        if "no JSON value" in str(error):
            table.add("args", str(error))
    return values


def _labels(table: Table) -> dict[str, str]:
    labels = table.table("labels")
    return {name: labels.text(name) for name in labels.values}


def _moment(table: Table, zone: tzinfo) -> float:
    at = table.raw("at")
    if at is None:
        return datetime(*NOON, tzinfo=zone).timestamp()
    if not isinstance(at, datetime) or at.year not in YEARS:
        table.add("at", "give a date and time of these centuries, such as 2026-11-22T10:00:00+01:00")
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
