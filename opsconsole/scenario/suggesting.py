"""What a case should hold to by itself, from what happened in it: a beginning for whoever edits the file; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallKind
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision
from opsconsole.policy.rules.pattern import Pattern
from opsconsole.scenario.case import NO_WEAKER, Claim, Expectation, Scenario, ToolCall
from opsconsole.scenario.checking import RAN
from opsconsole.scenario.replay import Replayed, replay

TOOLS_MAX = 20
"""Of each kind of expectation about calls."""
HEADROOM = 1.05
"""Of the cost: prices are floats, and a cent more is no incident."""


def suggested(scenario: Scenario) -> tuple[Expectation, ...]:
    """Expectations that the recording itself meets, under a policy that judges as the one of then.

    Of a run that did not finish well: that it stops where the detectors would have stopped it.
    """
    calls = [one for one in scenario.calls if one.kind is CallKind.TOOL_CALL and _is_name(one.tool)]
    found = replay(scenario, DefaultPolicy())
    if scenario.state == RunState.COMPLETED:
        found = replace(found, stop=None)
    return (*_verdicts(calls), *_asked(calls), *_never(calls), *_stops(found), *_costs(found), *_alarms(found))


def _is_name(tool: str) -> bool:
    """Whether a tool's name, as a pattern, means that tool and no other."""
    try:
        return Pattern.parse(tool).alternatives == (tool,) and "*" not in tool
    except ValueError:
        return False


def _verdicts(calls: list[ToolCall]) -> Iterator[Expectation]:
    if any(call.decision for call in calls):
        yield Expectation(claim=Claim.VERDICTS, value=NO_WEAKER)


def _asked(calls: list[ToolCall]) -> Iterator[Expectation]:
    """Tools of which every call was asked about or refused."""
    said: dict[str, set[Decision | None]] = {}
    for call in calls:
        said.setdefault(call.tool, set()).add(call.decision)
    strict = [tool for tool, decisions in said.items() if not decisions & {Decision.ALLOW, None}]
    for tool in strict[:TOOLS_MAX]:
        claim = Claim.DENIES if said[tool] == {Decision.DENY} else Claim.ASKS_BEFORE
        yield Expectation(claim=claim, value=tool)


def _never(calls: list[ToolCall]) -> Iterator[Expectation]:
    """What the policy or a person refused, after the tool that had run before it."""
    found: dict[tuple[str, str], None] = {}
    before = ""
    for call in calls:
        is_refused = call.decision is Decision.DENY or call.answer == "reject"
        if is_refused and before and before != call.tool:
            found[call.tool, before] = None
        if call.status in RAN:
            before = call.tool
    for tool, after in list(found)[:TOOLS_MAX]:
        yield Expectation(claim=Claim.NEVER_CALLS, value=tool, after=after)


def _stops(found: Replayed) -> Iterator[Expectation]:
    turn = found.stopped_at
    if turn and not found.scenario.steps_left_out:
        yield Expectation(claim=Claim.STOPS_BY_TURN, value=turn)


def _costs(found: Replayed) -> Iterator[Expectation]:
    if found.spent_usd > 0:
        digits = max(2, 1 - math.floor(math.log10(found.spent_usd)))
        most = math.ceil(found.spent_usd * HEADROOM * 10**digits) / 10**digits
        yield Expectation(claim=Claim.COSTS_AT_MOST, value=most)


def _alarms(found: Replayed) -> Iterator[Expectation]:
    first: dict[str, int] = {}
    for alarm in found.alarms:
        first.setdefault(alarm.detector, alarm.turn)
    for detector, turn in first.items():
        yield Expectation(claim=Claim.DETECTS, value=detector, by_turn=turn or None)
