"""What a run does while the hub cannot be reached: a value its author chooses; the gate and the link carry it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from opsconsole.domain.tool_call import RISK_RANK, Risk
from opsconsole.errors import ConfigError

LEASE_SECONDS = 60.0
"""How long `run="stop"` goes on unheard when no lease is given: as long as the hub takes to draw a link as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnHubLost:
    """The hub is lost when an attempt to reach it failed since it was last heard.

    gate: `wait` for a verdict until the call's time is over, then refuse; `reject` at once; `allow` calls whose
    declared risk is known and at most `allow_risk_max`, on record as an override, while all others wait.
    run: `continue`, or `stop` when nothing was heard for `lease_seconds` (and not start without the hub).
    Raises: ConfigError on values that contradict each other.
    """

    gate: Literal["wait", "reject", "allow"] = "wait"
    allow_risk_max: Risk | None = None
    run: Literal["continue", "stop"] = "continue"
    lease_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.gate not in ("wait", "reject", "allow"):
            raise ConfigError(f"on_hub_lost.gate is wait, reject or allow, not {self.gate!r}")
        if self.run not in ("continue", "stop"):
            raise ConfigError(f"on_hub_lost.run is continue or stop, not {self.run!r}")
        if self.allow_risk_max is not None:
            object.__setattr__(self, "allow_risk_max", Risk(self.allow_risk_max))
        if self.gate == "allow" and self.allow_risk_max is None:
            raise ConfigError("on_hub_lost.gate='allow' needs allow_risk_max: low, medium, high or critical")
        if self.lease_seconds is not None and not self.lease_seconds > 0:
            raise ConfigError("on_hub_lost.lease_seconds is a number of seconds above 0")

    def allows(self, risk: Risk | None) -> bool:
        """Whether a call of this declared risk may run unseen; one of unknown risk may not."""
        if self.gate != "allow" or self.allow_risk_max is None or risk is None:
            return False
        return RISK_RANK[risk] <= RISK_RANK[self.allow_risk_max]

    @property
    def lease(self) -> float | None:
        """Seconds without a word from the hub after which the run stops itself; None if it never does."""
        return (self.lease_seconds or LEASE_SECONDS) if self.run == "stop" else None

    def to_json(self) -> dict[str, Any]:
        """As the `run` event carries it."""
        fields = {
            "gate": self.gate,
            "allow_risk_max": self.allow_risk_max,
            "run": self.run,
            "lease_seconds": self.lease,
        }
        return {
            name: str(value) if isinstance(value, Risk) else value
            for name, value in fields.items()
            if value is not None
        }
