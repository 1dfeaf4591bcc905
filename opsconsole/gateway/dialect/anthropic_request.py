"""Requests of Anthropic Messages: read once, changed on their way upstream, asked again; no answer is read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from opsconsole.gateway.dialect.anthropic_blocks import is_call
from opsconsole.gateway.dialect.interface import (
    Answered,
    BadRequest,
    CannotReask,
    Changes,
    Edited,
    ModelCall,
    Request,
    Ruling,
    Said,
    ToolOffer,
    ToolResult,
)
from opsconsole.gateway.dialect.json_text import (
    Unreadable,
    count,
    listed,
    mapping,
    read_object,
    text,
    written,
    written_text,
)
from opsconsole.gateway.dialect.media import anthropic_media

NAME = "anthropic.messages"
PROVIDER_TOOLS = ("web_search", "web_fetch", "code_execution", "tool_search_tool", "advisor", "mcp_toolset")
"""How the types of tools begin that run at the provider."""
CLIENT_TOOLS = ("custom", "bash_", "text_editor_", "computer_", "browser_", "memory_")
"""How the types of tools begin that the client runs; a type in neither list counts as the provider's."""
ROLES: Mapping[str, Literal["assistant", "system", "user"]] = {"assistant": "assistant", "system": "system"}
"""Whoever else speaks is a user."""
THINKING_TOKENS_MIN = 1024
"""The API refuses a smaller budget for thinking, and one that leaves nothing of `max_tokens`."""


def read(raw: bytes) -> Request:
    """Raises: BadRequest."""
    try:
        body = read_object(raw, "the request", once=True)
    except Unreadable as fault:
        raise BadRequest(str(fault)) from None
    if not isinstance(body.get("messages"), list):
        raise BadRequest("messages: a list is required")
    if not isinstance(body.get("model"), str):
        raise BadRequest("model: a text is required")
    return Request(
        dialect=NAME,
        model=text(body["model"]),
        streams=body.get("stream") is True,
        body=body,
        raw=raw,
        output_tokens_max=count(body.get("max_tokens")) or None,
        tools=tuple(_offers(body)),
        conversation=tuple(_conversation(body)),
        results=tuple(_results(body["messages"])),
        media=anthropic_media(body["messages"]),
    )


def forwarded(request: Request, changes: Changes) -> bytes:
    """The body to send upstream: the client's own bytes where nothing changes."""
    body = dict(request.body)
    if changes.model is not None:
        body["model"] = changes.model
    if changes.output_tokens_max is not None:
        _cap(body, changes.output_tokens_max)
    if changes.drop_tools:
        _drop_tools(body, changes.drop_tools)
    if changes.edited:
        body["messages"] = [_with_notes(message, changes.edited) for message in body["messages"]]
    if changes.injected:
        body["messages"] = _with_injected(body["messages"], changes.injected)
    return request.raw if body == request.body else written(body)


def repeated(content: Sequence[Mapping[str, Any]], rulings: Sequence[Ruling]) -> list[dict[str, Any]]:
    """An answer's `content` as a later request repeats it, its calls ruled in their order; then the results of those
    that were Answered. Raises: CannotReask."""
    blocks = [dict(block) for block in content if block.get("type") != "text" or text(block.get("text")).strip()]
    calls = [block for block in blocks if is_call(block)]
    if not blocks or any(block.get("type") != "tool_use" for block in calls):
        raise CannotReask("nothing to repeat, or a call of a type that nobody knows how to answer")
    ruled = list(zip(calls, rulings, strict=True))
    for block, ruling in ruled:
        if isinstance(ruling, Edited):
            block["input"] = dict(ruling.args)
    results = [result_of(block, ruling) for block, ruling in ruled if isinstance(ruling, Answered)]
    told = [{"role": "user", "content": results}] if results else []
    return [{"role": "assistant", "content": blocks}, *told]


def asked_again(request: Request, appended: Sequence[Mapping[str, Any]], container: str = "") -> Request:
    """The request with an answer and its results appended. A container that the answer opened is named, as the API asks
    for it."""
    body = {**request.body, "messages": [*request.body["messages"], *appended]}
    if container and not body.get("container"):
        body["container"] = container
    return replace(read(written(body)), results=(), appended=request.appended + len(appended))


def result_of(call: Mapping[str, Any], answer: Answered) -> dict[str, Any]:
    """The block that answers a `tool_use` block."""
    block = {"type": "tool_result", "tool_use_id": call.get("id"), "content": answer.text, "is_error": answer.is_error}
    return {**block, "toolset_name": call["toolset_name"]} if call.get("toolset_name") else block


def call_in(block: Mapping[str, Any]) -> ModelCall:
    """The call that a whole `tool_use` block is."""
    value = block.get("input")
    args = value if isinstance(value, dict) else None
    return ModelCall(id=text(block.get("id")), name=text(block.get("name")), args=args, raw=written_text(value))


def _offers(body: Mapping[str, Any]) -> Iterator[ToolOffer]:
    """A server comes with what the tools say of it, under the one name."""
    servers = {text(mapping(server).get("name")): mapping(server) for server in listed(body.get("mcp_servers"))}
    for tool in listed(body.get("tools")):
        offer = _offer(mapping(tool))
        if offer.runs_at == "provider" and (server := servers.pop(offer.name, None)) is not None:
            offer = replace(offer, definition={"tool": offer.definition, "server": server})
        yield offer
    for name, server in servers.items():
        yield ToolOffer(name=name, runs_at="provider", definition=server)


def _offer(tool: Mapping[str, Any]) -> ToolOffer:
    schema = tool.get("input_schema")
    kind = text(tool.get("type")) or "custom"
    if not kind.startswith(CLIENT_TOOLS):
        return ToolOffer(name=_tool_name(tool), runs_at="provider", definition=tool)
    return ToolOffer(
        name=_tool_name(tool),
        description=text(tool.get("description")),
        schema=schema if isinstance(schema, dict) else None,
    )


def _tool_name(tool: Mapping[str, Any]) -> str:
    return next((name for key in ("name", "mcp_server_name", "type") if (name := text(tool.get(key)))), "")


def _conversation(body: Mapping[str, Any]) -> Iterator[Said]:
    if system := words(body.get("system")):
        yield Said(role="system", text=system)
    for message in listed(body.get("messages")):
        yield from _said(mapping(message))


def _said(message: Mapping[str, Any]) -> Iterator[Said]:
    content = message.get("content")
    blocks = [mapping(block) for block in listed(content)]
    for result in _tool_results(blocks):
        yield Said(role="tool", text=result.text, call=result.call)
    calls = tuple(call_in(block) for block in blocks if block.get("type") == "tool_use")
    spoken = words(content)
    role = message.get("role")
    if spoken or calls:
        yield Said(role=ROLES.get(text(role), "user"), text=spoken, calls=calls)


def words(content: Any) -> str:
    """What a person reads of a message's content: its text, and the names of what is no text."""
    if isinstance(content, str):
        return text(content)
    return "\n".join(told for block in listed(content) if (told := _told(mapping(block))))


def _told(block: Mapping[str, Any]) -> str:
    kind = text(block.get("type"))
    if kind == "text":
        return text(block.get("text"))
    silent = ("tool_use", "tool_result", "thinking", "redacted_thinking")
    return "" if kind in silent or not kind else f"[{kind}]"


def _tool_results(blocks: Sequence[Mapping[str, Any]]) -> list[ToolResult]:
    return [
        ToolResult(
            call=text(block.get("tool_use_id")),
            text=words(block.get("content")),
            is_error=block.get("is_error") is True,
        )
        for block in blocks
        if block.get("type") == "tool_result"
    ]


def _results(messages: Sequence[Any]) -> Iterator[ToolResult]:
    """Those after the last message of the model."""
    last = max((at for at, message in enumerate(messages) if mapping(message).get("role") == "assistant"), default=-1)
    for message in messages[last + 1 :]:
        yield from _tool_results([mapping(block) for block in listed(mapping(message).get("content"))])


def _cap(body: dict[str, Any], tokens_max: int) -> None:
    own = count(body.get("max_tokens"))
    if own and own <= tokens_max:
        return
    body["max_tokens"] = max(1, tokens_max)
    thinking = mapping(body.get("thinking"))
    if count(thinking.get("budget_tokens")) >= body["max_tokens"]:
        room = body["max_tokens"] - 1
        fits = room >= THINKING_TOKENS_MIN
        body["thinking"] = {**thinking, "budget_tokens": room} if fits else {"type": "disabled"}


def _drop_tools(body: dict[str, Any], names: frozenset[str]) -> None:
    """Takes the tools out, and what names them."""
    kept = [tool for tool in listed(body.get("tools")) if _tool_name(mapping(tool)) not in names]
    if len(kept) != len(listed(body.get("tools"))):
        body["tools"] = kept
    servers = [server for server in listed(body.get("mcp_servers")) if text(mapping(server).get("name")) not in names]
    if len(servers) != len(listed(body.get("mcp_servers"))):
        body["mcp_servers"] = servers
    choice = mapping(body.get("tool_choice"))
    if text(choice.get("name")) in names or (choice and "tools" in body and not kept):
        del body["tool_choice"]
    for key in ("tools", "mcp_servers"):
        if body.get(key) == []:
            del body[key]


def _with_notes(message: Any, notes: Mapping[str, str]) -> Any:
    content = mapping(message).get("content")
    if not any(text(mapping(block).get("tool_use_id")) in notes for block in listed(content)):
        return message
    return {**message, "content": [_noted(block, notes) for block in listed(content)]}


def _noted(block: Any, notes: Mapping[str, str]) -> Any:
    result = mapping(block)
    told = notes.get(text(result.get("tool_use_id"))) if result.get("type") == "tool_result" else None
    if told is None:
        return block
    content = result.get("content")
    if isinstance(content, list):
        return {**result, "content": [{"type": "text", "text": told}, *content]}
    return {**result, "content": f"{told}\n\n{content}" if content else told}


def _with_injected(messages: Sequence[Any], spoken: Sequence[str]) -> list[Any]:
    """An operator's words as the end of the last message of the user; a prefilled answer stays the last message."""
    added = [{"type": "text", "text": told} for told in spoken if told.strip()]
    at = next((at for at in reversed(range(len(messages))) if mapping(messages[at]).get("role") == "user"), None)
    if not added:
        return list(messages)
    if at is None:
        return [*messages, {"role": "user", "content": added}]
    content = messages[at].get("content")
    before = [{"type": "text", "text": content}] if isinstance(content, str) and content else list(listed(content))
    return [*messages[:at], {**messages[at], "content": [*before, *added]}, *messages[at + 1 :]]
