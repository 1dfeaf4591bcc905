"""The words of an agent's author as events: messages, notes, checkpoints; checked here, kept and sent elsewhere."""

from __future__ import annotations

from typing import Any, Literal, get_args

from opsconsole.domain.digest import NotCanonical, canonical
from opsconsole.sdk.bounded import bounded_text

Role = Literal["user", "assistant", "thought", "system", "operator"]
Level = Literal["debug", "info", "warning", "error"]
_ROLES, _LEVELS = get_args(Role), get_args(Level)

CHECKPOINT_BYTES_MAX = 8 * 1024 * 1024
"""A larger state belongs into a file of the agent's own."""


def message_event(message: str, role: str, author: str | None = None) -> dict[str, Any]:
    """A message without its text. Raises: ValueError if the hub knows no such role."""
    _demand("a message's role", role, _ROLES)
    event: dict[str, Any] = {"type": "message", "id": message, "role": role}
    return event | {"author": bounded_text(author, 200)} if author else event


def note_event(text: str, level: str, data: dict[str, Any] | None) -> dict[str, Any]:
    """A line for the timeline. Raises: ValueError if the hub knows no such level."""
    _demand("a note's level", level, _LEVELS)
    event: dict[str, Any] = {"type": "note", "level": level, "text": bounded_text(text)}
    return event | {"data": data} if data else event


def checkpoint_state(state: Any) -> bytes:
    """The state as it is kept. Raises: ValueError if it is not plain JSON or too large."""
    try:
        data = canonical(state)
    except NotCanonical as error:
        raise ValueError(f"a checkpoint is plain JSON: {error}") from None
    if len(data) > CHECKPOINT_BYTES_MAX:
        raise ValueError(f"a checkpoint has at most {CHECKPOINT_BYTES_MAX} bytes, not {len(data)}")
    return data


def checkpoint_event(checkpoint: str, size: int) -> dict[str, Any]:
    """Says that a state was kept."""
    data = {"bytes": size, "id": checkpoint}
    return {"type": "note", "kind": "checkpoint", "text": f"{size} bytes", "data": data}


def _demand(what: str, given: str, accepted: tuple[str, ...]) -> None:
    if given not in accepted:
        raise ValueError(f"{what} is one of {', '.join(accepted)}, not {given[:200]!r}")
