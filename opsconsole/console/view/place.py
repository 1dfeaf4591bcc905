"""Where in a run's timeline an entry of the audit has its place; it looks for nothing itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.console.view.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A moment of a run, and the steps that would be exactly it, the best first."""

    run: str
    at: float
    keys: tuple[str, ...] = ()


def place_of(body: Mapping[str, Any], *, at: float) -> Place | None:
    """The place of an audit entry; None when it is about no run."""
    run = body.get("run")
    if not isinstance(run, str) or not run:
        runs = body.get("runs")
        run = next((one for one in runs if isinstance(one, str)), None) if isinstance(runs, list) else None
    if run is None:
        return None
    named = (("tool", body.get("call")), ("command", body.get("command")))
    return Place(run=run, at=at, keys=tuple(f"{kind}:{id}" for kind, id in named if isinstance(id, str) and id))


def exact(timeline: Timeline, place: Place) -> str | None:
    """The step that is meant, if it is here."""
    return next((key for key in place.keys if key in timeline.steps), None)


def nearest(timeline: Timeline, at: float) -> str | None:
    """The last step that had begun by then, or the first of all; None without any."""
    keys = timeline.order()
    if not keys:
        return None
    return keys[max(0, bisect_right(keys, at, key=lambda key: timeline.steps[key].at) - 1)]


def reaches_back_to(timeline: Timeline, at: float) -> bool:
    """Whether what is here goes back to a moment, or to the beginning."""
    keys = timeline.order()
    return timeline.complete_back or bool(keys and timeline.steps[keys[0]].at < at)
