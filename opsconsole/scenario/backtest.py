"""What a candidate policy would have made of runs of the past: verdicts, questions, stops and dollars; pure.

Counted from scenarios, one a run: calls by what the policy of then said and the candidate says, the cost after the
point where the candidate would have stopped a run, and the runs that finished well and would not have.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallKind
from opsconsole.policy.interface import Decision
from opsconsole.scenario.case import GRANTED
from opsconsole.scenario.checking import RAN
from opsconsole.scenario.replay import Basis, Judged, Replayed, Stop

SHOWN_MAX = 20
"""Stopped runs and changed rules that are named."""
SECONDS_AN_HOUR = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedRun:
    """A run that the candidate would have stopped."""

    run: str
    agent: str
    state: str
    turn: int
    turns: int
    why: str
    saved_usd: float


@dataclass(slots=True)
class Backtest:
    """The counts, run by run."""

    seconds: float
    """Of the stretch of time that is looked at."""
    since: float = 0.0
    """Unix seconds: calls before that, of runs that were under way then, are not counted."""
    runs: int = 0
    finished: int = 0
    verdicts: Counter[tuple[Decision, Decision]] = field(default_factory=Counter)
    """(then, now) of every call that could be judged."""
    changes: Counter[tuple[str, Decision, str, Decision]] = field(default_factory=Counter)
    """(rule then, its decision, rule now, its decision) of calls on which they differ."""
    granted: int = 0
    """Calls that were asked about then, and a standing grant answered."""
    from_facts: int = 0
    unjudged: int = 0
    """Calls of which nothing can be said: masked, and no facts were kept."""
    unasked: int = 0
    """Calls that no policy was asked about then: refused by the gate itself, or watched and not held."""
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    unpriced_turns: int = 0
    stopped: list[StoppedRun] = field(default_factory=list)
    refused_finished: int = 0
    """Runs that finished well although the candidate refuses a call of theirs that ran."""
    unread: int = 0
    """Runs whose timeline was not whole: what was left of it counts."""

    def add(self, replayed: Replayed) -> None:
        """One more run."""
        scenario = replayed.scenario
        self.runs += 1
        is_finished = scenario.state == RunState.COMPLETED
        self.finished += is_finished
        self.cost_usd += replayed.cost_usd
        self.unpriced_turns += sum(turn.cost_usd is None for turn in scenario.turns)
        for judged in replayed.calls:
            if scenario.started_at + judged.step.at >= self.since:
                self._count(judged)
        self.refused_finished += is_finished and any(_is_lost(judged) for judged in replayed.calls)
        if replayed.stop is not None and (replayed.stop.turn < replayed.turns or self._cuts_calls(replayed)):
            self._stop(replayed, replayed.stop)

    def _count(self, judged: Judged) -> None:
        step = judged.step
        if step.kind is not CallKind.TOOL_CALL:
            return
        if step.decision is None:
            self.unasked += 1
        elif judged.verdict is None:
            self.unjudged += 1
        else:
            now = judged.verdict.decision
            self.granted += step.answer == GRANTED
            self.from_facts += judged.basis is Basis.FACTS
            self.verdicts[step.decision, now] += 1
            if now is not step.decision:
                self.changes[step.rule, step.decision, judged.verdict.rule, now] += 1

    def _cuts_calls(self, replayed: Replayed) -> bool:
        return any(not judged.reached and judged.step.status in RAN for judged in replayed.calls)

    def _stop(self, replayed: Replayed, stop: Stop) -> None:
        scenario = replayed.scenario
        saved = replayed.cost_usd - stop.cost_usd
        self.saved_usd += saved
        self.stopped.append(
            StoppedRun(
                run=scenario.run,
                agent=scenario.agent,
                state=scenario.state,
                turn=stop.turn,
                turns=replayed.turns,
                why=stop.why,
                saved_usd=saved,
            )
        )

    # -- what it comes to ----------------------------------------------------------------------------------------------

    @property
    def hours(self) -> float:
        """At least one: three questions in a minute are no hundred and eighty an hour."""
        return max(1.0, self.seconds / SECONDS_AN_HOUR)

    @property
    def judged(self) -> int:
        """Calls with a verdict then and now."""
        return self.verdicts.total()

    def then(self, decision: Decision) -> int:
        """Calls of which the policy of then said so."""
        return sum(count for (then, _), count in self.verdicts.items() if then is decision)

    def now(self, decision: Decision) -> int:
        """Calls of which the candidate says so."""
        return sum(count for (_, now), count in self.verdicts.items() if now is decision)

    @property
    def questions(self) -> tuple[float, float]:
        """To operators, an hour, then and now; a grant holds for the policy that it was given under, and no other."""
        return (self.then(Decision.ASK) - self.granted) / self.hours, self.now(Decision.ASK) / self.hours

    @property
    def stopped_finished(self) -> list[StoppedRun]:
        """Those of the stopped runs that had finished well."""
        return [one for one in self.stopped if one.state == RunState.COMPLETED]


def json_of(found: Backtest) -> dict[str, Any]:
    """All of it."""
    return {
        "runs": found.runs,
        "finished_runs": found.finished,
        "incomplete_timelines": found.unread,
        "hours": round(found.seconds / SECONDS_AN_HOUR, 3),
        "calls": {
            "judged": found.judged,
            "from_kept_facts": found.from_facts,
            "not_judged": found.unjudged,
            "not_asked_then": found.unasked,
        },
        "then": {str(one): found.then(one) for one in Decision},
        "now": {str(one): found.now(one) for one in Decision},
        "verdicts": [
            {"then": str(then), "now": str(now), "calls": count}
            for (then, now), count in sorted(found.verdicts.items())
        ],
        "changes": [
            {"rule_then": rule, "then": str(then), "rule_now": by, "now": str(now), "calls": count}
            for (rule, then, by, now), count in found.changes.most_common()
        ],
        "questions_per_hour": {"then": round(found.questions[0], 3), "now": round(found.questions[1], 3)},
        "cost_usd": round(found.cost_usd, 6),
        "saved_usd": round(found.saved_usd, 6),
        "turns_without_price": found.unpriced_turns,
        "stopped_runs": [asdict(one) | {"saved_usd": round(one.saved_usd, 6)} for one in found.stopped],
        "finished_runs_stopped": len(found.stopped_finished),
        "finished_runs_with_a_call_refused": found.refused_finished,
    }


def _is_lost(judged: Judged) -> bool:
    return judged.decision is Decision.DENY and judged.step.status in RAN
