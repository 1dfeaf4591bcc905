"""What came of cases, as text for people and as JSON for programs; every word from a run is made safe to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.text import safe_line
from opsconsole.scenario.checking import Checked, arguments_text, check
from opsconsole.scenario.replay import Basis, Judged, Replayed

CALL_CHARS = 100
"""Of a call's arguments on one line."""
TEXT_CHARS = 400
HASH_CHARS = 15
CALLS_SHOWN_MAX = 200
"""Of one case, in text; JSON has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """One case, held against its expectations."""

    path: str
    replayed: Replayed
    checked: tuple[Checked, ...]

    @property
    def passed(self) -> bool:
        """Whether all of them hold."""
        return all(one.passed for one in self.checked)

    @property
    def changed(self) -> tuple[Judged, ...]:
        """Calls of which the policy says something else than was recorded."""
        return tuple(one for one in self.replayed.calls if one.step.decision and one.decision not in (None, _then(one)))

    @property
    def unjudged(self) -> int:
        """Calls of which nothing can be said: masked, and no facts kept."""
        return sum(one.basis is Basis.NOTHING for one in self.replayed.calls)


def report_on(path: str, replayed: Replayed) -> CaseReport:
    """The report on one case."""
    return CaseReport(path=path, replayed=replayed, checked=check(replayed))


def _then(judged: Judged) -> object:
    return judged.step.decision


# -- text --------------------------------------------------------------------------------------------------------------


def text_of(report: CaseReport, *, verbose: bool = False) -> str:
    """A line, and below it what failed and which verdicts changed; everything, where `verbose`."""
    return "\n".join(_lines(report, verbose))


def _lines(report: CaseReport, verbose: bool) -> Iterator[str]:
    word = "ok  " if report.passed else "FAIL"
    yield f"{word} {safe_line(report.path)}: {_summary(report)}"
    for one in report.checked:
        if one.passed and not verbose:
            continue
        yield f"  {'ok  ' if one.passed else 'FAIL'} {expectation_text(one)}"
        yield from difference_lines(one)
    changed = set(map(id, report.changed))
    shown = [one for one in report.replayed.calls if verbose or (id(one) in changed and not report.passed)]
    if shown:
        yield "  verdicts, recorded -> now"
        yield from (_call_line(one, id(one) in changed) for one in shown[:CALLS_SHOWN_MAX])
    if len(shown) > CALLS_SHOWN_MAX:
        yield f"    … {len(shown) - CALLS_SHOWN_MAX} more"
    if verbose:
        yield from (f"  alarm at turn {one.turn}: {safe_line(one.text)}" for one in report.replayed.alarms)


def expectation_text(checked: Checked) -> str:
    """The expectation in words, with its line."""
    line = checked.expectation.line
    return safe_line(str(checked.expectation)) + (f" (line {line})" if line else "")


def difference_lines(checked: Checked) -> Iterator[str]:
    """Each difference: where, what was expected, what was found and why."""
    for difference in checked.differences:
        judged = difference.judged
        yield f"      {difference.where}{f' {_arguments(judged)}' if judged else ''}"
        yield f"        - expected  {safe_line(difference.expected)}"
        yield f"        + actual    {safe_line(difference.actual)}"
        if judged and judged.verdict and judged.verdict.reason:
            yield f"                    {safe_line(judged.verdict.reason, limit=TEXT_CHARS)}"


def _summary(report: CaseReport) -> str:
    replayed = report.replayed
    parts = [f"{sum(one.passed for one in report.checked)} of {len(report.checked)} expectations hold"]
    parts += [_counted(replayed.turns, "turn"), _counted(len(replayed.calls), "call"), f"${replayed.cost_usd:.4f}"]
    if replayed.stop:
        parts.append(f"stopped at turn {replayed.stop.turn} ({safe_line(replayed.stop.why)})")
    parts += [f"{_counted(len(report.changed), 'verdict')} changed"] if report.changed else []
    parts += [f"{_counted(report.unjudged, 'call')} could not be judged (masked)"] if report.unjudged else []
    return ", ".join(parts)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _call_line(judged: Judged, changed: bool) -> str:
    step = judged.step
    then = f"{step.decision} by {step.rule}" if step.decision else "none"
    now = f"{judged.verdict.decision} by {judged.verdict.rule}" if judged.verdict else "not known (masked)"
    verdicts = safe_line(f"{then} -> {now}" if changed or then != now else now)
    place = f"turn {judged.turn}{'' if judged.reached else ', not reached'}"
    return f"   {'*' if changed else ' '} {place}: {safe_line(step.tool)} {_arguments(judged)}: {verdicts}"


def _arguments(judged: Judged) -> str:
    return safe_line(arguments_text(judged.step.args), limit=CALL_CHARS)


# -- JSON --------------------------------------------------------------------------------------------------------------


def json_of(report: CaseReport) -> dict[str, Any]:
    """The whole report."""
    replayed = report.replayed
    stop = replayed.stop
    return {
        "case": report.path,
        "ok": report.passed,
        "policy": replayed.policy,
        "turns": replayed.turns,
        "cost_usd": round(replayed.cost_usd, 6),
        "stop": {"turn": stop.turn, "why": stop.why, "cost_usd": round(stop.cost_usd, 6)} if stop else None,
        "unjudged": report.unjudged,
        "expectations": [_expectation_json(one) for one in report.checked],
        "calls": [_call_json(one) for one in replayed.calls],
        "alarms": [
            {"detector": one.detector, "pauses": one.pauses, "text": one.text, "turn": one.turn}
            for one in replayed.alarms
        ],
    }


def _expectation_json(checked: Checked) -> dict[str, Any]:
    return {
        "expectation": str(checked.expectation),
        "line": checked.expectation.line,
        "ok": checked.passed,
        "differences": [
            {"where": one.where, "expected": one.expected, "actual": one.actual} for one in checked.differences
        ],
    }


def _call_json(judged: Judged) -> dict[str, Any]:
    step, verdict = judged.step, judged.verdict
    return {
        "turn": judged.turn,
        "call": step.id,
        "tool": step.tool,
        "args": step.args,
        "recorded": {"decision": step.decision, "rule": step.rule} if step.decision else None,
        "now": {"decision": verdict.decision, "rule": verdict.rule, "reason": verdict.reason} if verdict else None,
        "basis": str(judged.basis),
        "reached": judged.reached,
    }


def totals(reports: Sequence[CaseReport]) -> str:
    """The last line."""
    failed = sum(not one.passed for one in reports)
    held = sum(one.passed for report in reports for one in report.checked)
    every = sum(len(report.checked) for report in reports)
    cases = f"{len(reports)} case{'' if len(reports) == 1 else 's'}"
    return f"{cases}, {failed} failed; {held} of {every} expectations hold"
