"""Values that are made many times a turn: frozen to whoever reads and checks them, free of what frozen costs to make.

A frozen dataclass writes each field through a call that says no to everybody else; of a value with a dozen fields that
is most of its making. mypy sees the frozen dataclass that stands there, and lets nobody write to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["light_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as light_dataclass
else:
    from dataclasses import dataclass

    def light_dataclass(*, frozen: bool, slots: bool, kw_only: bool = False) -> Any:
        """`dataclass` so made, except that no write is refused at run time. Raises: TypeError, unless `frozen`."""
        if not frozen:
            raise TypeError("a light value is a frozen one")
        return dataclass(slots=slots, kw_only=kw_only, unsafe_hash=True)
