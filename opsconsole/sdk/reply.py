"""What an operator who has taken over says as the model; it is not the model's own reply, and says who spoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCall:
    """A tool call the operator composed. It goes through the gate like any other."""

    id: str
    name: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """The operator's turn: words, calls, or both."""

    text: str
    calls: tuple[OperatorCall, ...] = ()
    author: str = ""
