"""An agent upon Anthropic Messages: plain, raw stream and helper, with the synchronous and the asynchronous client."""

from __future__ import annotations

import json
from typing import Any

import anthropic

import tools

Answer = list[dict[str, Any]]
"""The blocks of the assistant's message as they go into the history."""


class Messages:
    """One conversation."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.mode = task.get("mode", "plain")
        make = anthropic.Anthropic if task.get("sync") else anthropic.AsyncAnthropic
        self.client: Any = make(
            base_url=task["base_url"],
            api_key=task.get("key", "sk-ant-test"),
            timeout=task.get("timeout", 60),
            max_retries=task.get("retries", 0),
        )
        self.history: list[dict[str, Any]] = [{"role": "user", "content": task["prompt"]}]
        self.model = task.get("model", "claude-haiku-4-5")

    def _request(self) -> dict[str, Any]:
        return {"model": self.model, "max_tokens": 1_000, "messages": self.history, "tools": tools.MESSAGES}

    def ask(self, said: Any) -> Answer:
        """One turn."""
        if self.mode == "plain":
            return _blocks(self.client.messages.create(**self._request()))
        if self.mode == "helper":
            with self.client.messages.stream(**self._request()) as stream:
                for text in stream.text_stream:
                    said.piece(text)
                return _blocks(stream.get_final_message())
        joined = Joined(said)
        for event in self.client.messages.create(stream=True, **self._request()):
            joined.add(event)
        return joined.blocks()

    async def ask_async(self, said: Any) -> Answer:
        """The same, awaited."""
        if self.mode == "plain":
            return _blocks(await self.client.messages.create(**self._request()))
        if self.mode == "helper":
            async with self.client.messages.stream(**self._request()) as stream:
                async for text in stream.text_stream:
                    said.piece(text)
                return _blocks(await stream.get_final_message())
        joined = Joined(said)
        async for event in await self.client.messages.create(stream=True, **self._request()):
            joined.add(event)
        return joined.blocks()

    def text(self, answer: Answer) -> str:
        """The model's words."""
        return "".join(block["text"] for block in answer if block["type"] == "text")

    def calls(self, answer: Answer) -> list[tuple[str, str, Any]]:
        """(id, name, arguments) of each call."""
        return [(block["id"], block["name"], block["input"]) for block in answer if block["type"] == "tool_use"]

    def take(self, answer: Answer, results: list[tuple[str, str]]) -> None:
        """The answer and what its tools gave become history."""
        self.history.append({"role": "assistant", "content": answer})
        if results:
            blocks = [{"type": "tool_result", "tool_use_id": call, "content": text} for call, text in results]
            self.history.append({"role": "user", "content": blocks})


class Joined:
    """What a program makes of raw events that trusts the documentation: blocks by index, in their order."""

    def __init__(self, said: Any) -> None:
        self.said = said
        self.content: list[dict[str, Any]] = []
        self.json: dict[int, str] = {}
        self.stop: str | None = None
        self.over = False

    def add(self, event: Any) -> None:
        """The next event."""
        if event.type == "content_block_start":
            if event.index != len(self.content):
                raise RuntimeError(f"block {event.index} after {len(self.content)} blocks")
            self.content.append(_kept(event.content_block))
        elif event.type == "content_block_delta":
            self._grow(self.content[event.index], event.index, event.delta)
        elif event.type == "content_block_stop" and event.index in self.json:
            self.content[event.index]["input"] = json.loads(self.json[event.index] or "{}")
        elif event.type == "message_delta":
            self.stop = event.delta.stop_reason
        elif event.type == "message_stop":
            self.over = True

    def _grow(self, block: dict[str, Any], index: int, delta: Any) -> None:
        if delta.type == "text_delta":
            block["text"] += delta.text
            self.said.piece(delta.text)
        elif delta.type == "input_json_delta":
            self.json[index] = self.json.get(index, "") + delta.partial_json
        elif delta.type == "thinking_delta":
            block["thinking"] += delta.thinking
        elif delta.type == "signature_delta":
            block["signature"] = delta.signature

    def blocks(self) -> Answer:
        """The whole. Raises: RuntimeError when the stream ended in the middle."""
        if not self.over or self.stop is None:
            raise RuntimeError("the stream ended without message_stop")
        return self.content


KEPT = {
    "text": ("type", "text"),
    "thinking": ("type", "thinking", "signature"),
    "tool_use": ("type", "id", "name", "input"),
}
"""What of each block goes back to the API."""


def _blocks(message: Any) -> Answer:
    return [_kept(block) for block in message.content]


def _kept(block: Any) -> dict[str, Any]:
    return {name: getattr(block, name) for name in KEPT[block.type]}
