"""What a script may know of a chat request: the task, the tool results and the operator's words; it reads no HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DENIED = "Denied"
"""A refused call's result begins so: the tool loop writes it, the scripts look for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One finished tool call as the conversation shows it: what was asked, and the text that came back."""

    tool: str
    asked: Mapping[str, Any]
    text: str

    @property
    def denied(self) -> bool:
        return self.text.startswith(DENIED)

    @property
    def data(self) -> Any:
        """The JSON value in the text; None for anything else, such as an operator's answer in words."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One request's messages, read once. `unheard`: what an operator said since the model spoke last."""

    agent: str
    task: str
    turns: int
    results: tuple[Result, ...] = ()
    unheard: tuple[str, ...] = ()

    @property
    def last(self) -> Result | None:
        return self.results[-1] if self.results else None

    @property
    def number(self) -> int:
        """The number in the task, such as 3 of `Refund batch 3`; 0 if there is none."""
        digits = "".join(character if character.isdigit() else " " for character in self.task).split()
        return int(digits[0]) if digits else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call of a reply."""

    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says: words, calls, and how many hidden tokens it thought."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    reasoning_tokens: int = field(default=0)


def read(messages: Sequence[Mapping[str, Any]], *, agent: str) -> Conversation:
    """The conversation in a list of Chat Completions messages; what is malformed in them is left out."""
    asked: dict[str, tuple[str, Mapping[str, Any]]] = {}
    results: list[Result] = []
    words: list[str] = []
    unheard: list[str] = []
    turns = 0
    for message in messages:
        match message.get("role"):
            case "assistant":
                turns += 1
                unheard.clear()
                asked |= _asked(message)
            case "tool":
                name, args = asked.get(str(message.get("tool_call_id")), ("", {}))
                results.append(Result(tool=name, asked=args, text=str(message.get("content") or "")))
            case "user":
                words.append(str(message.get("content") or ""))
                unheard.append(words[-1])
    unheard = [text for text in unheard if text is not words[0]]
    task = words[0] if words else ""
    return Conversation(agent=agent, task=task, turns=turns, results=tuple(results), unheard=tuple(unheard))


def _asked(message: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    return {
        str(call["id"]): (str(call["function"]["name"]), _arguments(call["function"].get("arguments")))
        for call in message.get("tool_calls") or ()
    }


def _arguments(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
