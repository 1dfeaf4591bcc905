"""What the desk's detectors have before them: what they have yet to look at, bounded, and their memory of the rest."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from opsconsole.domain.usage import Usage
from opsconsole.hub.desk.state import Call
from opsconsole.policy.breakers import Breakers, Notice
from opsconsole.policy.detectors.finding import Finding
from opsconsole.policy.detectors.observation import TurnEnded
from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.settings import DetectorSettings
from opsconsole.protocol.events import UsageEvent

LOOK_SECONDS = 0.25
"""How long what happens waits at most before a hub with room looks at it."""
LOOKED_AT_MAX = 600
"""Of one look: 2,400 a second, almost twice what two thousand busy runs bring: a few hundredths of the hub's time."""
TURN_OF_A_RUN = 16
"""Looked at of one run before the next one's turn: no run hides another behind its noise."""
UNSEEN_MAX = 128
"""Of one run; what is beyond it is not looked at, and the hub says so."""
UNSEEN_CHARS_MAX = 32 * 1024 * 1024
"""Of all runs together: results and messages that are kept until they are looked at."""
FOUND_MAX = 1_000
"""Findings of a replay, until the desk may act on them."""


class Noted(Struct, gc=False):
    """What is noted of an event until a look comes to it, a few values.

    There are hundreds of thousands under a flood, and nothing in one leads back to it: the collector of garbage, which
    would stop the hub to go through all of them, passes them by.
    """

    at: float
    chars: int
    """What it keeps of texts."""


class Started(Noted, gc=False):
    """A run begins."""


class Proposed(Noted, gc=False):
    """A call is judged, or runs unasked; with what the facts found."""

    call: Call
    args: dict[str, Any] | None
    facts: Mapping[str, Any]


class Ended(Noted, gc=False):
    """A call is over."""

    call: Call
    text: str
    latency_ms: float | None


class Used(Noted, gc=False):
    """Usage was read; `cost_usd` is what the run's cost grew by, None where that is not known."""

    event: UsageEvent
    before: Usage
    after: Usage
    cost_usd: float | None


class Said(Noted, gc=False):
    """Somebody said something, whole; `speaker` is empty for the agent itself."""

    speaker: str
    text: str


class Retried(Noted, gc=False):
    """A gateway asks a provider again; `told` is as it says."""

    told: Mapping[str, Any]


@dataclass(slots=True)
class Watched:
    """One run before the detectors."""

    unseen: deque[Noted] = field(default_factory=deque)
    is_heard: bool = False
    """A part of an answer came in since the last look."""
    lost: int = 0
    """Not looked at, since the last look: its open waits are right all the same."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """model -> its usage when its last turn was seen to end."""
    tells_turns: bool = False
    """It reports each turn of the model, with its end and how long it took."""
    turn: TurnEnded | None = None
    """A turn whose usage is known, and not yet how long it took."""
    providers: dict[str, str] = field(default_factory=dict)
    """model -> who serves it, as a gateway says."""
    waits: dict[str, str] = field(default_factory=dict)
    """Open wait -> whom or what it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the breakers have counted of a run: what it grows by later is counted then, over a restart too."""

    cost_usd: float = 0.0
    turns: int = 0
    tokens: int = 0
    tool_calls: int = 0


@dataclass(slots=True)
class Budgets:
    """The breakers before the desk."""

    breakers: Breakers = field(default_factory=lambda: Breakers(()))
    counted: OrderedDict[str, Counted] = field(default_factory=OrderedDict)
    waiting: dict[tuple[str, str], None] = field(default_factory=dict)
    """(run, call) of turns that wait for others to be over, in order."""
    is_on: bool = False
    """The policy has breakers."""
    is_ticking: bool = False
    has_latency: bool = False
    """Some breaker looks at how long calls take."""
    is_due: bool = False
    """Turns that wait are to be judged again."""
    untold: dict[tuple[str, str], tuple[str, Notice]] = field(default_factory=dict)
    """(breaker, account) of trips that are not on record yet -> the run that brought each up, and the trip."""
    ending: set[tuple[str, str]] = field(default_factory=set)
    """(breaker, account) of trips that end by their time, once that is on record."""
    seq: int = 0
    """The last entry about breakers that is in their state."""
    at: float = 0.0
    """When they last counted."""


@dataclass(slots=True)
class Watching:
    """All runs before the detectors."""

    detectors: Detectors = field(default_factory=lambda: Detectors(DetectorSettings()))
    runs: dict[str, Watched] = field(default_factory=dict)
    due: dict[str, None] = field(default_factory=dict)
    """Runs with something to look at, in turn."""
    over: dict[str, float] = field(default_factory=dict)
    """Runs that have ended -> when."""
    chars: int = 0
    lost: int = 0
    """Not looked at since the hub last said so."""
    is_armed: bool = False
    """A look is due."""
    is_ticking: bool = False
    notices: list[tuple[str, Notice]] = field(default_factory=list)
    """Run -> what breakers said of it while it was looked at."""
    found: list[Finding] = field(default_factory=list)
    """What came to light where nobody could act on it: while the desk was replaying or being saved."""
    kept: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)
    """Records of the fleet's memory and of what operators answered, by name."""
    tuned_seq: int = 0
    """The last answer of an operator that the tuning holds, by its entry."""
    keys: dict[str, str] = field(default_factory=dict)
    """alert -> what its detector knows the trouble by."""
