"""What a detector finds, and what every detector is; nothing is stopped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar

from opsconsole.policy.detectors.observation import Seen


class Severity(StrEnum):
    """How bad it is."""

    WARN = "warn"
    """Somebody should look."""
    TRIP = "trip"
    """The run should be paused, nudged and asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that goes wrong, with its evidence.

    Text and evidence may hold names and words of agents: whoever shows or stores them masks them like any other.
    """

    detector: str
    severity: Severity
    text: str
    """One line for a person."""
    key: str
    """The same for the same trouble: told again only when it has become graver or concerns more runs."""
    runs: tuple[str, ...]
    """Whom it concerns, the first the one that brought it up."""
    agents: tuple[str, ...] = ()
    """Whose thresholds an operator's answer changes; none: the fleet's, under the name `""`."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """JSON values."""


NOTHING: Sequence[Finding] = ()
Settings_co = TypeVar("Settings_co", covariant=True)


class SettingsOf(Protocol[Settings_co]):
    """The settings that hold for an agent; of `""` for the fleet."""

    def __call__(self, agent: str, /) -> Settings_co:
        """As operators' answers have tuned them."""
        ...


class Detector(Protocol):
    """A fold: what it has seen, in a bounded memory, gives what it finds. Pure, and no observation makes it raise."""

    watches: ClassVar[tuple[type[Seen], ...]]
    """The observations it is given; no other."""

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """What this observation brings to light."""
        ...

    def dump(self) -> Any:
        """Its memory as JSON values."""
        ...

    def load(self, state: Any) -> None:
        """Put back what `dump` gave. Raises: whatever reading foreign state raises."""
        ...
