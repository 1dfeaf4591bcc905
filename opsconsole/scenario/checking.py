"""Holds what came of a case against what must hold of it; it replays nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.policy.interface import Decision
from opsconsole.policy.rules.pattern import Pattern
from opsconsole.policy.rules.rule import STRICTNESS
from opsconsole.scenario.case import NO_WEAKER, Claim, Expectation
from opsconsole.scenario.replay import Judged, Replayed

CENT = 1e-9
"""US dollars by which sums of prices may differ from what a person writes."""
RAN = frozenset({CallStatus.RUNNING, CallStatus.COMPLETED, CallStatus.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that was to be, and what is."""

    where: str
    expected: str
    actual: str
    judged: Judged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One expectation and what contradicts it."""

    expectation: Expectation
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return not self.differences


def check(replayed: Replayed) -> tuple[Checked, ...]:
    """Every expectation of the case, in its order."""
    return tuple(
        Checked(expectation=one, differences=tuple(_CHECKS[one.claim](one, replayed)))
        for one in replayed.scenario.expectations
    )


def runs_alone(judged: Judged) -> bool:
    """Whether a call would run without anybody being asked, or may: nobody knows what is masked."""
    return judged.reached and judged.decision in (Decision.ALLOW, None)


def name_of(judged: Judged) -> str:
    """The call as a person finds it in the case."""
    return f"turn {judged.turn}, {judged.step.tool}"


# -- calls -------------------------------------------------------------------------------------------------------------


def _about(expectation: Expectation, replayed: Replayed) -> Iterator[Judged]:
    pattern, wanted = Pattern.parse(str(expectation.value)), expectation.matching.casefold()
    for judged in replayed.calls:
        step = judged.step
        is_about = step.kind is CallKind.TOOL_CALL and pattern.matches(step.tool)
        if is_about and wanted in arguments_text(step.args).casefold():
            yield judged


def arguments_text(args: Mapping[str, object]) -> str:
    """What `matching` looks through."""
    return json.dumps(args, ensure_ascii=False)


def _asks(expectation: Expectation, replayed: Replayed) -> Iterator[Difference]:
    yield from _none_was(expectation, replayed, "ask or deny", lambda found: found is Decision.ALLOW)


def _denies(expectation: Expectation, replayed: Replayed) -> Iterator[Difference]:
    yield from _none_was(expectation, replayed, "deny", lambda found: found is not Decision.DENY)


def _none_was(
    expectation: Expectation, replayed: Replayed, expected: str, is_wrong: Callable[[Decision | None], bool]
) -> Iterator[Difference]:
    """An agent that never came to the call has nothing to be asked about; one whose arguments are hidden has."""
    for judged in _about(expectation, replayed):
        if judged.decision is None or is_wrong(judged.decision):
            yield Difference(where=name_of(judged), expected=expected, actual=_verdict(judged), judged=judged)


def _never_calls(expectation: Expectation, replayed: Replayed) -> Iterator[Difference]:
    after = Pattern.parse(expectation.after) if expectation.after else None
    wrong = {id(one) for one in _about(expectation, replayed)}
    has_begun = after is None
    for judged in replayed.calls:
        runs = judged.step.status in RAN if replayed.left_alone else runs_alone(judged)
        if has_begun and runs and id(judged) in wrong:
            actual = "it ran" if replayed.left_alone else _verdict(judged)
            yield Difference(where=name_of(judged), expected="no such call unasked", actual=actual, judged=judged)
        if after is not None and judged.reached and judged.step.status in RAN and after.matches(judged.step.tool):
            has_begun = True


def _verdict(judged: Judged) -> str:
    if judged.verdict is None:
        return "not known: its arguments are masked"
    return f"{judged.verdict.decision} by {judged.verdict.rule}"


def _verdicts(expectation: Expectation, replayed: Replayed) -> Iterator[Difference]:
    """Calls without a verdict, then or now, are not compared; the report counts them."""
    is_exact = expectation.value != NO_WEAKER
    for judged in replayed.calls:
        then, now = judged.step.decision, judged.decision
        if then is None or now is None or then is now:
            continue
        if is_exact or STRICTNESS[now] < STRICTNESS[then]:
            expected = f"{then} by {judged.step.rule}" if judged.step.rule else str(then)
            yield Difference(where=name_of(judged), expected=expected, actual=_verdict(judged), judged=judged)


# -- the run -----------------------------------------------------------------------------------------------------------


def _stops(expectation: Expectation, replayed: Replayed) -> Iterator[Difference]:
    stopped = replayed.stopped_at
    if stopped is None or stopped > float(expectation.value):
        actual = f"went on to turn {replayed.turns}" if stopped is None else f"stopped at turn {stopped}"
        yield Difference(where="run", expected=f"stopped by turn {expectation.value}", actual=actual)


def _costs(expectation: Expectation, replayed: Replayed) -> Iterator[Difference]:
    if replayed.spent_usd > float(expectation.value) + CENT:
        expected = f"at most ${float(expectation.value):.4f}"
        yield Difference(where="run", expected=expected, actual=f"${replayed.spent_usd:.4f}")


def _detects(expectation: Expectation, replayed: Replayed) -> Iterator[Difference]:
    found = [alarm for alarm in replayed.alarms if alarm.detector == expectation.value]
    first = min((alarm.turn for alarm in found), default=None)
    if first is None or (expectation.by_turn is not None and first > expectation.by_turn):
        by = f" by turn {expectation.by_turn}" if expectation.by_turn else ""
        actual = "no alarm" if first is None else f"an alarm at turn {first}"
        yield Difference(where="run", expected=f"an alarm of {expectation.value}{by}", actual=actual)


_CHECKS: Mapping[Claim, Callable[[Expectation, Replayed], Iterator[Difference]]] = {
    Claim.ASKS_BEFORE: _asks,
    Claim.DENIES: _denies,
    Claim.NEVER_CALLS: _never_calls,
    Claim.STOPS_BY_TURN: _stops,
    Claim.COSTS_AT_MOST: _costs,
    Claim.DETECTS: _detects,
    Claim.VERDICTS: _verdicts,
}
