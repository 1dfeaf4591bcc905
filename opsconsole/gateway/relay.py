"""Requests that need no hold: passed on as they are, and counted where their answer tells tokens."""

from __future__ import annotations

import asyncio
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
PAUSED_LOOK_SECONDS = 0.2
"""How often a request that costs looks whether its run goes on."""


class Passing:
    """One relayed request, as far as its run is concerned: a kill cuts it, a pause holds what costs."""

    def __init__(self, run: GatewayRun, send: Send) -> None:
        self.over = asyncio.Event()
        self.killed = ""
        """Why, if the run was stopped."""
        self.has_begun = False
        """Whether the client has been sent anything."""
        self._run, self._send = run, send
        self._is_left = False
        self._task = asyncio.current_task()

    async def through(self, upstream: Upstream, call: Call, *, counts: bool) -> bool:
        """Passes the request and its answer on; False where it was cut, or the client left. Raises: UpstreamFailed."""
        self._run.begin(self)
        try:
            if counts:
                await self._unpaused()
            return await relay(upstream, call, self._run, self._sent, counts=counts)
        except asyncio.CancelledError:
            if not (self.killed or self._is_left) or self._task is None:
                raise
            self._task.uncancel()
            return False
        finally:
            self._run.end(self)
            self.over.set()

    async def _unpaused(self) -> None:
        paused = True
        while paused:
            paused = self._run.live.session.paused
            if paused:
                await asyncio.sleep(PAUSED_LOOK_SECONDS)

    def kill(self, reason: str) -> None:
        """The run was stopped."""
        self.killed = self.killed or reason or "the run was stopped"
        self._cancel()

    def retake(self) -> None:
        """It asks no model: an operator has nothing to answer."""

    def interrupt(self) -> None:
        """The gateway goes down."""
        self._cancel()

    def leave(self) -> None:
        """The client has closed its connection."""
        self._is_left = True
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None and not self.over.is_set():
            self._task.cancel()

    async def _sent(self, message: dict[str, Any]) -> None:
        self.has_begun = True
        await self._send(message)


async def relay(upstream: Upstream, call: Call, run: GatewayRun, send: Send, *, counts: bool) -> bool:
    """Asks, and passes the answer on as it comes; False where it breaks off: it is left unfinished.

    Raises: UpstreamFailed, before anything was passed on.
    """
    answer = await upstream.ask(call)
    if 300 <= answer.status < 400:
        answer.abort()  # the client would follow it, past this gateway
        raise UpstreamFailed(f"the model's provider answered {answer.status}, which leads elsewhere")
    tail = b""
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        async for chunk in answer.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            tail = (tail + chunk)[-TAIL_BYTES:]
    except UpstreamFailed:
        return False
    except BaseException:
        answer.abort()
        raise
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    if counts and answer.status == 200:
        _count(run, call, tail)
    return True


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
