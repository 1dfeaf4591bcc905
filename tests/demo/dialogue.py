"""Plays a script against given tool results, as the tool loop would; no HTTP, no gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from opsconsole.demo.conversation import Reply, read
from opsconsole.demo.scripts import answer

Results = Callable[[str, Mapping[str, Any]], Any]
TURNS_MAX = 30


class Dialogue:
    """One conversation of one agent; `say` adds an operator's words."""

    def __init__(self, agent: str, task: str) -> None:
        self.agent = agent
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": task}]

    def next(self) -> Reply:
        """The model's next reply, now part of the conversation."""
        reply = answer(read(self.messages, agent=self.agent))
        turn = len(self.messages)
        calls = [
            {"id": f"{turn}-{n}", "function": {"name": call.name, "arguments": json.dumps(call.args)}}
            for n, call in enumerate(reply.calls)
        ]
        self.messages.append({"role": "assistant", "content": reply.text, "tool_calls": calls})
        return reply

    def result(self, value: Any) -> None:
        """What the last call gave."""
        (call,) = self.messages[-1]["tool_calls"]
        text = value if isinstance(value, str) else json.dumps(value)
        self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})

    def say(self, words: str) -> None:
        self.messages.append({"role": "user", "content": words})

    def play(self, results: Results) -> list[str]:
        """Plays to the end; the names of the calls, then the last words."""
        story = []
        for _ in range(TURNS_MAX):
            reply = self.next()
            if not reply.calls:
                return [*story, reply.text]
            (call,) = reply.calls
            story.append(call.name)
            self.result(results(call.name, call.args))
        return story
