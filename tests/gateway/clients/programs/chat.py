"""An agent upon OpenAI Chat Completions: plain, raw stream and helper, synchronous and asynchronous."""

from __future__ import annotations

from typing import Any

import openai

import tools

Answer = dict[str, Any]
"""The assistant's message as it goes into the history."""


class Chat:
    """One conversation."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.mode = task.get("mode", "plain")
        make = openai.OpenAI if task.get("sync") else openai.AsyncOpenAI
        self.client: Any = make(
            base_url=task["base_url"],
            api_key=task.get("key", "sk-test"),
            timeout=task.get("timeout", 60),
            max_retries=task.get("retries", 0),
        )
        self.history: list[Answer] = [{"role": "user", "content": task["prompt"]}]
        self.more: dict[str, Any] = {"stream_options": {"include_usage": True}} if task.get("usage") else {}
        self.model = task.get("model", "gpt-4o-mini")

    def _request(self) -> dict[str, Any]:
        return {"model": self.model, "messages": self.history, "tools": tools.CHAT}

    def ask(self, said: Any) -> Answer:
        """One turn."""
        completions = self.client.chat.completions
        if self.mode == "plain":
            return _message(completions.create(**self._request()))
        if self.mode == "helper":
            with completions.stream(**self._request(), **self.more) as stream:
                for event in stream:
                    if event.type == "content.delta":
                        said.piece(event.delta)
                return _message(stream.get_final_completion())
        joined = Joined(said)
        for chunk in completions.create(stream=True, **self._request(), **self.more):
            joined.add(chunk)
        return joined.message()

    async def ask_async(self, said: Any) -> Answer:
        """The same, awaited."""
        completions = self.client.chat.completions
        if self.mode == "plain":
            return _message(await completions.create(**self._request()))
        if self.mode == "helper":
            async with completions.stream(**self._request(), **self.more) as stream:
                async for event in stream:
                    if event.type == "content.delta":
                        said.piece(event.delta)
                return _message(await stream.get_final_completion())
        joined = Joined(said)
        async for chunk in await completions.create(stream=True, **self._request(), **self.more):
            joined.add(chunk)
        return joined.message()

    def text(self, answer: Answer) -> str:
        """The model's words."""
        return answer.get("content") or ""

    def calls(self, answer: Answer) -> list[tuple[str, str, Any]]:
        """(id, name, arguments) of each call."""
        made = answer.get("tool_calls") or []
        return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in made]

    def take(self, answer: Answer, results: list[tuple[str, str]]) -> None:
        """The answer and what its tools gave become history."""
        self.history.append(answer)
        self.history += [{"role": "tool", "tool_call_id": call, "content": text} for call, text in results]


class Joined:
    """What a program makes of raw chunks that trusts the documentation: one choice a chunk, calls by index."""

    def __init__(self, said: Any) -> None:
        self.said = said
        self.ids: set[str] = set()
        self.text = ""
        self.tool_calls: list[dict[str, Any]] = []
        self.finish: str | None = None
        self.usage: Any = None

    def add(self, chunk: Any) -> None:
        """The next chunk."""
        self.ids.add(chunk.id)
        if chunk.usage is not None:
            self.usage = chunk.usage
            return
        choice = chunk.choices[0]
        self.text += choice.delta.content or ""
        self.said.piece(choice.delta.content or "")
        for call in choice.delta.tool_calls or []:
            if call.index == len(self.tool_calls):
                function = {"name": call.function.name, "arguments": ""}
                self.tool_calls.append({"id": call.id, "type": "function", "function": function})
            self.tool_calls[call.index]["function"]["arguments"] += call.function.arguments or ""
        self.finish = choice.finish_reason or self.finish

    def message(self) -> Answer:
        """The whole. Raises: RuntimeError when the stream ended in the middle or spoke of two answers."""
        if self.finish is None or len(self.ids) != 1:
            raise RuntimeError(f"finish {self.finish!r}, ids {self.ids}")
        return {"role": "assistant", "content": self.text or None} | (
            {"tool_calls": self.tool_calls} if self.tool_calls else {}
        )


def _message(completion: Any) -> Answer:
    message = completion.choices[0].message
    made = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in message.tool_calls or []
    ]
    return {"role": "assistant", "content": message.content} | ({"tool_calls": made} if made else {})
