"""`python -m bench.gateway_holds [--seconds 660]`: official clients wait that long for a person; by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from bench.gateway_place import GatewayPlace, gateway_place
from tests.support.model_script import Call, Turn, mark
from tests.support.model_upstream import running_upstream

SECONDS = 660.0
TOOL = "shell"
ARGS = {"cmd": "systemctl restart billing"}
TURN = Turn(text="I will restart it.", calls=[Call(name=TOOL, args=ARGS)])
SCHEMA = {"type": "object", "properties": {"cmd": {"type": "string"}}}
HELD_SECONDS = 30.0
"""How soon every call must be before the operator."""


async def _chat(client: AsyncOpenAI, script: str, *, stream: bool) -> Any:
    body: dict[str, Any] = {
        "model": "gpt-5.1",
        "messages": [{"role": "user", "content": mark(script)}],
        "tools": [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}],
    }
    if not stream:
        answer = await client.chat.completions.create(**body)
        return json.loads(answer.choices[0].message.tool_calls[0].function.arguments)
    pieces = await client.chat.completions.create(**body, stream=True)
    calls = [one async for piece in pieces if piece.choices for one in piece.choices[0].delta.tool_calls or ()]
    return json.loads("".join(call.function.arguments or "" for call in calls))


async def _responses(client: AsyncOpenAI, script: str, *, stream: bool) -> Any:
    body: dict[str, Any] = {
        "model": "gpt-5.1",
        "input": mark(script),
        "tools": [{"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": False}],
    }
    if stream:
        async with client.responses.stream(**body) as pieces:
            answer = await pieces.get_final_response()
    else:
        answer = await client.responses.create(**body)
    return json.loads(next(item.arguments for item in answer.output if item.type == "function_call"))


async def _messages(client: AsyncAnthropic, script: str, *, stream: bool) -> Any:
    body: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": mark(script)}],
        "tools": [{"name": TOOL, "input_schema": SCHEMA}],
    }
    if stream:
        async with client.messages.stream(**body) as pieces:
            answer = await pieces.get_final_message()
    else:
        answer = await client.messages.create(**body)
    return next(block.input for block in answer.content if block.type == "tool_use")


APIS: dict[str, tuple[str, Callable[..., Awaitable[Any]]]] = {
    "chat": ("openai", _chat),
    "responses": ("openai", _responses),
    "messages": ("anthropic", _messages),
}


def main() -> int:
    """One line of JSON a client; 1 where one did not get its call, or asked its provider twice."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_holds")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"How long the operator thinks [{SECONDS:g}].")
    parser.add_argument("--timeout", type=float, help="The clients' own timeout; theirs where it is not given.")
    given = parser.parse_args()
    lines = asyncio.run(_held(given.seconds, given.timeout))
    for line in lines:
        print(json.dumps(line), flush=True)
    return 0 if all(line["survived"] for line in lines) else 1


async def _held(seconds: float, timeout: float | None) -> list[dict[str, Any]]:
    names = [f"{api}-{way}" for api in APIS for way in ("streamed", "plain")]
    settings = {"OPSCONSOLE_LIMITS_APPROVAL_TTL_SECONDS": str(seconds + 600)}
    with running_upstream() as provider:
        for name in names:
            provider.script(name, TURN)
        with gateway_place(settings=settings, asked=provider.url) as place:
            clients = [asyncio.create_task(_client(place, name, timeout)) for name in names]
            rows = await asyncio.to_thread(_all_held, place, len(names))
            print(f"{len(rows)} calls held; approving in {seconds:g} s", file=sys.stderr, flush=True)
            await asyncio.sleep(seconds)
            for row in rows:
                decision = {"approval": row["approval"], "digest": row["digest"], "answer": "approve"}
                assert (await asyncio.to_thread(place.command, "decide", **decision))["ok"]
            lines = await asyncio.gather(*clients)
        for line in lines:
            line["upstream_calls"] = len(provider.calls(line["client"]))
            line["survived"] = line["got"] == ARGS and line["upstream_calls"] == 1
    return lines


def _all_held(place: GatewayPlace, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + HELD_SECONDS
    while time.monotonic() < deadline:
        rows: list[dict[str, Any]] = place.get("/v1/approvals")["rows"]
        if len(rows) == number:
            return rows
        time.sleep(0.1)
    raise TimeoutError(f"{len(rows)} of {number} calls came before the operator")


async def _client(place: GatewayPlace, name: str, timeout: float | None) -> dict[str, Any]:
    api, _, way = name.partition("-")
    provider, ask = APIS[api]
    more: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    kind = AsyncOpenAI if provider == "openai" else AsyncAnthropic
    began = time.monotonic()
    async with kind(base_url=place.base(f"held-{name}", provider), api_key="sk-bench", **more) as client:
        try:
            got: Any = await ask(client, name, stream=way == "streamed")
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
    waited = round(time.monotonic() - began, 1)
    return {"client": name, "library": f"{provider} {version(provider)}", "held_seconds": waited, "got": got}


if __name__ == "__main__":
    sys.exit(main())
