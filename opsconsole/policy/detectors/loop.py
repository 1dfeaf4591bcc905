"""Loop of doom: an agent that does the same again and gets the same again; asking the same of a poll is none.

Of the agent's last `window` calls in a run:

same call, same outcome       `warn` times: warn; `trip` times: trip
a pattern of 2 to 4 calls     three times over: trip
same tool, same failure       twice `trip`, whatever the arguments: trip
failures in a row             twice `trip`: trip
same call, refused by us      `trip` times: trip; a refusal is no outcome and breaks no streak
a poll, same outcome          for `POLL_WARN_SECONDS`: warn; for `POLL_TRIP_SECONDS`: trip
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import kept, put
from opsconsole.policy.detectors.finding import NOTHING, Finding, Severity
from opsconsole.policy.detectors.observation import CallEnded, Seen
from opsconsole.policy.detectors.outcome import digest_of
from opsconsole.policy.file.settings import LoopSettings

PERIODS = (2, 3, 4)
TIMES = 3
"""How often a pattern has to be seen."""
POLL_WARN_SECONDS = 600.0
POLL_TRIP_SECONDS = 1_800.0
"""Half an hour in which what is polled does not change at all: nobody works on it."""
FAILURES_A_TRIP = 2
"""Who fails with other arguments each time still searches: so many times more of that than of the same call."""
AGENTS_MAX = 64
"""Of one run, each with a window of its own."""
DIGEST = "Q"
"""Its type in an array: windows lie in one piece, as a thousand runs' are read in turn."""
POLLS_MAX = 32


@dataclass(slots=True)
class _Window:
    """One agent's last calls."""

    calls: array[int] = field(default_factory=lambda: array(DIGEST))
    failures: array[int] = field(default_factory=lambda: array(DIGEST))
    """As long as `calls`: what identifies a failure, or 0."""
    refused: array[int] = field(default_factory=lambda: array(DIGEST))
    in_a_row: int = 0
    """Failures."""
    polls: dict[str, tuple[int, float]] = field(default_factory=dict)
    """What is polled -> its outcome, and since when it is that."""


class Loop:
    """One run's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (CallEnded,)

    def __init__(self, settings: LoopSettings) -> None:
        self.settings = settings
        self._agents: dict[str, _Window] = {}

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at calls that are over."""
        assert isinstance(seen, CallEnded)
        window = kept(self._agents, seen.agent, _Window, AGENTS_MAX)
        if seen.denied_by_console:
            return self._refused(seen, window)
        if self.settings.poll is not None and self.settings.poll.matches(seen.tool):
            return self._polled(seen, window)
        call = digest_of(seen.tool, seen.args_digest) ^ seen.outcome.digest
        failure = 0 if seen.ok else digest_of(seen.tool) ^ seen.outcome.digest | 1
        self._push(window.calls, call)
        self._push(window.failures, failure)
        window.in_a_row = 0 if seen.ok else window.in_a_row + 1
        again = self._again(seen, window, call)
        if again and again[0].severity is Severity.TRIP:
            return again
        return self._failing(seen, window, failure) or again

    def _push(self, calls: array[int], call: int) -> None:
        calls.append(call)
        if len(calls) > self.settings.window:
            del calls[: len(calls) - self.settings.window]

    def _again(self, seen: CallEnded, window: _Window, call: int) -> Sequence[Finding]:
        times = window.calls.count(call)
        if times < 2:
            return NOTHING
        evidence = {"rule": "same call", "times": times, "of": len(window.calls)}
        if times >= self.settings.trip:
            return self._found(seen, Severity.TRIP, f"{_times(times)} with the same outcome", call, evidence)
        if period := _period(window.calls):
            text = f"a pattern of {period} calls, {TIMES} times over"
            return self._found(seen, Severity.TRIP, text, call, {"rule": "pattern", "period": period})
        if times >= self.settings.warn:
            return self._found(seen, Severity.WARN, f"{_times(times)} with the same outcome", call, evidence)
        return NOTHING

    def _failing(self, seen: CallEnded, window: _Window, failure: int) -> Sequence[Finding]:
        if not failure:
            return NOTHING
        times = window.failures.count(failure)
        enough = FAILURES_A_TRIP * self.settings.trip
        if times >= enough:
            text = f"failed {times} times in the same way, of {len(window.failures)} calls"
            evidence = {"rule": "same failure", "times": times, "of": len(window.failures)}
            return self._found(seen, Severity.TRIP, text, failure, evidence)
        if window.in_a_row >= enough:
            text = f"{window.in_a_row} calls failed in a row"
            evidence = {"rule": "failures in a row", "times": window.in_a_row}
            return self._found(seen, Severity.TRIP, text, 0, evidence)
        return NOTHING

    def _refused(self, seen: CallEnded, window: _Window) -> Sequence[Finding]:
        call = digest_of(seen.tool, seen.args_digest)
        self._push(window.refused, call)
        times = window.refused.count(call)
        if times < self.settings.trip:
            return NOTHING
        evidence = {"rule": "refused", "times": times, "of": len(window.refused)}
        return self._found(seen, Severity.TRIP, f"{_times(times)} although it is refused", call, evidence)

    def _polled(self, seen: CallEnded, window: _Window) -> Sequence[Finding]:
        poll = f"{digest_of(seen.tool, seen.args_digest):x}"
        outcome, since = window.polls.get(poll, (0, seen.at))
        if outcome != seen.outcome.digest:
            put(window.polls, poll, (seen.outcome.digest, seen.at), POLLS_MAX)
            return NOTHING
        lasted = seen.at - since
        if lasted < POLL_WARN_SECONDS:
            return NOTHING
        severity = Severity.TRIP if lasted >= POLL_TRIP_SECONDS else Severity.WARN
        text = f"polled for {lasted / 60:.0f} min without a change"
        return self._found(seen, severity, text, outcome, {"rule": "poll", "seconds": round(lasted)})

    def _found(
        self, seen: CallEnded, severity: Severity, text: str, what: int, evidence: dict[str, Any]
    ) -> Sequence[Finding]:
        return (
            Finding(
                detector="loop",
                severity=severity,
                text=f"loop: {seen.tool} {text}",
                key=f"loop:{seen.run}:{seen.agent}:{what:x}",
                runs=(seen.run,),
                agents=(seen.agent,),
                evidence={"tool": seen.tool, "call": seen.call} | evidence,
            ),
        )

    def dump(self) -> Any:
        """Digests only: no arguments and no outcomes."""
        return {
            agent: [list(one.calls), list(one.failures), list(one.refused), one.in_a_row, one.polls]
            for agent, one in self._agents.items()
        }

    def load(self, state: Any) -> None:
        """See `Detector`."""
        for agent, (calls, failures, refused, in_a_row, polls) in state.items():
            self._agents[agent] = _Window(
                calls=array(DIGEST, map(int, calls)),
                failures=array(DIGEST, map(int, failures)),
                refused=array(DIGEST, map(int, refused)),
                in_a_row=int(in_a_row),
                polls={poll: (int(outcome), float(since)) for poll, (outcome, since) in polls.items()},
            )


def _period(calls: array[int]) -> int:
    """The length of the pattern that the last calls repeat, or 0."""
    for period in PERIODS:
        if len(calls) >= TIMES * period and calls[-period:] * TIMES == calls[-TIMES * period :]:
            return period
    return 0


def _times(times: int) -> str:
    return f"called {times} times"
