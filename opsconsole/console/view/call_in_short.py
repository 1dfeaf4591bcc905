"""The arguments of a call on one line, what identifies it first; never what a decision is bound to."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.domain.text import safe_line

ARGUMENTS_MAX = 12
"""Arguments that are named on one line; no screen is wider."""
SHORT_CHARS_MAX = 24
"""A value that is read at a glance; longer ones stand behind those."""
VALUE_CHARS_MAX = 60
"""What is said of one value where others follow it."""
_TELLING = (
    *("to", "recipient", "recipients", "target", "host", "url", "channel"),
    *("sql", "query", "statement", "stmt", "command", "cmd", "code"),
    *("path", "file", "file_path", "filename", "table", "database", "resource"),
    *("account", "iban", "card", "customer", "user", "order", "invoice", "charge"),
    *("amount", "amount_usd", "cents", "currency", "id", "name", "subject"),
)
"""Names of arguments that say on what or whom a call acts, the most telling first; a guess, as with colours."""
_RANKS = {name: rank for rank, name in enumerate(_TELLING)}


def call_in_short(args: dict[str, Any]) -> str:
    """`name=value` of the arguments: what tells calls apart first, then short values, long ones last."""
    ordered = sorted(args.items(), key=_place)[:ARGUMENTS_MAX]
    return "  ".join(f"{safe_line(name, limit=VALUE_CHARS_MAX)}={_value(value)}" for name, value in ordered)


def _place(argument: tuple[str, Any]) -> tuple[int, int]:
    """Telling names, other names of ids, short values, long texts, tables and lists; each as it came."""
    name, value = argument
    rank = _RANKS.get(name.lower())
    if rank is not None and not isinstance(value, dict):
        return 0, rank
    if name.lower().endswith("_id"):
        return 1, 0
    if isinstance(value, dict | list):
        return 4, 0
    return (3 if isinstance(value, str) and len(value) > SHORT_CHARS_MAX else 2), 0


def _value(value: Any) -> str:
    """A text as it is, anything else as JSON; the beginning of what is long."""
    if isinstance(value, str):
        text = value[: VALUE_CHARS_MAX + 1]
    elif isinstance(value, dict | list):
        text = json.dumps(_few(value), ensure_ascii=False)
    else:
        text = json.dumps(value)
    return safe_line(text if len(text) <= VALUE_CHARS_MAX else f"{text[: VALUE_CHARS_MAX - 1]}…")


def _few(value: dict[str, Any] | list[Any]) -> Any:
    """The first of a table or list: the others would be cut."""
    few = VALUE_CHARS_MAX // 2
    if isinstance(value, dict):
        return {name[:few]: _flat(one) for name, one in list(value.items())[:few]}
    return [_flat(one) for one in value[:few]]


def _flat(value: Any) -> Any:
    if isinstance(value, dict | list):
        return "…" if value else value
    return value[:VALUE_CHARS_MAX] if isinstance(value, str) else value
