"""The same small agents upon LangChain and the OpenAI Agents SDK, as their documentation shows them."""

from __future__ import annotations

import os
from typing import Any

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
os.environ["LANGSMITH_TRACING"] = "false"

import openai
from agents import (
    Agent,
    FunctionTool,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    set_tracing_disabled,
)
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

from tools import CHAT, TOOLS, schema

set_tracing_disabled(True)


class LangChain:
    """A chat model with tools bound; `invoke`, or `astream` with its chunks added up."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.mode = task.get("mode", "plain")
        self.model = self.make(task).bind_tools(CHAT)
        self.history: list[BaseMessage] = [HumanMessage(task["prompt"])]

    def make(self, task: dict[str, Any]) -> Any:
        """The chat model."""
        raise NotImplementedError

    async def ask_async(self, said: Any) -> Any:
        """One turn."""
        if self.mode == "plain":
            return await self.model.ainvoke(self.history)
        whole: Any = None
        async for chunk in self.model.astream(self.history):
            said.piece(str(chunk.text))
            whole = chunk if whole is None else whole + chunk
        return whole

    def ask(self, said: Any) -> Any:
        """The same with a synchronous client."""
        return self.model.invoke(self.history)

    def text(self, answer: Any) -> str:
        """The model's words."""
        return str(answer.text)

    def calls(self, answer: Any) -> list[tuple[str, str, Any]]:
        """(id, name, arguments) of each call."""
        return [(call["id"], call["name"], call["args"]) for call in answer.tool_calls]

    def take(self, answer: Any, results: list[tuple[str, str]]) -> None:
        """The answer and what its tools gave become history."""
        self.history += [answer, *(ToolMessage(text, tool_call_id=call) for call, text in results)]


class LangChainOpenAI(LangChain):
    """ChatOpenAI."""

    def make(self, task: dict[str, Any]) -> Any:
        options = {"stream_chunk_timeout": task["chunk_timeout"]} if "chunk_timeout" in task else {}
        return ChatOpenAI(
            model="gpt-4o-mini",
            base_url=task["base_url"],
            api_key="sk-test",
            timeout=task.get("timeout", 60),
            max_retries=task.get("retries", 0),
            **options,
        )


class LangChainAnthropic(LangChain):
    """ChatAnthropic."""

    def make(self, task: dict[str, Any]) -> Any:
        return ChatAnthropic(
            model_name="claude-haiku-4-5",
            base_url=task["base_url"],
            api_key="sk-ant-test",
            timeout=task.get("timeout", 60),
            max_retries=task.get("retries", 0),
            stop=None,
        )


class Agents:
    """An agent of the OpenAI Agents SDK: its runner is the loop."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.client = openai.AsyncOpenAI(
            base_url=task["base_url"],
            api_key="sk-test",
            timeout=task.get("timeout", 60),
            max_retries=task.get("retries", 0),
        )

    def model(self) -> Any:
        """Which API it asks."""
        raise NotImplementedError

    async def run_async(self, said: Any) -> None:
        """The whole run, its tools told."""
        agent = Agent(
            name="agent",
            model=self.model(),
            model_settings=ModelSettings(store=False),
            tools=[_tool(said, *one) for one in TOOLS],
        )
        if self.task.get("mode", "plain") == "plain":
            result: Any = await Runner.run(agent, self.task["prompt"])
        else:
            result = Runner.run_streamed(agent, self.task["prompt"])
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    said.piece(event.data.delta)
        said.answered(str(result.final_output))


class AgentsChat(Agents):
    """Upon Chat Completions."""

    def model(self) -> Any:
        return OpenAIChatCompletionsModel(model="gpt-4o-mini", openai_client=self.client)


class AgentsResponses(Agents):
    """Upon Responses."""

    def model(self) -> Any:
        return OpenAIResponsesModel(model="gpt-4o-mini", openai_client=self.client)


def _tool(said: Any, name: str, about: str, argument: str) -> FunctionTool:
    async def invoke(_context: Any, arguments: str) -> str:
        return str(said.run_tool(name, arguments))

    return FunctionTool(
        name=name,
        description=about,
        params_json_schema=schema(argument),
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )
