"""Requests that need no hold: passed on as they are, and counted where their answer tells tokens."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from opsconsole.errors import RunStopped
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.output import Send
from opsconsole.gateway.upstream import Call, Upstream, UpstreamFailed
from opsconsole.sdk.usage import TurnUsage

TAIL_BYTES = 4_096
"""The usage stands at the end of an answer, behind the vectors."""
MODEL_CHARS_MAX = 200


async def relay(upstream: Upstream, call: Call, run: GatewayRun, send: Send, *, counts: bool) -> None:
    """Asks, and passes the answer on as it comes; one that breaks off is left unfinished.

    Raises: UpstreamFailed, before anything was passed on.
    """
    answer = await upstream.ask(call)
    tail = b""
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        async for chunk in answer.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            tail = (tail + chunk)[-TAIL_BYTES:]
    except UpstreamFailed:
        return
    except BaseException:
        answer.abort()
        raise
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    if counts and answer.status == 200:
        _count(run, call, tail)


def _count(run: GatewayRun, call: Call, tail: bytes) -> None:
    usage = _usage(tail)
    model = _model(call.body)
    if usage and model:
        tokens = usage.get("prompt_tokens") or usage.get("total_tokens")
        if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0:
            with contextlib.suppress(RunStopped):
                run.live.used(TurnUsage(model=model, provider=call.provider, turns=0, input_tokens=tokens))


def _usage(tail: bytes) -> dict[str, Any] | None:
    _, mark, rest = tail.decode("utf-8", "replace").rpartition('"usage"')
    with contextlib.suppress(ValueError):
        found, _ = json.JSONDecoder().raw_decode(rest.lstrip(" \r\n\t:"))
        return found if mark and isinstance(found, dict) else None
    return None


def _model(body: bytes) -> str:
    with contextlib.suppress(ValueError):
        found = json.loads(body)
        model = found.get("model") if isinstance(found, dict) else None
        return model[:MODEL_CHARS_MAX] if isinstance(model, str) else ""
    return ""
