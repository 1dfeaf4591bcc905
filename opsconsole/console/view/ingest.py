"""Where the hub's rows enter the console: every text is made safe to show, once, before anything is joined to it.

The arguments of a held call are kept as they came too: they are what an edit starts from and what a decision is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import Any

from pydantic import ValidationError

from opsconsole.domain.text import CELL_CHARS_MAX, PANE_CHARS_MAX, safe, safe_line
from opsconsole.protocol.rows import Alert, ApprovalRow, PointRow, ReceiptLine, RunRow, Waiting

DEPTH_MAX = 40
"""Levels of nesting that are looked into; deeper ones are replaced by a mark (the protocol refuses them earlier)."""
TOO_DEEP = "… nested too deeply to show"


_FIELDS = frozenset(name for row in (RunRow, PointRow, ReceiptLine, Waiting, Alert) for name in row.model_fields)
_WORDLESS = frozenset({int, float, bool, NoneType})
"""What needs no look: names of our own, and values that hold no text. A row has dozens, and changes all the time."""


_MAY_BE_LEFT_OUT = frozenset({"labels", "caps", "models", "waiting", "points", "alerts", "held_by"})
"""Not a kill or a takeover: without them a run that needs a person would be shown as one that does not."""
IN_PART = "row"
"""The kind of the alert on a row that is shown in part only; the hub gives it too, to rows that it had to shorten."""


class BadRow(ValueError):
    """The hub sent a row that this version cannot read; the console says so and goes on."""

    def __init__(self, why: str, *, key: object) -> None:
        super().__init__(why)
        self.key = safe_cell(str(key))
        """What it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCall:
    """An approval as shown, and its arguments exactly as the hub sent them."""

    row: ApprovalRow
    """Every text in it is safe to show."""
    args: dict[str, Any]
    """Not safe to show."""

    @property
    def key(self) -> str:
        """The approval's id."""
        return self.row.key


def is_plain(data: str | bytes) -> bool:
    """Whether no text in an encoded frame can hold a character that is not printable ASCII.

    Raw control characters are no JSON, and everything else that is not itself stands behind a backslash.
    """
    text = data if isinstance(data, str) else data.decode("ascii", "replace")
    return text.isascii() and "\\" not in text and "\x7f" not in text


def run_row(raw: dict[str, Any], plain: bool = False) -> RunRow:
    """A run's row with every text safe on one line; of a `plain` frame they are, unless too long.

    A table or list in it that cannot be read is left out, and a critical alert of the kind `row` says so.
    Raises: BadRow, where what cannot be read may be what is amiss with the run.
    """
    is_safe = plain and all(len(item) <= CELL_CHARS_MAX for item in raw.values() if type(item) is str)
    told = raw if is_safe else one_line(raw)
    try:
        return RunRow.model_validate(told)
    except ValidationError as error:
        return _in_part(told, error, raw.get("key"))


def _in_part(told: dict[str, Any], error: ValidationError, key: object) -> RunRow:
    unread = {str(part["loc"][0]) for part in error.errors(include_url=False, include_input=False) if part["loc"]}
    if not unread or not unread <= _MAY_BE_LEFT_OUT:
        raise BadRow(_first(error), key=key) from None
    mark = {"id": f"{told['key']}:row", "kind": IN_PART, "level": "critical", "at": told["progress_at"]}
    alerts = [] if "alerts" in unread else told.get("alerts", [])
    known = {name: value for name, value in told.items() if name not in unread}
    text = f"this console cannot read its {', '.join(sorted(unread))}"
    return RunRow.model_validate(known | {"alerts": [*alerts, mark | {"text": text}]})


def held_call(raw: dict[str, Any], plain: bool = False) -> HeldCall:
    """An approval's row with every text safe, looked through whatever the frame. Raises: BadRow."""
    try:
        row = ApprovalRow.model_validate(in_pane(raw))
    except ValidationError as error:
        raise BadRow(_first(error), key=raw.get("key")) from None
    args = raw.get("args")
    return HeldCall(row=row, args=args if isinstance(args, dict) else {})


def one_line(value: Any, depth: int = 0) -> Any:
    """`value` with every text, keys too, safe on one line."""
    if isinstance(value, str):
        return safe_cell(value)
    if isinstance(value, dict):
        if depth >= DEPTH_MAX:
            return TOO_DEEP
        return {
            key if key in _FIELDS else safe_cell(str(key)): item if type(item) in _WORDLESS else _inner(item, depth)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return TOO_DEEP if depth >= DEPTH_MAX else [_inner(item, depth) for item in value]
    return value


def _inner(item: Any, depth: int) -> Any:
    """`one_line` of what stands inside, without the calls for what needs none: this runs for every changed row."""
    kind = type(item)
    if kind is str:
        return item if item.isascii() and item.isprintable() and len(item) <= CELL_CHARS_MAX else safe_line(item)
    return one_line(item, depth + 1) if kind is dict or kind is list or kind is tuple else item


def safe_cell(text: str) -> str:
    """`text` safe on one line; most of it is already."""
    return text if text.isascii() and text.isprintable() and len(text) <= CELL_CHARS_MAX else safe_line(text)


def in_pane(value: Any, depth: int = 0, *, limit: int = PANE_CHARS_MAX) -> Any:
    """`value` with every text, keys too, safe and at most `limit` characters long; line breaks of texts stay."""
    if isinstance(value, str):
        return safe(value, limit=limit)
    if isinstance(value, dict):
        if depth >= DEPTH_MAX:
            return TOO_DEEP
        return {safe_line(str(key)): in_pane(item, depth + 1, limit=limit) for key, item in value.items()}
    if isinstance(value, list):
        return TOO_DEEP if depth >= DEPTH_MAX else [in_pane(item, depth + 1, limit=limit) for item in value]
    return value


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return safe_line(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
