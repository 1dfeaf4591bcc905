"""An agent upon OpenAI Responses: plain, raw stream and helper; its history is its own or the provider's."""

from __future__ import annotations

from typing import Any

import openai

import tools

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""type -> where the arguments are."""


class Responses:
    """One conversation. Task `stores`: each request names the answer before and brings only what is new."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.mode = task.get("mode", "plain")
        make = openai.OpenAI if task.get("sync") else openai.AsyncOpenAI
        self.client: Any = make(
            base_url=task["base_url"],
            api_key=task.get("key", "sk-test"),
            timeout=task.get("timeout", 60),
            max_retries=task.get("retries", 0),
        )
        self.stores = bool(task.get("stores"))
        self.previous: str | None = None
        self.history: list[Any] = [{"role": "user", "content": task["prompt"]}]
        self.model = task.get("model", "gpt-4o-mini")

    def _request(self) -> dict[str, Any]:
        request = {"model": self.model, "input": self.history, "tools": tools.RESPONSES, "store": self.stores}
        return request | ({"previous_response_id": self.previous} if self.previous else {})

    def ask(self, said: Any) -> Any:
        """One turn."""
        if self.mode == "plain":
            return self.client.responses.create(**self._request())
        if self.mode == "helper":
            with self.client.responses.stream(**self._request()) as stream:
                for event in stream:
                    _piece(said, event)
                return stream.get_final_response()
        joined = Joined(said)
        for event in self.client.responses.create(stream=True, **self._request()):
            joined.add(event)
        return joined.response()

    async def ask_async(self, said: Any) -> Any:
        """The same, awaited."""
        if self.mode == "plain":
            return await self.client.responses.create(**self._request())
        if self.mode == "helper":
            async with self.client.responses.stream(**self._request()) as stream:
                async for event in stream:
                    _piece(said, event)
                return await stream.get_final_response()
        joined = Joined(said)
        async for event in await self.client.responses.create(stream=True, **self._request()):
            joined.add(event)
        return joined.response()

    def text(self, answer: Any) -> str:
        """The model's words."""
        return str(answer.output_text)

    def calls(self, answer: Any) -> list[tuple[str, str, Any]]:
        """(id, name, arguments) of each call."""
        return [
            (item.call_id, item.name, item.arguments if item.type == "function_call" else {"input": item.input})
            for item in answer.output
            if item.type in CALLS
        ]

    def take(self, answer: Any, results: list[tuple[str, str]]) -> None:
        """The answer and what its tools gave become history, here or at the provider."""
        kinds = {item.call_id: item.type for item in answer.output if item.type in CALLS}
        outputs = [{"type": f"{kinds[call]}_output", "call_id": call, "output": text} for call, text in results]
        if self.stores:
            self.previous, self.history = answer.id, outputs
        else:
            kept = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
            self.history += [*map(_without_parsed, kept), *outputs]


class Joined:
    """What a program makes of raw events: items as each is done, held against the whole at the end."""

    def __init__(self, said: Any) -> None:
        self.said = said
        self.done: dict[int, Any] = {}
        self.numbers: list[int] = []
        self.arguments: dict[int, str] = {}
        self.completed: Any = None

    def add(self, event: Any) -> None:
        """The next event."""
        self.numbers.append(event.sequence_number)
        _piece(self.said, event)
        if event.type in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            self.arguments[event.output_index] = self.arguments.get(event.output_index, "") + event.delta
        elif event.type == "response.output_item.done":
            self.done[event.output_index] = event.item
        elif event.type == "response.completed":
            self.completed = event.response

    def response(self) -> Any:
        """The whole. Raises: RuntimeError where the stream contradicts itself or ended in the middle."""
        if self.completed is None:
            raise RuntimeError("the stream ended without response.completed")
        done = [item.to_dict() for _, item in sorted(self.done.items())]
        if done != [item.to_dict() for item in self.completed.output]:
            raise RuntimeError(f"done {self.done}, completed {self.completed.output}")
        if self.numbers != sorted(set(self.numbers)):
            raise RuntimeError(f"sequence numbers {self.numbers}")
        for index, text in self.arguments.items():
            item = self.completed.output[index]
            if text != getattr(item, CALLS[item.type]):
                raise RuntimeError(f"deltas {text!r}, item {item}")
        return self.completed


def _piece(said: Any, event: Any) -> None:
    if event.type == "response.output_text.delta":
        said.piece(event.delta)


def _without_parsed(item: dict[str, Any]) -> dict[str, Any]:
    """What the helper adds for its caller is no part of the API."""
    for part in item.get("content", ()) if isinstance(item.get("content"), list) else ():
        part.pop("parsed", None)
    return item
