"""Who a run is, as the hub is told; it opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.on_hub_lost import OnHubLost

CAPS = ["hold", "pause", "inject", "takeover", "kill_cooperative"]
"""What this point can do to its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who runs."""

    agent: str
    name: str | None = None
    parent: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    resumable: bool = False
    """Whether a later process may go on with this run: it has a key, or a supervisor's id."""
    keyed: bool = False
    supervised: bool = False
    """Whether a supervisor has named it: once it has ended, no other program of that supervisor takes it up."""

    def facts(self) -> dict[str, bool]:
        """What whoever finds the journal must know."""
        return {"resumable": self.resumable, "keyed": self.keyed, "supervised": self.supervised}

    def to_json(self, policy: OnHubLost, restored_from: str | None) -> dict[str, Any]:
        """As the `run` event carries it."""
        labels = {bounded_text(str(k), 200): bounded_text(str(v), 1_000) for k, v in list(self.labels.items())[:32]}
        fields: dict[str, Any] = {
            "agent": bounded_text(self.agent, 200),
            "name": bounded_text(self.name, 500) if self.name else None,
            "parent": self.parent,
            "labels": labels or None,
            "restored_from": restored_from,
        }
        told = {name: value for name, value in fields.items() if value is not None}
        return {"type": "run", **told, "caps": CAPS, "on_hub_lost": policy.to_json()}
