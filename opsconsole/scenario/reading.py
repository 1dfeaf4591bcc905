"""The text of a case file as a scenario, or everything that is wrong with it; it judges no case."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, get_args

from opsconsole.domain.digest import NotCanonical, canonical
from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.errors import ConfigError
from opsconsole.policy.file.lines import line_of, places
from opsconsole.policy.file.problem import Problem, Problems
from opsconsole.policy.file.settings import DetectorSettings
from opsconsole.policy.file.table import Table
from opsconsole.policy.interface import Decision
from opsconsole.policy.rules.engine import nearest
from opsconsole.policy.rules.pattern import Pattern
from opsconsole.scenario.case import (
    CALLS_MAX,
    EXPECTATIONS_MAX,
    GRANTED,
    NO_WEAKER,
    STEPS_MAX,
    THE_SAME,
    VERSION,
    AnswerCall,
    Claim,
    Expectation,
    Message,
    Role,
    Scenario,
    Step,
    ToolCall,
    Turn,
)

CASE_CHARS_MAX = 4_194_304
"""Of one file: what a repository bears and an editor opens."""
MATCHING_CHARS_MAX = 2_000
TURNS_MAX = 100_000
_STEPS = re.compile(r"(?m)^\[\[steps\]\]")
CLAIMS = tuple(str(claim) for claim in Claim)
DETECTORS = tuple(one.name for one in fields(DetectorSettings) if one.name != "pause")
WORDS_OF_CALLS = frozenset({Claim.ASKS_BEFORE, Claim.DENIES, Claim.NEVER_CALLS})
"""Claims about calls, which may be told apart by what their arguments hold."""

Word = TypeVar("Word", bound=StrEnum)


class CaseError(ConfigError):
    """A case file cannot be used; `problems` are all that were found, by line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class _Kind(StrEnum):
    MESSAGE = "message"
    TURN = "turn"
    TOOL_CALL = "tool_call"
    HANDOFF = "handoff"


class _Answer(StrEnum):
    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"
    GRANT = GRANTED


def read(text: str) -> Scenario:
    """The scenario that `text` states. Raises: CaseError."""
    values, problems = _parsed(text), Problems({})
    # What must hold stands before the steps: no more of a long text is searched for its lines.
    found = _scenario(Table(values, (), problems), places(_STEPS.split(text, maxsplit=1)[0]))
    if not problems:
        return found
    told = Problems(places(text))
    _scenario(Table(values, (), told), {})
    raise CaseError(told.error().problems)


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > CASE_CHARS_MAX:
        raise _unusable(f"the file is longer than {CASE_CHARS_MAX:,} characters")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unusable(f"this is no TOML: {error}") from None
    except (ValueError, RecursionError) as error:
        raise _unusable(f"a value is too large or nested too deeply: {type(error).__name__}") from None


def _unusable(message: str) -> CaseError:
    return CaseError((Problem(line=None, field="", message=message),))


def _scenario(top: Table, where: Mapping[tuple[str | int, ...], int]) -> Scenario:
    top.require("version", "agent")
    top.whole("version", VERSION, least=VERSION, most=VERSION)
    labels = top.table("labels")
    found = Scenario(
        name=top.text("name"),
        agent=top.text("agent", "agent"),
        run=top.text("run"),
        started_at=_moment(top),
        labels={name: labels.text(name) for name in labels.values},
        starter=_maybe(top, "starter"),
        policy=top.text("policy"),
        state=top.text("state"),
        steps_left_out=top.whole("steps_left_out", 0, least=0),
        expectations=tuple(_expectation(table, where) for table in top.tables("expect", EXPECTATIONS_MAX)),
        steps=tuple(_told([_step(table) for table in top.tables("steps", STEPS_MAX)])),
    )
    top.close()
    return found


def _moment(top: Table) -> float:
    at = top.raw("started_at")
    if at is None:
        return 0.0
    if not isinstance(at, datetime):
        top.add("started_at", "give a date and time, such as 2026-11-22T10:00:00Z")
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


# -- what must hold ----------------------------------------------------------------------------------------------------


def _expectation(table: Table, where: Mapping[tuple[str | int, ...], int]) -> Expectation:
    said = [claim for claim in Claim if table.has(claim)]
    if len(said) != 1:
        table.add(None, f"give exactly one of {', '.join(CLAIMS)}")
    claim = said[0] if said else Claim.VERDICTS
    found = Expectation(
        claim=claim,
        value=_value(table, claim),
        matching=_long(table, "matching", MATCHING_CHARS_MAX) if claim in WORDS_OF_CALLS else "",
        after=_pattern(table, "after") if claim is Claim.NEVER_CALLS else "",
        by_turn=table.whole("by_turn", 1, most=TURNS_MAX) if claim is Claim.DETECTS and table.has("by_turn") else None,
        line=line_of(where, table.path),
    )
    table.close()
    return found


def _value(table: Table, claim: Claim) -> str | int | float:
    if claim in WORDS_OF_CALLS:
        return _pattern(table, claim)
    if claim is Claim.STOPS_BY_TURN:
        return table.whole(claim, 1, most=TURNS_MAX)
    if claim is Claim.COSTS_AT_MOST:
        return table.number(claim, 1.0)
    value = table.text(claim)
    if claim is Claim.VERDICTS and table.has(claim) and value not in (NO_WEAKER, THE_SAME):
        table.add(claim, f"give '{NO_WEAKER}' or '{THE_SAME}' (than those that were recorded)")
    if claim is Claim.DETECTS and table.has(claim) and value not in DETECTORS:
        table.add(claim, f"unknown detector {value}; {nearest(value, list(DETECTORS))}")
    return value


def _pattern(table: Table, name: str) -> str:
    """The text of a pattern, looked over; empty where it is not given."""
    if not table.has(name):
        return ""
    text = table.text(name)
    try:
        Pattern.parse(text)
    except ValueError as error:
        table.add(name, f"{error}; give names such as 'shell|bash' or 'pay_*'")
    return text


# -- what happened -----------------------------------------------------------------------------------------------------


def _told(steps: list[Step]) -> Iterator[Step]:
    """Each call with the schema that was told last of its tool: it stands with the first one only."""
    known: dict[str, Mapping[str, Any]] = {}
    for step in steps:
        if not isinstance(step, ToolCall) or step.made_up:
            yield step
        elif step.schema:
            known[step.tool] = step.schema
            yield step
        else:
            yield replace(step, schema=known.get(step.tool, {}))


def _step(table: Table) -> Step:
    table.require("kind")
    kind = table.word("kind", _Kind, _Kind.MESSAGE)
    step: Step
    if kind is _Kind.MESSAGE:
        step = _message(table)
    elif kind is _Kind.TURN:
        step = _turn(table)
    else:
        step = _call(table, CallKind(kind))
    table.close()
    return step


def _message(table: Table) -> Message:
    role = table.text("role", "user")
    if role not in get_args(Role):
        table.add("role", f"give one of {', '.join(get_args(Role))}")
    return Message(
        at=_seconds(table),
        role=role,  # type: ignore[arg-type]
        text=_long(table, "text"),
        left_out=_count(table, "left_out"),
    )


def _turn(table: Table) -> Turn:
    return Turn(
        at=_seconds(table),
        model=table.text("model", "unknown"),
        text=_long(table, "text"),
        left_out=_count(table, "left_out"),
        calls=tuple(_answer_call(one) for one in table.tables("calls", CALLS_MAX)),
        served_model=table.text("served_model"),
        input_tokens=_count(table, "input_tokens"),
        output_tokens=_count(table, "output_tokens"),
        cost_usd=_amount(table, "cost_usd"),
        status=table.word("status", CallStatus, CallStatus.COMPLETED),
    )


def _answer_call(table: Table) -> AnswerCall:
    table.require("tool")
    found = AnswerCall(id=table.text("id"), tool=table.text("tool"), args=_json(table, "args"))
    table.close()
    return found


def _call(table: Table, kind: CallKind) -> ToolCall:
    table.require("tool")
    return ToolCall(
        at=_seconds(table),
        id=table.text("id"),
        tool=table.text("tool"),
        args=_json(table, "args"),
        kind=kind,
        target=table.text("target"),
        masked=table.boolean("masked", False),
        read_only=table.boolean("read_only", False),
        risk=_word(table, "risk", Risk),
        server=_maybe(table, "server"),
        annotations=_json(table, "annotations"),
        schema=_json(table, "schema"),
        made_up=table.boolean("made_up", False),
        decision=_word(table, "decision", Decision),
        rule=table.text("rule"),
        facts=_json(table, "facts"),
        answer=_word(table, "answer", _Answer) or "",
        status=table.word("status", CallStatus, CallStatus.PROPOSED),
        result=_long(table, "result"),
        left_out=_count(table, "left_out"),
        duration_ms=_amount(table, "duration_ms"),
    )


def _word(table: Table, name: str, words: type[Word]) -> Word | None:
    return table.word(name, words, next(iter(words))) if table.has(name) else None


def _maybe(table: Table, name: str) -> str | None:
    return table.text(name) if table.has(name) else None


def _seconds(table: Table) -> float:
    return _amount(table, "at") or 0.0


def _amount(table: Table, name: str) -> float | None:
    value = table.raw(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        table.add(name, "give a number that is not below 0")
        return 0.0
    return float(value)


def _count(table: Table, name: str) -> int:
    return table.whole(name, 0, least=0)


def _long(table: Table, name: str, most: int = CASE_CHARS_MAX) -> str:
    value = table.raw(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        table.add(name, f"give a string of at most {most:,} characters")
        return ""
    return value


def _json(table: Table, name: str) -> dict[str, Any]:
    """A JSON object: as a table under its name, or as JSON text under `<name>_json` where TOML could not hold it."""
    spelt = f"{name}_json"
    if table.has(name) and table.has(spelt):
        table.add(spelt, f"stands beside {name}: give one of them")
    value: Any = table.raw(name)
    if table.has(spelt):
        try:
            value = json.loads(str(table.values[spelt]))
        except (ValueError, RecursionError):
            table.add(spelt, "is no JSON")
    if value is None:
        return {}
    try:
        canonical(value)
    except NotCanonical as error:
        # Lone surrogates have no digest, and yet an agent may have sent them.
        if "surrogate" not in str(error):
            table.add(name, f"is no JSON object: {error}")
            return {}
    if not isinstance(value, dict):
        table.add(name, "give a table")
        return {}
    return value
