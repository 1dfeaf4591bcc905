"""The items of OpenAI Responses: which are calls of the client, what they say, how they are answered; no frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from opsconsole.gateway.dialect.interface import Answered, CannotReask, Edited, ModelCall, Ruling
from opsconsole.gateway.dialect.json_text import arguments_in, mapping, text, written_text

Item = Mapping[str, Any]

PASSING: Final = frozenset(
    {
        "message",
        "reasoning",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_response",
        "program",
        "additional_tools",
        "compaction",
    }
)
"""What is no call that the client is to run: words, and what already ran at the provider."""
RAN: Final = "_output"
"""How the types of items end that say what became of a call."""
SIGNS_OF_A_CALL: Final = ("call_id", "name", "arguments", "input", "action", "actions", "command", "operation")
"""Fields of items of a type that nobody knows yet; with any of them it is held as a call."""
WORDS_OF_A_CALL: Final = ("call", "tool", "use", "action", "command", "exec", "approval", "request")
HELD_IN: Final = {
    "local_shell_call": "action",
    "shell_call": "action",
    "apply_patch_call": "operation",
    "tool_search_call": "arguments",
}
"""The types whose arguments are an object, and the field that holds it."""
OWN_NAMES: Final = {
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "computer_call": "computer",
    "tool_search_call": "tool_search",
}
"""Calls without a name: they go by the tool that is offered."""
BOOKKEEPING: Final = frozenset({"id", "type", "status", "call_id", "name", "namespace", "caller", "created_by"})
"""Fields of an item of an unknown type that are no arguments."""
NOT_EDITABLE: Final = "An operator edited this call, but the server that runs it holds its arguments: it was refused."
COMPUTER_ARGUMENTS: Final = ("action", "actions", "pending_safety_checks")


def is_call(item: Item) -> bool:
    """Whether the client is to run it; a type that nobody knows counts as a call when it looks like one."""
    kind = text(item.get("type"))
    if kind in PASSING or kind.endswith(RAN):
        return False
    if kind == "shell_call":
        return text(mapping(item.get("environment")).get("type")) != "container_reference"
    if kind == "tool_search_call":
        return item.get("execution") != "server"
    looks = any(word in kind for word in WORDS_OF_A_CALL) or any(sign in item for sign in SIGNS_OF_A_CALL)
    return looks or not kind


def call_id(item: Item) -> str:
    """What a later request names the call by."""
    return text(item.get("call_id")) or text(item.get("id"))


def name_of(item: Item) -> str:
    """The tool's name; with its namespace or server before it, where it has one."""
    kind = text(item.get("type"))
    name = text(item.get("name")) or OWN_NAMES.get(kind) or kind or "unnamed"
    within = text(item.get("namespace")) or text(item.get("server_label"))
    return f"{within}.{name}" if within else name


def raw_of(item: Item) -> str:
    """The arguments as the model wrote them: its own text, or the JSON of the fields that hold them."""
    kind = text(item.get("type"))
    if kind == "custom_tool_call":
        return text(item.get("input"))
    if kind in HELD_IN:
        return written_text(item.get(HELD_IN[kind]) or {})
    if kind == "computer_call":
        return written_text({key: item[key] for key in COMPUTER_ARGUMENTS if item.get(key) is not None})
    if isinstance(item.get("arguments"), str):
        return text(item["arguments"])
    return written_text({key: value for key, value in item.items() if key not in BOOKKEEPING})


def call_in(item: Item) -> ModelCall:
    """The call that a whole item is."""
    kind, raw = text(item.get("type")), raw_of(item)
    custom = kind == "custom_tool_call"
    return ModelCall(
        id=call_id(item),
        name=name_of(item),
        args={"input": raw} if custom else arguments_in(raw),
        raw=raw,
        kind={"function_call": "function", "custom_tool_call": "custom"}.get(kind, kind or "unknown"),
    )


def with_arguments(item: Item, args: Mapping[str, Any]) -> dict[str, Any]:
    """The item with other arguments, where its type keeps them."""
    kind = text(item.get("type"))
    if kind == "custom_tool_call":
        only = args.get("input")
        return {**item, "input": only if isinstance(only, str) and len(args) == 1 else written_text(args)}
    if kind in HELD_IN:
        return {**item, HELD_IN[kind]: dict(args)}
    if kind == "computer_call":
        kept = {key: value for key, value in item.items() if key not in COMPUTER_ARGUMENTS}
        return {**kept, "pending_safety_checks": [], **args}
    if "arguments" in item or kind == "function_call":
        return {**item, "arguments": written_text(args)}
    return {key: value for key, value in item.items() if key in BOOKKEEPING} | dict(args)


def applicable(item: Item, ruling: Ruling) -> Ruling:
    """The ruling, as far as it can be followed: a hosted server asks for leave to run what it has, and nothing else."""
    edits = isinstance(ruling, Edited) and item.get("type") == "mcp_approval_request"
    return Answered(text=NOT_EDITABLE) if edits else ruling


def with_call_id(item: Item, id: str) -> dict[str, Any]:
    """The item under another id, in the field that results name."""
    return {**item, "call_id" if "call_id" in item or text(item.get("type")).endswith("_call") else "id": id}


def result_of(item: Item, answer: Answered) -> dict[str, Any]:
    """The item that answers a call. Raises: CannotReask where the format has none (a screenshot is demanded, or nobody
    knows the type)."""
    kind = text(item.get("type"))
    if kind not in _RESULTS:
        raise CannotReask(f"{kind[:80]} cannot be answered in words")
    return _RESULTS[kind](item, answer)


def _function(item: Item, answer: Answered) -> dict[str, Any]:
    output = {"type": f"{item['type']}_output", "call_id": call_id(item), "output": answer.text}
    return {**output, "caller": item["caller"]} if item.get("caller") else output


def _local_shell(item: Item, answer: Answered) -> dict[str, Any]:
    told = {"output": answer.text, "metadata": {"exit_code": int(answer.is_error)}}
    return {"type": "local_shell_call_output", "id": call_id(item), "output": written_text(told)}


def _shell(item: Item, answer: Answered) -> dict[str, Any]:
    streams = {"stdout": "", "stderr": answer.text} if answer.is_error else {"stdout": answer.text, "stderr": ""}
    chunk = {**streams, "outcome": {"type": "exit", "exit_code": int(answer.is_error)}}
    output = {"type": "shell_call_output", "call_id": call_id(item), "output": [chunk]}
    return {**output, "caller": item["caller"]} if item.get("caller") else output


def _patch(item: Item, answer: Answered) -> dict[str, Any]:
    status = "failed" if answer.is_error else "completed"
    return {"type": "apply_patch_call_output", "call_id": call_id(item), "status": status, "output": answer.text}


def _search(item: Item, answer: Answered) -> dict[str, Any]:
    """No tools are found: the format has no room for words."""
    kind = "tool_search_output"
    return {"type": kind, "call_id": call_id(item), "execution": "client", "status": "completed", "tools": []}


def _approval(item: Item, answer: Answered) -> dict[str, Any]:
    """An operator's words in place of a call are a refusal to the server that would run it."""
    told = {"approval_request_id": text(item.get("id")), "approve": False, "reason": answer.text}
    return {"type": "mcp_approval_response", **told}


_RESULTS: Mapping[str, Callable[[Item, Answered], dict[str, Any]]] = {
    "function_call": _function,
    "custom_tool_call": _function,
    "local_shell_call": _local_shell,
    "shell_call": _shell,
    "apply_patch_call": _patch,
    "tool_search_call": _search,
    "mcp_approval_request": _approval,
}


def note_item(id: str, words: str) -> dict[str, Any]:
    """A message of the model in place of the call `id`."""
    content = {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
    return {"id": f"msg_{id}", "type": "message", "status": "completed", "role": "assistant", "content": [content]}
