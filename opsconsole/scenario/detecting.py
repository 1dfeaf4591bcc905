"""Shows a case's steps to the policy's detectors and keeps what they find; it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opsconsole.domain.digest import NotCanonical, call_digest
from opsconsole.domain.tool_call import CALL_ENDED, CallKind, CallStatus
from opsconsole.policy.detectors.finding import Severity
from opsconsole.policy.detectors.observation import CallEnded, CallProposed, Handoff, RunStarted, Seen, TurnEnded
from opsconsole.policy.detectors.observation import Message as Said
from opsconsole.policy.detectors.outcome import Outcome
from opsconsole.policy.detectors.proposal import chars_of, wrong_in
from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.file.settings import DetectorSettings
from opsconsole.policy.interface import Policy, Verdict
from opsconsole.policy.price_list import window_of
from opsconsole.scenario.case import Message, Scenario, ToolCall, Turn

MODELS_KEPT_MAX = 256
"""Whose windows are kept ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What a detector found, and after which turn."""

    detector: str
    pauses: bool
    text: str
    turn: int


class Watch:
    """The detectors over one run."""

    def __init__(self, scenario: Scenario, policy: Policy) -> None:
        settings = policy.detectors if isinstance(policy, FilePolicy) else DetectorSettings()
        self._has_facts = isinstance(policy, FilePolicy)
        """Else those that were kept tell what is wrong in a call."""
        self.alarms: list[Alarm] = []
        self.pausing: Alarm | None = None
        """The first that pauses the run."""
        self._scenario = scenario
        self._run = scenario.run or "run"
        self._detectors = Detectors(settings)
        self._turn = 0
        self._show(RunStarted(run=self._run, at=scenario.started_at, agent=scenario.agent))

    def message(self, step: Message) -> None:
        """Something was said."""
        speaker = self._scenario.agent if step.role in ("assistant", "thought") else step.role
        self._show(Said(**self._place(step.at), speaker=speaker, text=step.text))

    def turn(self, step: Turn, number: int) -> None:
        """The model has answered."""
        self._turn = number
        self._show(
            TurnEnded(
                **self._place(step.at),
                model=step.model,
                served_model=step.served_model,
                input_tokens=step.input_tokens,
                output_tokens=step.output_tokens,
                window=_window(step),
                cost_usd=step.cost_usd,
            )
        )
        if step.text:
            self._show(Said(**self._place(step.at), speaker=self._scenario.agent, text=step.text))

    def call(self, step: ToolCall, verdict: Verdict | None, number: int) -> None:
        """A call came before the gate, and ended."""
        self._turn = number
        place = self._place(step.at)
        if step.kind is CallKind.HANDOFF:
            self._show(Handoff(**place, source=self._scenario.agent, target=step.target))
            return
        about: dict[str, Any] = {"call": step.id, "tool": step.tool, "args_digest": _digest(step)}
        facts = verdict.facts if verdict is not None and self._has_facts else step.facts
        self._show(
            CallProposed(
                **place,
                **about,
                args_count=len(step.args),
                args_chars=chars_of(step.args),
                unknown_tool=step.made_up,
                **wrong_in(facts),
            )
        )
        if step.status in CALL_ENDED:
            self._show(
                CallEnded(
                    **place | {"at": place["at"] + (step.duration_ms or 0.0) / 1_000},
                    **about,
                    outcome=Outcome(step.result),
                    ok=step.status is CallStatus.COMPLETED,
                    latency_ms=step.duration_ms or 0.0,
                    denied_by_console=step.status in (CallStatus.DENIED, CallStatus.KILLED),
                )
            )

    def _place(self, at: float) -> dict[str, Any]:
        return {"run": self._run, "agent": self._scenario.agent, "at": self._scenario.started_at + at}

    def _show(self, seen: Seen) -> None:
        for finding in self._detectors.observe(seen):
            pauses = finding.severity is Severity.TRIP
            alarm = Alarm(detector=finding.detector, pauses=pauses, text=finding.text, turn=self._turn)
            self.alarms.append(alarm)
            if pauses and self.pausing is None:
                self.pausing = alarm


def _window(step: Turn) -> int:
    """Tokens that the model holds; what is more than that is another's window, or no one turn."""
    window = _window_of(step.served_model or step.model)
    return window if step.input_tokens <= window else 0


@lru_cache(maxsize=MODELS_KEPT_MAX)
def _window_of(model: str) -> int:
    return window_of("", model)


def _digest(step: ToolCall) -> str:
    try:
        return call_digest(step.tool, step.args)
    except NotCanonical:
        return f"{step.tool} {step.id}"
