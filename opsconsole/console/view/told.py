"""What a timeline tells of one run in short: its calls by tool, and the agents it handed work to; it keeps no steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opsconsole.console.view.timeline import Timeline
from opsconsole.domain.text import safe_line

TOOLS_MAX = 200
"""Tools of one run that are told apart; an agent may invent names."""
SHOWN_MAX = 12
_OPEN = ("proposed", "held", "running")
_FAILED = ("failed", "denied", "killed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls of one tool."""

    tool: str
    count: int = 0
    failed: int = 0
    """Failed, denied or killed."""
    open: int = 0
    """Asked for, held or running."""

    @staticmethod
    def none() -> dict[str, Calls]:
        """No calls."""
        return {}

    @staticmethod
    def joined(one: Mapping[str, Calls], other: Mapping[str, Calls]) -> dict[str, Calls]:
        """The calls of both, by tool."""
        both = dict(one)
        for tool, calls in other.items():
            had = both.get(tool, Calls(tool=tool))
            both[tool] = Calls(
                tool=tool,
                count=had.count + calls.count,
                failed=had.failed + calls.failed,
                open=had.open + calls.open,
            )
        return both

    @staticmethod
    def most(calls: Mapping[str, Calls]) -> tuple[Calls, ...]:
        """The tools that matter most: those with open calls, then the most used."""
        return tuple(sorted(calls.values(), key=lambda one: (-one.open, -one.count, one.tool))[:SHOWN_MAX])


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was seen of one run."""

    calls: Mapping[str, Calls] = field(default_factory=dict)
    handoffs: Mapping[str, int] = field(default_factory=dict)
    """Agent -> how often work was handed to it."""
    at: float = 0.0
    """Hub clock: when it was seen."""
    whole: bool = False
    """Whether the timeline was known from its beginning."""


def told_of(timeline: Timeline, *, at: float) -> Told:
    """What a timeline tells as it stands; model calls are its turns and no calls of a tool."""
    calls: dict[str, Calls] = {}
    handoffs: dict[str, int] = {}
    for status, kind, name, target in _said(timeline):
        if kind == "handoff" and target:
            if target in handoffs or len(handoffs) < TOOLS_MAX:
                handoffs[target] = handoffs.get(target, 0) + 1
        elif kind != "model_call" and (name in calls or len(calls) < TOOLS_MAX):
            had = calls.get(name, Calls(tool=name))
            calls[name] = Calls(
                tool=name,
                count=had.count + 1,
                failed=had.failed + (status in _FAILED),
                open=had.open + (status in _OPEN),
            )
    return Told(calls=calls, handoffs=handoffs, at=at, whole=timeline.complete_back)


def _said(timeline: Timeline) -> Iterable[tuple[str, str, str, str]]:
    for key in timeline.order():
        step = timeline.steps[key]
        if key.startswith("tool:"):
            fields = step.fields
            yield (
                str(fields.get("status")),
                str(fields.get("kind")),
                _name(fields.get("name")),
                _name(fields.get("target")),
            )


def _name(value: object) -> str:
    return safe_line(str(value)) if value else ""
