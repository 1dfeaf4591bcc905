"""A scenario as the text of a case file, to be read, edited and reviewed by people; `reading` reads it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from opsconsole.scenario.case import VERSION, Claim, Expectation, Message, Scenario, Step, ToolCall, Turn
from opsconsole.scenario.toml_text import NotToml, assignment, json_text

HEAD = """\
# A run pinned as a case. Check it with: opsconsole test FILE --policy policy.toml
# What must hold stands first: add to it, take from it. Secrets were masked when it was recorded."""


def written(scenario: Scenario) -> str:
    """The text of a case file."""
    parts = [HEAD, *_header(scenario)]
    for expectation in scenario.expectations:
        parts += ["", "[[expect]]", *_lines(_expectation(expectation))]
    told: dict[str, Mapping[str, Any]] = {}
    for step in scenario.steps:
        parts += ["", "[[steps]]", *_lines(_step(_brief(step, told)))]
    return "\n".join(parts) + "\n"


def _header(scenario: Scenario) -> Iterator[str]:
    started = datetime.fromtimestamp(scenario.started_at, UTC) if scenario.started_at else None
    yield from _lines(
        {
            "version": VERSION,
            "name": scenario.name,
            "agent": scenario.agent,
            "run": scenario.run,
            "started_at": started,
            "labels": dict(scenario.labels),
            "starter": scenario.starter,
            "policy": scenario.policy,
            "state": scenario.state,
            "steps_left_out": scenario.steps_left_out,
        }
    )


def _brief(step: Step, told: dict[str, Mapping[str, Any]]) -> Step:
    """The step without a schema that an earlier call of its tool has told; `told` remembers them."""
    if not isinstance(step, ToolCall):
        return step
    known, told[step.tool] = told.get(step.tool), step.schema
    return replace(step, schema={}) if known == step.schema else step


def _expectation(one: Expectation) -> dict[str, Any]:
    value = float(one.value) if one.claim is Claim.COSTS_AT_MOST else one.value
    return {str(one.claim): value, "matching": one.matching, "after": one.after, "by_turn": one.by_turn}


def _step(step: Step) -> dict[str, Any]:
    at = round(step.at, 3)
    match step:
        case Message():
            return {
                "kind": "message",
                "role": step.role,
                "at": at or None,
                "text": step.text,
                "left_out": step.left_out,
            }
        case Turn():
            calls = [_held(id=call.id, tool=call.tool, args=call.args) for call in step.calls]
            return {
                "kind": "turn",
                "model": step.model,
                "served_model": step.served_model,
                "at": at or None,
                "status": str(step.status),
                "input_tokens": step.input_tokens,
                "output_tokens": step.output_tokens,
                "cost_usd": None if step.cost_usd is None else float(step.cost_usd),
                "text": step.text,
                "left_out": step.left_out,
                "calls": calls,
            }
        case ToolCall():
            return _call(step, at)


def _call(step: ToolCall, at: float) -> dict[str, Any]:
    return _held(
        kind=str(step.kind),
        id=step.id,
        tool=step.tool,
        target=step.target,
        at=at or None,
        args=step.args,
        masked=step.masked,
        read_only=step.read_only,
        risk=None if step.risk is None else str(step.risk),
        server=step.server,
        annotations=step.annotations,
        schema=step.schema,
        made_up=step.made_up,
        decision=None if step.decision is None else str(step.decision),
        rule=step.rule,
        facts=step.facts,
        answer=step.answer,
        status=str(step.status),
        duration_ms=step.duration_ms,
        result=step.result,
        left_out=step.left_out,
    )


def _held(**fields: Any) -> dict[str, Any]:
    """The fields, with `args` and `facts` as JSON text where TOML cannot hold them."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in ("args", "facts", "annotations", "schema") and not _is_toml(value):
            found[f"{name}_json"] = json_text(value)
        else:
            found[name] = value
    return found


def _is_toml(value: Any) -> bool:
    try:
        assignment("value", value)
    except NotToml:
        return False
    return True


def _lines(fields: Mapping[str, Any]) -> Iterator[str]:
    """An assignment for each field that says something; arguments stand even where they are empty."""
    for name, value in fields.items():
        is_said = value not in (None, "", 0, [], {}) or name == "args"
        if is_said and value is not False:
            yield assignment(name, _whole(value))


def _whole(value: Any) -> Any:
    """A text without halves of characters, which no TOML may hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
