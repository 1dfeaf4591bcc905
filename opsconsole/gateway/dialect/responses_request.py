"""Requests of OpenAI Responses: read once, changed on their way upstream, asked again; no answer is read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opsconsole.gateway.dialect.interface import (
    Answered,
    BadRequest,
    Changes,
    Edited,
    Request,
    Ruling,
    Said,
    Stands,
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
)
from opsconsole.gateway.dialect.media import responses_media
from opsconsole.gateway.dialect.responses_items import (
    RAN,
    Item,
    applicable,
    call_in,
    is_call,
    result_of,
    with_arguments,
)

NAME = "openai.responses"
CLIENT_TOOLS = frozenset(
    {"function", "custom", "local_shell", "apply_patch", "computer", "computer_use_preview", "computer-preview"}
)
"""The types of tools that the client runs whatever they say; a shell and a search of tools say where they run."""
OUTPUT_TOKENS_MIN = 16
"""The API refuses a lower maximum."""
ROLES: Mapping[str, Any] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def read(raw: bytes) -> Request:
    """Raises: BadRequest."""
    try:
        body = read_object(raw, "the request", once=True)
    except Unreadable as fault:
        raise BadRequest(str(fault)) from None
    if not isinstance(body.get("input", ""), str | list):
        raise BadRequest("input: a text or a list is required")
    if not isinstance(body.get("model", ""), str | None):
        raise BadRequest("model: a text is required")
    return Request(
        dialect=NAME,
        model=text(body.get("model")),
        streams=body.get("stream") is True,
        body=body,
        raw=raw,
        output_tokens_max=count(body.get("max_output_tokens")) or None,
        tools=(*_prompts(body), *(offer for tool in listed(body.get("tools")) for offer in _offers(mapping(tool)))),
        conversation=tuple(_conversation(body)),
        results=tuple(_results(body)),
        media=responses_media(body.get("input")),
        previous=text(body.get("previous_response_id")) or None,
    )


def forwarded(request: Request, changes: Changes) -> bytes:
    """The body to send upstream: the client's own bytes where nothing changes."""
    body = dict(request.body)
    if changes.model is not None:
        body["model"] = changes.model
    own = count(body.get("max_output_tokens"))
    if changes.output_tokens_max is not None and (not own or own > changes.output_tokens_max):
        body["max_output_tokens"] = max(OUTPUT_TOKENS_MIN, changes.output_tokens_max)
    if changes.drop_tools:
        _drop_tools(body, changes.drop_tools)
    if changes.edited and isinstance(body.get("input"), list):
        body["input"] = [put for item in body["input"] for put in _noted(item, changes.edited)]
    if said := [told for told in changes.injected if told.strip()]:
        body["input"] = _with_injected(items_of(body), said)
    return request.raw if body == request.body else written(body)


def repeated(items: Sequence[Item], rulings: Sequence[Ruling]) -> list[Item]:
    """An answer's `items` as a later request repeats them, its calls ruled in their order; then the results of those
    that were Answered. Raises: CannotReask."""
    ruled = iter(rulings)
    told: list[Item] = []
    results: list[Item] = []
    for item in items:
        ruling = applicable(item, next(ruled)) if is_call(item) else Stands()
        told.append(with_arguments(item, ruling.args) if isinstance(ruling, Edited) else item)
        if isinstance(ruling, Answered):
            results.append(result_of(item, ruling))
    return [*told, *results]


def asked_again(request: Request, appended: Sequence[Item]) -> Request:
    """The request with an answer and its results appended. A conversation kept at the provider has the answer already,
    and one that stores nothing takes back no reasoning that is not sealed."""
    if request.body.get("conversation"):
        results = [item for item in appended if _result(item) is not None]
        return _asking(request, [], results)
    forgotten = request.body.get("store") is False
    kept = [item for item in appended if not (forgotten and item.get("type") == "reasoning" and not _carried(item))]
    return _asking(request, items_of(request.body), kept)


def items_of(body: Mapping[str, Any]) -> list[Any]:
    """The input as a list of items."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}] if given else []
    return list(listed(given))


def words(content: Any) -> str:
    """What a person reads of a message's content or of an output: its text, and the names of what is no text."""
    if isinstance(content, str):
        return text(content)
    return "\n".join(told for part in listed(content) if (told := _told(mapping(part))))


def _carried(item: Item) -> bool:
    """Whether reasoning can be given back to an upstream that has stored nothing."""
    return bool(text(item.get("encrypted_content")))


def _asking(request: Request, given: Sequence[Any], appended: Sequence[Item]) -> Request:
    again = read(written({**request.body, "input": [*given, *appended]}))
    return replace(again, results=(), appended=request.appended + len(appended))


def _prompts(body: Mapping[str, Any]) -> Iterator[ToolOffer]:
    """A prompt stored at the provider may bring tools that run there, and nobody here can read it."""
    if (prompt := body.get("prompt")) is not None:
        about = {key: value for key, value in mapping(prompt).items() if key != "variables"}
        name = f"prompt {text(about.get('id'))}".strip()
        yield ToolOffer(name=name, runs_at="provider", definition={"type": "prompt", **about}, is_needed=True)


def _offers(tool: Mapping[str, Any], within: str = "") -> Iterator[ToolOffer]:
    kind, name = text(tool.get("type")), tool_name(tool)
    if kind == "namespace":
        for inner in listed(tool.get("tools")):
            yield from _offers(mapping(inner), f"{name}.")
        return
    schema = tool.get("parameters")
    yield ToolOffer(
        name=within + name,
        description=text(tool.get("description")) or text(tool.get("server_description")),
        schema=schema if isinstance(schema, dict) else None,
        runs_at="client" if _at_client(kind, tool) else "provider",
        definition={} if _at_client(kind, tool) else tool,
    )


def _at_client(kind: str, tool: Mapping[str, Any]) -> bool:
    if kind == "shell":
        return text(mapping(tool.get("environment")).get("type")) in ("", "local")
    return kind in CLIENT_TOOLS or (kind == "tool_search" and tool.get("execution") == "client")


def tool_name(tool: Mapping[str, Any]) -> str:
    """What an offered tool goes by."""
    return next((name for key in ("name", "server_label", "type") if (name := text(tool.get(key)))), "")


def _conversation(body: Mapping[str, Any]) -> Iterator[Said]:
    if instructions := words(body.get("instructions")):
        yield Said(role="system", text=instructions)
    for item in items_of(body):
        if (said := _said(mapping(item))) is not None:
            yield said


def _said(item: Item) -> Said | None:
    kind = text(item.get("type")) or "message"
    if kind == "message":
        spoken = words(item.get("content"))
        return Said(role=ROLES.get(text(item.get("role")), "user"), text=spoken) if spoken else None
    if (result := _result(item)) is not None:
        return Said(role="tool", text=result.text, call=result.call)
    if is_call(item):
        return Said(role="assistant", text="", calls=(call_in(item),))
    silent = ("reasoning", "item_reference", "compaction", "compaction_trigger")
    return None if kind in silent else Said(role="assistant", text=f"[{kind}]")


def _told(part: Mapping[str, Any]) -> str:
    if said := text(part.get("text")) or text(part.get("refusal")) or text(part.get("stdout")):
        return said + text(part.get("stderr"))
    if "stderr" in part:
        return text(part.get("stderr"))
    kind = text(part.get("type"))
    return f"[{kind}]" if kind and "text" not in kind else ""


def _result(item: Item) -> ToolResult | None:
    kind = text(item.get("type"))
    if kind == "mcp_approval_response":
        approved = item.get("approve") is True
        told = "approved" if approved else text(item.get("reason")) or "refused"
        return ToolResult(call=text(item.get("approval_request_id")), text=told, is_error=not approved)
    if not kind.endswith(RAN):
        return None
    id = text(item.get("call_id")) or text(item.get("id"))
    output = item.get("output")
    told = f"[{text(output.get('type'))}]" if isinstance(output, dict) else words(output)
    return ToolResult(call=id, text=told, is_error=item.get("status") in ("failed", "incomplete"))


def _results(body: Mapping[str, Any]) -> list[ToolResult]:
    """Those after the last thing that the model said or called."""
    results: list[ToolResult] = []
    for item in reversed(items_of(body)):
        if (result := _result(mapping(item))) is not None:
            results.append(result)
        elif mapping(item).get("role") not in ("user", "developer", "system"):
            break
    return results[::-1]


def _drop_tools(body: dict[str, Any], names: frozenset[str]) -> None:
    """Takes the tools out, and the choice that would name them or none."""
    tools = listed(body.get("tools"))
    kept = [tool for given in tools if (tool := _without(given, names)) is not None]
    if kept == list(tools):
        return
    body["tools"] = kept
    choice = body.get("tool_choice")
    chosen = {tool_name(mapping(tool)) for tool in [choice, *listed(mapping(choice).get("tools"))]}
    if not kept or chosen & names:
        body.pop("tool_choice", None)
    if not kept:
        del body["tools"]


def _without(tool: Any, names: frozenset[str]) -> Any:
    """The tool, a namespace without some of its tools, or None."""
    name = tool_name(mapping(tool))
    if name in names:
        return None
    if mapping(tool).get("type") != "namespace":
        return tool
    inner = listed(tool.get("tools"))
    kept = [one for one in inner if f"{name}.{tool_name(mapping(one))}" not in names]
    return {**tool, "tools": kept} if kept else None


def _with_injected(items: list[Any], said: Sequence[str]) -> list[Any]:
    """An operator's words at the end; what asks for a compaction stays the last item, as the API demands."""
    message = {"role": "user", "content": [{"type": "input_text", "text": told} for told in said]}
    triggers = bool(items) and mapping(items[-1]).get("type") == "compaction_trigger"
    return [*items[:-1], message, items[-1]] if triggers else [*items, message]


def _noted(item: Any, notes: Mapping[str, str]) -> list[Any]:
    """The item with its note; as a message before it where its output has no room for words."""
    result = mapping(item)
    known = text(result.get("type")).endswith(RAN)
    note = notes.get(text(result.get("call_id")) or text(result.get("id"))) if known else None
    if note is None:
        return [item]
    output = result.get("output")
    if isinstance(output, str):
        return [{**result, "output": f"{note}\n\n{output}"}]
    if isinstance(output, list):
        shell = {"stdout": note, "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
        part = shell if result.get("type") == "shell_call_output" else {"type": "input_text", "text": note}
        return [{**result, "output": [part, *output]}]
    return [item, {"role": "user", "content": [{"type": "input_text", "text": note}]}]
