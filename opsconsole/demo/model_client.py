"""An ordinary client of the OpenAI Chat Completions API: it streams and retries, and knows nothing of scripts."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Self

import httpx

from opsconsole.errors import OpsconsoleError

ATTEMPTS_MAX = 4
"""Tries of one request: more would hide an outage."""

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
"""The statuses that the official clients retry too."""

RETRY_SECONDS_MAX = 8.0
"""The longest wait between two tries, whatever the server's Retry-After says."""

ANSWER_SECONDS_MAX = 120.0
"""Silence after which an answer is given up."""

OnText = Callable[[str], None]


class ModelRefused(OpsconsoleError):
    """The model's server gave no whole answer: an error that no try would mend, too many in a row, or a part."""


class ModelClient:
    """One connection pool; `OPENAI_BASE_URL` and `OPENAI_API_KEY` unless given. `agent` is sent as metadata."""

    def __init__(self, *, agent: str, base_url: str | None = None, api_key: str | None = None) -> None:
        self._metadata = {"agent": agent}
        self._http = httpx.AsyncClient(
            base_url=base_url or os.environ["OPENAI_BASE_URL"],
            headers={"Authorization": f"Bearer {api_key or os.environ['OPENAI_API_KEY']}"},
            timeout=ANSWER_SECONDS_MAX,
            trust_env=False,
        )

    async def complete(self, request: Mapping[str, Any], on_text: OnText | None = None) -> dict[str, Any]:
        """The whole `chat.completion` for a request of model, messages and tools; `on_text` hears words as they come.

        Raises: ModelRefused; httpx.TransportError when the server cannot be reached.
        """
        body = {**request, "metadata": self._metadata, "stream": True, "stream_options": {"include_usage": True}}
        for attempt in range(1, ATTEMPTS_MAX + 1):
            async with self._http.stream("POST", "/chat/completions", json=body) as response:
                if response.status_code == httpx.codes.OK:
                    return await _gather(_chunks(response), on_text)
                await response.aread()
            if response.status_code not in RETRIED or attempt == ATTEMPTS_MAX:
                break
            await asyncio.sleep(_patience(response, attempt))
        raise ModelRefused(f"the model answered {response.status_code}: {_message(response)}")

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _chunks(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        data = line.removeprefix("data: ")
        if line.startswith("data: ") and data != "[DONE]":
            yield json.loads(data)


async def _gather(chunks: AsyncIterator[dict[str, Any]], on_text: OnText | None) -> dict[str, Any]:
    """The completion that the chunks spell."""
    whole: dict[str, Any] = {}
    text: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    finish_reason = None
    async for chunk in chunks:
        if "error" in chunk:
            raise ModelRefused(f"the answer broke off: {chunk['error'].get('message')}")
        whole |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        for choice in chunk["choices"]:
            finish_reason = choice.get("finish_reason") or finish_reason
            delta = choice["delta"]
            if words := delta.get("content"):
                text.append(words)
                if on_text is not None:
                    on_text(words)
            for part in delta.get("tool_calls") or ():
                _extend(calls.setdefault(part["index"], {"function": {"name": "", "arguments": ""}}), part)
    if finish_reason is None:
        raise ModelRefused("the answer ended before it was whole")
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or None}
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {**whole, "object": "chat.completion", "choices": [choice]}


def _extend(call: dict[str, Any], part: Mapping[str, Any]) -> None:
    call |= {key: part[key] for key in ("id", "type") if part.get(key)}
    for key, value in (part.get("function") or {}).items():
        call["function"][key] += value or ""


def _patience(response: httpx.Response, attempt: int) -> float:
    """Seconds until the next try: what the server asks for, else doubling from half a second."""
    asked = response.headers.get("Retry-After", "")
    wanted = float(asked) if asked.replace(".", "", 1).isdigit() else 0.5 * 2 ** (attempt - 1)
    return min(wanted, RETRY_SECONDS_MAX)


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
