"""Rows of a timeline and entries of an audit, as the hub's HTTP gives them, for an incident that tests tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RUN = "run_1"
BEGAN = 1_780_000_000.0
"""Unix seconds: 2026-05-28 20:26:40 UTC, a Thursday."""


def timeline(*events: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Events as rows, a second apart."""
    return [
        {"position": n + 1, "gen": "g1", "at": BEGAN + n, "event": {"seq": n + 1, "ts": BEGAN + n, **event}}
        for n, event in enumerate(events)
    ]


def begun(agent: str = "refunds", **more: Any) -> dict[str, Any]:
    return {"type": "run", "agent": agent, **more}


def asked(turn: str, *messages: Mapping[str, Any], model: str = "gpt-4o") -> dict[str, Any]:
    """A turn of the model is proposed."""
    args = {"model": model, "messages": list(messages), "tools": []}
    return {"type": "tool", "id": turn, "name": model, "kind": "model_call", "status": "proposed", "args": args}


def answered(turn: str, text: str = "") -> dict[str, Any]:
    return {"type": "tool", "id": turn, "kind": "model_call", "status": "completed", "result": text}


def used(turns: int, input_tokens: int = 1_000, output_tokens: int = 100, **more: Any) -> dict[str, Any]:
    """Cumulative: so many of each a turn."""
    counts = {"turns": turns, "input_tokens": turns * input_tokens, "output_tokens": turns * output_tokens}
    return {"type": "usage", "model": "gpt-4o", **counts, **more}


def proposed(call: str, tool: str, **args: Any) -> dict[str, Any]:
    return {"type": "tool", "id": call, "name": tool, "status": "proposed", "gate": True, "args": args}


def ended(call: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"type": "tool", "id": call, "status": status, **more}


def over(state: str = "completed") -> dict[str, Any]:
    return {"type": "state", "state": state}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def allowed(call: str, tool: str, **more: Any) -> dict[str, Any]:
    """The entry of an allow."""
    return entry("call.verdict", call, tool, **{"outcome": "allow", "rule": "default:read-only"} | more)


def refused(call: str, tool: str, **more: Any) -> dict[str, Any]:
    return entry("call.verdict", call, tool, **{"outcome": "deny", "rule": "no-drop"} | more)


def held(call: str, tool: str, **more: Any) -> dict[str, Any]:
    return entry("approval.requested", call, tool, rule="default:ask", **more)


def decided(call: str, tool: str, answer: str) -> dict[str, Any]:
    return entry("approval.decided", call, tool, answer=answer)


def entry(kind: str, call: str, tool: str, **more: Any) -> dict[str, Any]:
    about = {"kind": kind, "run": RUN, "agent": "refunds", "call": call, "call_kind": "tool_call", "tool": tool}
    return {"at": BEGAN, "seq": 1, "key": f"run/{RUN}", "policy": "sha256:then", **about, **more}


def price(_provider: str, _model: str, usage: Any) -> float | None:
    """A cent for a thousand tokens."""
    return float(usage.tokens) / 100_000
