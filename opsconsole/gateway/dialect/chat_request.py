"""Requests of OpenAI Chat Completions: read once, changed on their way upstream, asked again; no answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from opsconsole.gateway.dialect.interface import (
    BadRequest,
    Changes,
    ModelCall,
    Request,
    Said,
    ToolOffer,
    ToolResult,
)
from opsconsole.gateway.dialect.json_text import (
    Unreadable,
    arguments_in,
    count,
    listed,
    mapping,
    read_object,
    text,
    written,
    written_text,
)
from opsconsole.gateway.dialect.media import chat_media

NAME = "openai.chat"
CAPS = ("max_completion_tokens", "max_tokens")
"""Fields that cap the answer, today's first; the other one is deprecated and still all that many servers know."""
CAPPED_TODAYS_WAY = re.compile(r"(ft:)?(gpt-|chatgpt-|o\d|codex)")
"""How OpenAI's own models are called: newer ones refuse the deprecated field, other makers' servers the new one."""
PROVIDER_FIELDS = {
    "web_search_options": "web_search",
    "plugins": "plugins",
    "search_parameters": "search_parameters",
    "mcp_servers": "mcp_servers",
}
"""Fields that turn on what the provider runs, of OpenAI and of servers that speak its API -> what that goes by."""
_OFFERING = frozenset({"tools", "functions", *PROVIDER_FIELDS})
ROLES: Mapping[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
ANSWERING = ("tool", "function")
"""Roles of messages that are the result of a call."""
SHAPES: Mapping[str, type] = {"tool_calls": list, "function_call": dict}
"""The fields of a message that hold its calls."""
WORDS = frozenset({"role", "content", "refusal", "annotations", "name", "audio", "tool_call_id"})
"""Fields of a message that are no call."""
CALL_WORDS = ("call", "tool")
"""A field of a message with one of these in its name may be a call, also one that is not known yet."""


def read(raw: bytes) -> Request:
    """Raises: BadRequest."""
    try:
        body = read_object(raw, "the request", once=True)
    except Unreadable as fault:
        raise BadRequest(str(fault)) from None
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        raise BadRequest("model is missing")
    if not isinstance(messages, list) or not {dict}.issuperset(map(type, messages)):
        raise BadRequest("messages is not a list of messages")
    streams = body.get("stream") is True
    return Request(
        dialect=NAME,
        model=text(model),
        streams=streams,
        body=body,
        raw=raw,
        output_tokens_max=max([count(body.get(cap)) for cap in CAPS]) or None,
        tools=() if _OFFERING.isdisjoint(body) else tuple(_offers(body)),
        conversation=tuple([said(message) for message in messages]),
        results=tuple(_results(messages)),
        media=chat_media(messages),
        asks_usage=not streams or mapping(body.get("stream_options")).get("include_usage") is True,
    )


def forwarded(request: Request, changes: Changes) -> bytes:
    """The body to send upstream: the client's bytes where nothing changes. A stream is always asked for its usage."""
    changed: dict[str, Any] = {}
    if request.streams and not request.asks_usage:
        changed["stream_options"] = {**mapping(request.body.get("stream_options")), "include_usage": True}
    if changes.model is not None and changes.model != request.model:
        changed["model"] = changes.model
    changed |= _capped(request, changes.output_tokens_max)
    if changes.injected or changes.edited:
        messages = [_noted(message, changes.edited) for message in request.body["messages"]]
        changed["messages"] = messages + [{"role": "user", "content": words} for words in changes.injected]
    if not changed and not changes.drop_tools:
        return request.raw
    body = {**request.body, **changed}
    if changes.drop_tools:
        body = _without_tools(body, changes.drop_tools)
    return request.raw if body == request.body else written(body)


def asked_again(request: Request, message: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Request:
    """The request with an answer's message appended, and the results of its calls."""
    body = {**request.body, "messages": [*request.body["messages"], message, *results]}
    spoken = tuple(said(each) for each in (message, *results))
    return replace(
        request,
        body=body,
        raw=written(body),
        conversation=(*request.conversation, *spoken),
        results=tuple(_results(body["messages"])),
        appended=request.appended + 1 + len(results),
    )


# -- reading -----------------------------------------------------------------------------------------------------------


def said(message: Mapping[str, Any]) -> Said:
    """One message as a person reads it."""
    role, content = message.get("role"), message.get("content")
    return Said(
        role=ROLES.get(text(role), "user"),
        text=(text(content) if type(content) is str else shown_text(content)) or text(message.get("refusal")),
        calls=tuple(calls_in(message)) if role == "assistant" else (),
        call=_answers(message) if role in ANSWERING else "",
    )


def shown_text(content: Any) -> str:
    """The words of a message's content; what is no text is named in brackets."""
    if not isinstance(content, list):
        return text(content)
    return "\n".join(_part(mapping(part)) for part in content)


def calls_in(message: Mapping[str, Any], answer_id: str = "", choice: int = 0) -> Iterator[ModelCall]:
    """The calls of a whole message, in order, those of an unknown kind among them. A call without an id is named after
    the answer, so that its id is unique in a run."""
    if WORDS.issuperset(message):
        return
    made = f"{answer_id or 'call'}.{choice}"
    for place, entry in enumerate(listed(message.get("tool_calls"))):
        yield call_in(mapping(entry), f"{made}.{place}", entry)
    if legacy := mapping(message.get("function_call")):
        yield _function(made, legacy, "function_call")
    for field in unknown_calls(message):
        yield ModelCall(id=f"{made}.{field}", name=field, args=None, raw=written_text(message[field]), kind=field)


def unknown_calls(message: Mapping[str, Any]) -> list[str]:
    """The fields of a message or delta that hold something and look like a call, though no type knows them."""
    misshapen = [field for field, shape in SHAPES.items() if (value := message.get(field)) and type(value) is not shape]
    return misshapen + [
        field
        for field, value in message.items()
        if value and field not in WORDS and field not in SHAPES and any(word in field.lower() for word in CALL_WORDS)
    ]


def call_in(entry: Mapping[str, Any], made_id: str, value: Any = None) -> ModelCall:
    """One entry of `tool_calls`."""
    id = text(entry.get("id")) or made_id
    custom, function = mapping(entry.get("custom")), mapping(entry.get("function"))
    if custom and not function:
        given = custom.get("input")
        raw = text(given) if isinstance(given, str) else written_text(given or "")
        return ModelCall(id=id, name=text(custom.get("name")), args={"input": raw}, raw=raw, kind="custom")
    if function:
        return _function(id, function, "function")
    kind = unknown_kind(text(entry.get("type")))
    return ModelCall(id=id, name=kind, args=None, raw=written_text(entry or value), kind=kind)


def unknown_kind(named: str) -> str:
    """What a call is called whose body nobody can read; never the name of a kind that can be edited."""
    return "unknown" if named in ("", "function", "custom", "function_call") else named


def _function(id: str, function: Mapping[str, Any], kind: str) -> ModelCall:
    given = function.get("arguments")
    # Some servers give an object where the format has its text.
    raw = text(given) if isinstance(given, str) else written_text(given) if given else ""
    return ModelCall(id=id, name=text(function.get("name")), args=arguments_in(raw), raw=raw, kind=kind)


def _part(part: Mapping[str, Any]) -> str:
    kind = text(part.get("type"))
    return text(part.get("text")) or text(part.get("refusal")) or f"[{kind or 'part'}]"


def _answers(message: Mapping[str, Any]) -> str:
    """The call that a message answers: the name of its function where the older format has no id."""
    if message.get("role") == "tool":
        return text(message.get("tool_call_id"))
    return text(message.get("name")) if message.get("role") == "function" else ""


def _results(messages: Sequence[Mapping[str, Any]]) -> list[ToolResult]:
    results: list[ToolResult] = []
    for message in reversed(messages):
        role = message.get("role")
        if role == "assistant":
            break
        if role in ANSWERING and (call := _answers(message)):
            results.append(ToolResult(call=call, text=shown_text(message.get("content"))))
    return results[::-1]


def _offers(body: Mapping[str, Any]) -> Iterator[ToolOffer]:
    for tool in map(mapping, listed(body.get("tools"))):
        kind = text(tool.get("type")) or "function"
        if kind in ("function", "custom"):
            yield _offer(mapping(tool.get(kind)) or tool)
        else:
            yield ToolOffer(name=_tool_name(tool), runs_at="provider", definition=tool)
    for function in listed(body.get("functions")):
        yield _offer(mapping(function))
    for key, name in PROVIDER_FIELDS.items():
        if body.get(key) is not None:
            yield ToolOffer(name=name, runs_at="provider", definition={key: body[key]})


def _offer(about: Mapping[str, Any]) -> ToolOffer:
    schema = about.get("parameters")
    return ToolOffer(
        name=text(about.get("name")),
        description=text(about.get("description")),
        schema=schema if isinstance(schema, dict) else None,
    )


def custom_tools(body: Mapping[str, Any]) -> frozenset[str]:
    """The names of the tools that take free text."""
    offered = (mapping(tool) for tool in listed(body.get("tools")))
    return frozenset(text(mapping(tool.get("custom")).get("name")) for tool in offered if tool.get("type") == "custom")


# -- changing ----------------------------------------------------------------------------------------------------------


def _capped(request: Request, cap: int | None) -> dict[str, Any]:
    """The fields that cap the answer, none of them higher than the client's. What it gave that is no number goes: a
    server might read one."""
    if cap is None or (request.output_tokens_max is not None and request.output_tokens_max <= cap):
        return {}
    given = [field for field in CAPS if request.body.get(field) is not None]
    fitting = CAPS[0] if CAPPED_TODAYS_WAY.match(request.model) else CAPS[1]
    return {field: min(cap, count(request.body.get(field)) or cap) for field in given or (fitting,)}


def _noted(message: Mapping[str, Any], notes: Mapping[str, str]) -> Mapping[str, Any]:
    """The message with a note before its words where it is the result of an edited call."""
    words = notes.get(_answers(message)) if _answers(message) else None
    if words is None:
        return message
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [{"type": "text", "text": words}, *content]}
    return {**message, "content": f"{words}\n\n{text(content)}"}


def _without_tools(body: Mapping[str, Any], dropped: frozenset[str]) -> dict[str, Any]:
    """The body without the tools of these names, and without what would ask for them."""
    left = {key: value for key, value in body.items() if PROVIDER_FIELDS.get(key) not in dropped}
    for key, choice in (("tools", "tool_choice"), ("functions", "function_call")):
        if not isinstance(left.get(key), list):
            continue
        kept = [tool for tool in left[key] if _tool_name(mapping(tool)) not in dropped]
        if len(kept) == len(left[key]):
            continue
        left[key] = kept
        if not kept:
            left.pop(key)
            left.pop("parallel_tool_calls", None)
        if not kept or any(name in dropped for name in _names_in(left.get(choice))):
            left.pop(choice, None)
    return left


def _tool_name(tool: Mapping[str, Any]) -> str:
    kind = text(tool.get("type"))
    return text(mapping(tool.get(kind)).get("name")) or text(tool.get("name")) or kind


def _names_in(choice: Any) -> list[str]:
    """The tools that a `tool_choice` or `function_call` names."""
    asked = mapping(choice)
    allowed = listed(mapping(asked.get("allowed_tools")).get("tools"))
    return [_tool_name(mapping(each)) for each in (asked, *allowed)]
