"""A scripted model: gives an agent the answers of a case one by one, and notes what the agent makes of them.

It stands where the gateway stands: a call that the policy refuses does not reach the agent, one that it asks about
meets the person of the recording, and an answer of which nothing is left is followed by the next at once, as a model
that was asked again would give it. No socket, no clock: `model_server` carries the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal

from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.gateway.coverage import TURN_PATHS
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import BadRequest, ComposedCall, Dialect, Failure, Request, ToolResult
from opsconsole.policy.facts.memory import Memory
from opsconsole.policy.interface import Decision, Policy
from opsconsole.scenario.case import GRANTED, AnswerCall, Message, Scenario, Step, ToolCall, Turn
from opsconsole.scenario.replay import HEARD, judged

REQUESTS_MAX = 10_000
"""Of one agent: what asks on after the case's last answer is refused, and counted up to here."""
RELEASED = frozenset({"approve", "edit", "respond", GRANTED})
"""What a person may have answered that let the run go on with the call or its answer."""

_UNTOLD: Mapping[str, Any] = {"result": "", "left_out": 0, "duration_ms": None}
"""What became of the recorded call is not what becomes of this one."""

People = Literal["recorded", "approve", "reject"]
"""What happens to a call that is asked about: what the person of the recording did, who refuses a call that nobody
was asked about then; or always the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer."""

    status: int
    content_type: str
    body: bytes


@dataclass(slots=True)
class Playing:
    """One agent against one case; safe to be asked from several threads, one after the other."""

    scenario: Scenario
    policy: Policy
    people: People = "recorded"
    over: int = 0
    """Requests for an answer that the case does not have."""
    _given: int = 0
    """Answers of the case that the agent has had, or that were left of calls."""
    _steps: list[Step] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)
    """Call -> its place among the steps."""
    _said: set[tuple[str, str]] = field(default_factory=set)
    _memory: Memory = field(default_factory=Memory)
    _lock: Lock = field(default_factory=Lock)

    @property
    def answers(self) -> tuple[Turn, ...]:
        """Those of the case that were given to the agent of then."""
        return tuple(turn for turn in self.scenario.turns if turn.status is CallStatus.COMPLETED)

    def ask(self, path: str, raw: bytes) -> Reply:
        """The answer to one request, in the API of its path."""
        dialect = DIALECTS.get(TURN_PATHS.get(path, ""))
        if dialect is None:
            failure = {"error": {"message": f"no such endpoint: {path}", "type": "invalid_request_error"}}
            return Reply(status=404, content_type="application/json", body=json.dumps(failure).encode())
        try:
            request = dialect.read(raw)
        except BadRequest as error:
            return _refusal(dialect, "bad_request", str(error))
        with self._lock:
            return self._answer(dialect, request)

    def made(self) -> Scenario:
        """The case as the agent has made it: its own messages and results between the recorded answers."""
        with self._lock:
            return replace(self.scenario, steps=tuple(self._steps), state="", steps_left_out=0)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _answer(self, dialect: Dialect, request: Request) -> Reply:
        self._hear(request)
        words: list[str] = []
        while self._given < len(self.answers):
            turn = self.answers[self._given]
            number = self._given = self._given + 1
            released, refused = self._gate(turn, number)
            words += [turn.text, *refused] if turn.text else refused
            if released or not turn.calls or self._given == len(self.answers):
                text = "\n".join(words)
                body = dialect.composed(request, id=f"case_{number}", text=text, calls=released)
                kind = "text/event-stream" if request.streams else "application/json"
                return Reply(status=200, content_type=kind, body=body)
        self.over = min(self.over + 1, REQUESTS_MAX)
        return _refusal(dialect, "case_over", f"the case has {len(self.answers)} answers and no more")

    def _hear(self, request: Request) -> None:
        for said in request.conversation:
            heard = (said.role, said.text)
            if said.role in HEARD and said.text and heard not in self._said:
                self._said.add(heard)
                self._memory.hear(said.text)
                self._steps.append(Message(at=self._at, role=said.role, text=said.text))  # type: ignore[arg-type]
        for result in request.results:
            self._finish(result)

    def _finish(self, result: ToolResult) -> None:
        place = self._places.pop(result.call, None)
        if place is None:
            return
        step = self._steps[place]
        assert isinstance(step, ToolCall)
        status = CallStatus.FAILED if result.is_error else CallStatus.COMPLETED
        self._steps[place] = replace(step, status=status, result=result.text)
        self._memory.hear(result.text)

    @property
    def _at(self) -> float:
        """The time of the recording: rules about hours say the same in every replay."""
        return self.answers[min(self._given, len(self.answers)) - 1].at if self._given else 0.0

    # -- the gate ------------------------------------------------------------------------------------------------------

    def _gate(self, turn: Turn, number: int) -> tuple[list[ComposedCall], list[str]]:
        """The calls that reach the agent, and a line for each that does not."""
        self._steps.append(turn)
        released: list[ComposedCall] = []
        refused: list[str] = []
        then = self._recorded_after(number)
        for place, call in enumerate(turn.calls):
            step = self._proposed(turn, call, f"{number}_{place}", then)
            verdict, _ = judged(self.scenario, self.policy, step, self._memory)
            decision = Decision.DENY if verdict is None else verdict.decision
            reason = "its arguments are masked, so nobody can judge it" if verdict is None else verdict.reason
            if decision is Decision.ASK and not self._says_yes(step):
                decision, reason = Decision.DENY, "nobody allowed it"
            if decision is Decision.DENY:
                refused.append(f"{call.tool}: {reason}")
                step = replace(step, status=CallStatus.DENIED, result=reason)
            else:
                released.append(ComposedCall(id=step.id, name=call.tool, args=call.args))
                self._places[step.id] = len(self._steps)
            self._steps.append(step)
        return released, refused

    def _recorded_after(self, number: int) -> list[ToolCall]:
        """The calls that came before the gate after that answer, in the recording."""
        found: list[ToolCall] = []
        seen = 0
        for step in self.scenario.steps:
            if isinstance(step, Turn):
                seen += step.status is CallStatus.COMPLETED
            elif isinstance(step, ToolCall) and seen == number and step.kind is CallKind.TOOL_CALL:
                found.append(step)
        return found

    def _proposed(self, turn: Turn, call: AnswerCall, name: str, then: list[ToolCall]) -> ToolCall:
        known = next((one for one in then if one.tool == call.tool and dict(one.args) == dict(call.args)), None)
        known = known or next((one for one in then if one.tool == call.tool), None)
        if known is not None:
            then.remove(known)
        fresh = ToolCall(at=turn.at, id=call.id or f"call_{name}", tool=call.tool, args=call.args)
        if fresh.id in self._places:
            fresh = replace(fresh, id=f"{fresh.id}_{name}")
        if known is None:
            return fresh
        return replace(known, at=fresh.at, id=fresh.id, args=fresh.args, status=CallStatus.PROPOSED, **_UNTOLD)

    def _says_yes(self, step: ToolCall) -> bool:
        return self.people == "approve" or (self.people == "recorded" and step.answer in RELEASED)


def _refusal(dialect: Dialect, code: str, message: str) -> Reply:
    failure = Failure(status=400, code=code, message=f"opsconsole: {message}")
    return Reply(status=400, content_type="application/json", body=dialect.error(failure))
