"""A run's timeline and its entries of the audit, as the hub tells them, folded into a scenario; it asks nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opsconsole.domain.run import TERMINAL, RunState
from opsconsole.domain.tool_call import CALL_ENDED, CallKind, CallStatus, advance_call
from opsconsole.domain.usage import Usage, not_below
from opsconsole.policy.interface import Decision
from opsconsole.protocol.events import (
    Event,
    MessageEvent,
    RunEvent,
    StateEvent,
    ToolEvent,
    UsageEvent,
    parse_timeline,
)
from opsconsole.scenario.answers import Told, answer_calls, told_of
from opsconsole.scenario.case import GRANTED, STEPS_MAX, TEXT_CHARS_MAX, Message, Scenario, Step, ToolCall, Turn
from opsconsole.scenario.masks import is_masked

Price = Callable[[str, str, Usage], float | None]
"""provider, model, tokens -> US dollars, None where the model has no known price."""
_NO_POLICY = ("gate:", "takeover")
"""Beginnings of rules that are not the policy's: nobody asked it."""
_GRANT = "grant:"
"""Of the rule of a call that the policy asked about and a standing grant let through."""


@dataclass(slots=True)
class _Turn:
    """An answer while it is folded."""

    step: Turn
    told: Told = field(default_factory=Told)
    """What its request showed of the conversation."""
    calls: list[str] = field(default_factory=list)
    """Ids of the calls that came before the gate after it."""
    is_late: bool = False
    """It was over when the timeline first told of it, as where a link was slow: its words stand before it."""


class Recorder:
    """Folds one run; `entries` may come before or after the timeline."""

    def __init__(self, run: str, price: Price) -> None:
        self._run, self._price = run, price
        self._steps: dict[str, Step] = {}
        """By kind and id, in the order in which they began."""
        self._turns: dict[str, _Turn] = {}
        self._latest: _Turn | None = None
        self._said: set[tuple[str, str]] = set()
        """What requests have repeated."""
        self._told: set[tuple[str, str]] = set()
        """What is a step because a request told it: the same as an event of its own is no second."""
        self._about: dict[str, Any] = {"agent": "agent"}
        self._usage: dict[tuple[str, str], Usage] = {}
        self._own_costs: dict[str, float] = {}
        self._decided: dict[str, dict[str, Any]] = {}
        self._tools: dict[str, dict[str, Any]] = {}
        """Tool -> what was last told of it, which holds for its later calls."""
        self._started: float | None = None
        self._starter: str | None = None
        self._policy = ""

    # -- the timeline --------------------------------------------------------------------------------------------------

    def timeline(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of `GET /v1/runs/{run}/events`, in order."""
        events = parse_timeline(json.dumps([row["event"] for row in rows]).encode())
        for row, event in zip(rows, events, strict=True):
            at = float(row.get("at") or event.ts)
            self._started = at if self._started is None else self._started
            self._fold(event, max(0.0, at - self._started))

    def _fold(self, event: Event, at: float) -> None:
        match event:
            case RunEvent():
                self._about |= {"agent": event.agent}
                self._about |= {"name": event.name} if event.name else {}
                self._about |= {"labels": event.labels} if event.labels else {}
            case StateEvent():
                self._about["state"] = event.state
            case MessageEvent():
                self._message(event, at)
            case ToolEvent() if event.kind is CallKind.MODEL_CALL:
                self._turn(event, at)
            case ToolEvent():
                self._call(event, at)
            case UsageEvent():
                self._used(event)
            case _:
                pass

    def _message(self, event: MessageEvent, at: float) -> None:
        key = f"message/{event.id}"
        known = self._steps.get(key)
        text = (known.text if isinstance(known, Message) else "") + (event.append or "")
        text = event.text if event.text is not None else text
        at = known.at if known is not None else at
        if (event.role, text) not in self._told:
            self._steps[key] = Message(at=at, role=event.role, text=text)

    def _turn(self, event: ToolEvent, at: float) -> None:
        key = f"turn/{event.id}"
        turn = self._turns.get(key)
        if turn is None:
            self._tell(event, at)
            step = Turn(at=at, model=event.name or "unknown", status=CallStatus.PROPOSED)
            turn = _Turn(step, is_late=event.status in CALL_ENDED)
            self._turns[key] = self._latest = turn
            self._steps[key] = turn.step
        if event.args is not None:
            turn.told = told_of(event.args.get("messages"))
        text = turn.step.text if event.result is None else event.result
        turn.step = replace(turn.step, text=text, status=advance_call(turn.step.status, event.status))
        self._steps[key] = turn.step

    def _tell(self, event: ToolEvent, at: float) -> None:
        """What the request tells the model for the first time, as messages before its answer."""
        spoken = {(step.role, step.text) for step in self._steps.values() if isinstance(step, Message)}
        for place, (role, text) in enumerate(told_of((event.args or {}).get("messages")).said):
            heard = (role, text)
            is_new = heard not in self._said and not spoken & {heard, ("operator", text)}
            self._said.add(heard)
            if is_new:
                self._told.add(heard)
                self._steps[f"told/{event.id}/{place}"] = Message(at=at, role=role, text=text)  # type: ignore[arg-type]

    def _call(self, event: ToolEvent, at: float) -> None:
        key = f"call/{event.id}"
        known = self._steps.get(key)
        if not isinstance(known, ToolCall):
            tool = event.name or event.kind
            known = ToolCall(at=at, id=event.id, tool=tool, args=event.args or {}, kind=event.kind)
            known = replace(known, **self._told_of(tool, event))
            if self._latest is not None:
                self._latest.calls.append(key)
        changes: dict[str, Any] = {"status": advance_call(known.status, event.status)}
        if event.args is not None and event.status is CallStatus.PROPOSED:
            changes |= {"args": event.args, "masked": is_masked(event.args)}
        changes |= {"read_only": True} if event.read_only else {}
        changes |= {"risk": event.risk} if event.risk else {}
        changes |= {"target": event.target} if event.target else {}
        changes |= {"duration_ms": event.duration_ms} if event.duration_ms is not None else {}
        result = event.error if event.error is not None else event.result
        changes |= {"result": result} if result is not None else {}
        self._steps[key] = replace(known, **changes)

    def _told_of(self, tool: str, event: ToolEvent) -> dict[str, Any]:
        if event.input_schema is not None or event.offered is not None:
            self._tools[tool] = {"schema": event.input_schema or {}, "made_up": event.offered is False}
        return self._tools.get(tool, {})

    def _used(self, event: UsageEvent) -> None:
        """The difference to the reading before is the latest turn's."""
        key = (event.provider or "", event.model)
        before = self._usage.get(key, Usage())
        now = self._usage[key] = not_below(before, event.reading())
        used = Usage(**{name: getattr(now, name) - getattr(before, name) for name in Usage.__slots__})
        cost = self._cost(event, used)
        turn = next((one for one in reversed(self._turns.values()) if one.step.model == event.model), self._latest)
        if turn is None:
            return
        known = turn.step.cost_usd
        turn.step = replace(
            turn.step,
            served_model=(event.served_model or "") if event.served_model != event.model else "",
            input_tokens=turn.step.input_tokens + used.input_tokens,
            output_tokens=turn.step.output_tokens + used.output_tokens,
            cost_usd=known if cost is None else (known or 0.0) + cost,
        )
        self._steps[next(key for key, one in self._turns.items() if one is turn)] = turn.step

    def _cost(self, event: UsageEvent, used: Usage) -> float | None:
        """As the gateway priced each answer, else by the list, else by the author's word."""
        told = self._told_cost(event)
        if event.priced_by and told is not None:
            return told
        for model in (event.served_model, event.model):
            cost = self._price(event.provider or "", model, used) if model else None
            if cost is not None:
                return cost
        return told

    def _told_cost(self, event: UsageEvent) -> float | None:
        """What the event itself says beyond the one before."""
        if event.cost_usd is None:
            return None
        before = self._own_costs.get(event.model, 0.0)
        self._own_costs[event.model] = max(before, event.cost_usd)
        return max(0.0, event.cost_usd - before)

    # -- the audit -----------------------------------------------------------------------------------------------------

    def audit(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Entries of `GET /v1/audit?run=…`, in order."""
        for entry in entries:
            kind = entry.get("kind")
            if kind in ("approval.requested", "call.verdict"):
                self._verdict(entry, asked=kind == "approval.requested")
            elif kind == "approval.decided":
                self._decision(str(entry.get("call", "")))["answer"] = str(entry.get("answer", ""))
            elif kind == "run.started":
                self._starter = str(entry["owner"]) if entry.get("owner") else self._starter

    def _decision(self, call: str) -> dict[str, Any]:
        return self._decided.setdefault(f"call/{call}", {})

    def _verdict(self, entry: Mapping[str, Any], *, asked: bool) -> None:
        rule = str(entry.get("rule", ""))
        found = self._decision(str(entry.get("call", "")))
        if rule.startswith(_NO_POLICY) or "decision" in found or entry.get("call_kind") == CallKind.MODEL_CALL:
            return
        is_granted = rule.startswith(_GRANT)
        word = "ask" if asked or is_granted else str(entry.get("outcome", ""))
        if word not in set(Decision):
            return
        found |= {"decision": Decision(word), "rule": rule} | ({"answer": GRANTED} if is_granted else {})
        found |= {name: entry[name] for name in ("facts", "annotations") if isinstance(entry.get(name), dict)}
        found |= {"server": entry["server"]} if isinstance(entry.get("server"), str) else {}
        self._policy = str(entry.get("policy") or self._policy)

    # -- the whole -----------------------------------------------------------------------------------------------------

    def scenario(self) -> Scenario:
        """What was told so far, bounded."""
        turns = list(self._turns.items())
        for place, (key, turn) in enumerate(turns):
            later = turns[place + 1][1].told if place + 1 < len(turns) else Told()
            self._steps[key] = replace(turn.step, calls=self._answered(turn, later))
        steps = [self._bounded(key, step) for key, step in self._merged()]
        state = self._about.get("state")
        return Scenario(
            name=str(self._about.get("name", "")),
            agent=str(self._about["agent"]),
            labels=self._about.get("labels") or {},
            run=self._run,
            started_at=self._started or 0.0,
            starter=self._starter,
            policy=self._policy,
            state=str(state) if isinstance(state, RunState) and state in TERMINAL else "",
            steps=tuple(steps[:STEPS_MAX]),
            steps_left_out=max(0, len(steps) - STEPS_MAX),
        )

    def _answered(self, turn: _Turn, later: Told) -> Any:
        gated = [step for key in turn.calls if isinstance(step := self._steps[key], ToolCall)]
        return answer_calls(gated, later)

    def _merged(self) -> list[tuple[str, Step]]:
        """The steps, with words of the assistant that only repeat an answer, or are it, in the answer itself."""
        found: list[tuple[str, Step]] = []
        answer: int | None = None
        for key, step in self._ordered():
            if isinstance(step, Turn):
                answer = len(found)
            elif isinstance(step, Message) and step.role == "assistant" and answer is not None:
                turn = found[answer][1]
                assert isinstance(turn, Turn)
                if turn.text in ("", step.text):
                    found[answer] = (found[answer][0], replace(turn, text=step.text))
                    continue
            found.append((key, step))
        return found

    def _ordered(self) -> list[tuple[str, Step]]:
        """The steps as they began; the words of a turn that was told of late stand behind it, like those of any."""
        found: list[tuple[str, Step]] = []
        for key, step in self._steps.items():
            before = found[-1][1] if found else None
            is_late = key in self._turns and self._turns[key].is_late
            is_said = isinstance(before, Message) and before.role == "assistant"
            found.insert(len(found) - (is_late and is_said), (key, step))
        return found

    def _bounded(self, key: str, step: Step) -> Step:
        if isinstance(step, ToolCall):
            step = replace(step, **self._decided.get(key, {}))
            left = len(step.result) - TEXT_CHARS_MAX
            return replace(step, result=step.result[:TEXT_CHARS_MAX], left_out=left) if left > 0 else step
        left = len(step.text) - TEXT_CHARS_MAX
        return replace(step, text=step.text[:TEXT_CHARS_MAX], left_out=left) if left > 0 else step


def recorded(
    run: str, rows: Sequence[Mapping[str, Any]], entries: Iterable[Mapping[str, Any]], price: Price
) -> Scenario:
    """The scenario of one run."""
    recorder = Recorder(run, price)
    recorder.audit(entries)
    recorder.timeline(rows)
    return recorder.scenario()
