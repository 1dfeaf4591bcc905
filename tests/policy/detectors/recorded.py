"""Tells recorded runs of real agents as detectors would see them, in a time that is made up; it judges nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from opsconsole.policy.detectors.observation import CallEnded, CallProposed, Message, Seen, TurnEnded
from opsconsole.policy.detectors.outcome import Outcome, digest_of
from tests.policy.facts.recorded_runs import lines

WINDOW = 16_000
"""Tokens of the models of these runs, more or less."""
SECONDS_A_TURN = 5.0
_WRAPPED = re.compile(r"\s*execute\[(.*)\]\s*\Z", re.DOTALL | re.IGNORECASE)
"""How some models spell a query; the environment takes what is inside."""


def is_success(run: dict[str, Any]) -> bool:
    """Whether an InterCode run solved its task."""
    return any((turn["reward"] or 0) >= 1 for turn in run["turns"])


def intercode(run: dict[str, Any], tool: str) -> Iterator[Seen]:
    """A run of SQL or shell commands."""
    name, agent, at, tokens = run["id"], run["model"], 1_000.0, 400
    for number, turn in enumerate(run["turns"]):
        wrapped = _WRAPPED.match(str(turn["action"]))
        action = wrapped[1] if wrapped else str(turn["action"])
        outcome = str(turn["observation"])
        at += SECONDS_A_TURN
        yield _turn(name, agent, at, tokens, len(action) // 4)
        tokens += (len(action) + len(outcome)) // 4
        ok = not outcome.startswith("Error")
        yield from _call(name, agent, at, (f"c{number}", tool, {"query": action}), outcome, ok)


def airline(run: dict[str, Any]) -> Iterator[Seen]:
    """A conversation of customer service, with its tools."""
    name, agent, at, tokens = f"airline/{run['task_id']}/{run['trial']}", "airline", 1_000.0, 0
    calls: dict[str, tuple[str, str, Any]] = {}
    for message in run["traj"]:
        text = message.get("content") or ""
        at += SECONDS_A_TURN
        tokens += len(text) // 4
        if message["role"] == "assistant":
            yield _turn(name, agent, at, tokens, len(text) // 4)
        if message["role"] in ("assistant", "user") and text:
            yield Message(run=name, agent=agent, at=at, speaker=message["role"], text=text)
        for call in message.get("tool_calls") or []:
            args = json.loads(call["function"]["arguments"])
            calls[call["id"]] = (call["id"], call["function"]["name"], args)
        if message["role"] == "tool" and message["tool_call_id"] in calls:
            call = calls.pop(message["tool_call_id"])
            yield from _call(name, agent, at, call, text, not text.startswith("Error"))


def all_runs() -> Iterator[list[Seen]]:
    """The observations of every recorded run."""
    for run in lines("sql_agent_runs.jsonl.gz"):
        yield list(intercode(run, "run_sql"))
    for run in lines("bash_agent_runs.jsonl.gz"):
        yield list(intercode(run, "shell"))
    for run in lines("airline_runs.jsonl.gz"):
        yield list(airline(run))


def _turn(run: str, agent: str, at: float, tokens: int, said: int) -> TurnEnded:
    latency = 800.0 + 12.0 * said + tokens / 10
    return TurnEnded(
        run=run,
        agent=agent,
        at=at,
        model=agent,
        provider="recorded",
        input_tokens=tokens,
        output_tokens=said,
        window=WINDOW,
        latency_ms=latency,
        cost_usd=tokens * 1e-6,
    )


def _call(run: str, agent: str, at: float, call: tuple[str, str, Any], outcome: str, ok: bool) -> Iterator[Seen]:
    id, tool, args = call
    text = json.dumps(args, sort_keys=True)
    digest = f"{digest_of(text):x}"
    yield CallProposed(
        run=run, agent=agent, at=at, call=id, tool=tool, args_digest=digest, args_chars=len(text), args_count=len(args)
    )
    yield CallEnded(
        run=run,
        agent=agent,
        at=at + 1,
        call=id,
        tool=tool,
        args_digest=digest,
        outcome=Outcome(outcome),
        ok=ok,
        latency_ms=20.0 + len(outcome) / 10,
    )
