"""What was found in a shell command, gathered while its parts are looked at; it holds no rule of its own."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a table that is written as one text."""
    return frozenset(text.split())


class Findings:
    """Flags that only ever rise, and the first reason for any of them, in words."""

    __slots__ = ("destructive", "leaves_workspace", "network", "unclear", "why", "writes")

    def __init__(self) -> None:
        self.writes = False
        self.destructive = False
        self.leaves_workspace = False
        self.network = False
        self.unclear = False
        self.why = ""

    @property
    def is_read_only(self) -> bool:
        """Whether everything was understood and nothing was found."""
        return not (self.unclear or self.writes or self.leaves_workspace or self.network or self.destructive)

    def note_unclear(self, why: str) -> None:
        """Something was not understood."""
        self.unclear = True
        self.why = self.why or why

    def note_writes(self, why: str) -> None:
        """Something in the workspace is changed."""
        self.writes = True
        self.why = self.why or why

    def note_destructive(self, why: str) -> None:
        """Something is lost that cannot be had again, or the system itself is touched."""
        self.writes = True
        self.destructive = True
        self.why = self.why or why

    def note_leaves(self, why: str) -> None:
        """Something outside the workspace, or a credential in it, is named."""
        self.leaves_workspace = True
        self.why = self.why or why

    def note_network(self, why: str) -> None:
        """Another machine is spoken to."""
        self.network = True
        self.why = self.why or why

    def merge(self, other: Findings) -> None:
        """Everything that the other has found as well."""
        self.writes |= other.writes
        self.destructive |= other.destructive
        self.leaves_workspace |= other.leaves_workspace
        self.network |= other.network
        self.unclear |= other.unclear
        self.why = self.why or other.why
