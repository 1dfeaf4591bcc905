"""A command that may not stand, with a code a client can act on; it is data, not an accident."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """Raised inside the desk while a command is checked; it becomes the `res` of the command."""

    def __init__(self, code: str, message: str, current: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.current = current
