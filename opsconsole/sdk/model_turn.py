"""One turn of a model through the gate: what is shown, injected, used and answered; it calls no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.sdk.calls import Ask
from opsconsole.sdk.gate import Decision
from opsconsole.sdk.live import LiveRun
from opsconsole.sdk.model_request import shown_request
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.reply import ModelReply, OperatorCall
from opsconsole.sdk.signature import is_async
from opsconsole.sdk.usage import TurnUsage, reply_text, turn_usage


class ModelTurn:
    """One request on its way to the model."""

    def __init__(
        self, live: LiveRun, request: dict[str, Any], usage: Callable[[Any], TurnUsage] | None, provider: str
    ) -> None:
        self._live, self._request, self._usage, self._provider = live, request, usage, provider
        messages = request.get("messages")
        if isinstance(messages, list) and not _amid_tool_call(messages):
            messages += [{"role": "user", "content": text} for text in live.injected()]

    def ask(self) -> Ask:
        """For the gate. A turn has a new id each time: it is asked again after a restart, and spends again."""
        shown = shown_request(self._request)
        return Ask(kind=CallKind.MODEL_CALL, name=shown["model"], args=shown, call=new_id("turn"), risk=Risk.LOW)

    def calling(self, call: Callable[[dict[str, Any]], Any]) -> Callable[..., Any]:
        """`call` with the whole request, whatever of it was shown."""
        if is_async(call):

            async def turn(**_shown: Any) -> Any:
                return await call(self._request)

            return turn
        return lambda **_shown: call(self._request)

    def used(self, reply: Any) -> None:
        """Records what the turn used."""
        model = str(self._request.get("model") or "")
        turn = self._usage(reply) if self._usage else turn_usage(reply, model)
        provider = turn.provider or self._provider
        self._live.used(replace(turn, model=model or turn.model, provider=provider))

    def text(self, reply: Any) -> str:
        """What the record shows of the reply."""
        return reply_text(reply) or ""

    def answered(self, decision: Decision) -> ModelReply:
        """The operator's turn."""
        calls = tuple(OperatorCall(id=one["id"], name=one["name"], args=one["args"]) for one in decision.calls)
        return ModelReply(text=decision.text, calls=calls, author=decision.by)


def _amid_tool_call(messages: list[Any]) -> bool:
    """Whether the last message asks for tools whose results are still missing: nothing may stand in between."""
    last = messages[-1] if messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return False
    content = last.get("content")
    blocks = content if isinstance(content, list) else []
    return bool(last.get("tool_calls")) or any(
        isinstance(block, dict) and block.get("type") == "tool_use" for block in blocks
    )
