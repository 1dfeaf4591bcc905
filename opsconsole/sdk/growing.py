"""A message that grows part by part: gathers parts into few events; it journals nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opsconsole.sdk.bounded import bounded_text

APPEND_SECONDS = 0.05
"""Parts of a growing message are gathered for this long,"""
APPEND_BYTES_MAX = 4_096
"""or up to this size."""


@dataclass(slots=True)
class Growing:
    """The parts of one message that are not journalled yet."""

    id: str
    role: str
    since: float
    """When the first part came, monotonic seconds."""
    parts: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, part: str) -> bool:
        """One more part; True when it is time for an event."""
        self.parts.append(part)
        self.size += len(part)
        return self.size >= APPEND_BYTES_MAX

    @property
    def due(self) -> float:
        """When the parts become an event at the latest."""
        return self.since + APPEND_SECONDS

    def event(self) -> dict[str, Any]:
        """The parts as one event."""
        text = bounded_text("".join(self.parts))
        return {"type": "message", "id": self.id, "role": self.role, "append": text}
