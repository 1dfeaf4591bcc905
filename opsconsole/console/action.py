"""What one act of the console is: its id, its keys, where they work and its words; it names none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

ViewName = Literal[
    "runs", "approvals", "run", "audit", "help", "takeover", "draft", "graph", "fleet", "alerts", "replay", "shift"
]
EVERYWHERE: frozenset[ViewName] = frozenset(get_args(ViewName))
READING: frozenset[ViewName] = EVERYWHERE - {"draft"}
ON_A_RUN: frozenset[ViewName] = frozenset({"runs", "run", "takeover", "graph", "fleet", "alerts"})
"""Where the run under the cursor is a live one: a replay is not among them."""
CALLS: frozenset[ViewName] = frozenset({"approvals"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One act."""

    id: str
    keys: tuple[str, ...]
    label: str
    """A word or two for the line of hints."""
    help: str
    """One sentence for the help."""
    views: frozenset[ViewName]
    hint: int = 0
    """Place in the line of hints, most useful first; 0 keeps it out."""
    asks: bool = False
    """Whether it asks for words: when it is refused, the keys that follow were meant as those words."""
    sudden: bool = False
    """Whether it acts without asking: then it must not be a letter of a word that is being typed."""
    shown_key: str = ""
    """How the key is written, where its name is not that."""

    @property
    def key_text(self) -> str:
        """The keys as the operator reads them."""
        return self.shown_key or " ".join(self.keys)
