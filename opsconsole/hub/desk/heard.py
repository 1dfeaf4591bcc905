"""What one run was shown, kept as text until somebody asks what is in it; it knows no desk."""

from __future__ import annotations

from dataclasses import dataclass, field

from opsconsole.policy.facts.memory import Memory

WAITING_CHARS_MAX = 262_144
"""Of one run, kept until somebody asks; more is looked through at once."""


@dataclass(slots=True)
class RunHistory:
    """One run's, and what has not been looked through yet."""

    memory: Memory = field(default_factory=Memory)
    waiting: list[str] = field(default_factory=list)
    chars: int = 0

    def hear(self, text: str) -> None:
        """The run was shown this."""
        self.waiting.append(text)
        self.chars += len(text)
        if self.chars > WAITING_CHARS_MAX:
            self.look()

    def look(self) -> None:
        """Look through what waits."""
        waiting, self.waiting, self.chars = self.waiting, [], 0
        for text in waiting:
            self.memory.hear(text)
