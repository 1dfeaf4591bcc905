"""What points say of a run's tools with the first call of each, kept for the later ones; it believes none of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opsconsole.domain.digest import NotCanonical, canonical
from opsconsole.protocol.events import ToolEvent

TOOLS_KEPT_MAX = 128
"""Of one run and all its points; calls of more are judged without what was told of them before."""
TOOL_BYTES_MAX = 16_384
"""Of what is told of one tool, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolTold:
    """A point's word on one tool."""

    server: str | None = None
    annotations: dict[str, Any] = field(default_factory=dict)
    input_schema: dict[str, Any] | None = None
    offered: bool = True


NOTHING_TOLD = ToolTold()


def told_of(tools: dict[str, ToolTold], point: str, event: ToolEvent) -> ToolTold:
    """What this event says of its tool, else what the same point said before; `tools` remembers it.

    One point's word never stands in for another's: an agent's claims do not weaken what its gateway is judged by.
    """
    key = f"{point}/{event.name}"
    if event.server is None and event.annotations is None and event.input_schema is None and event.offered is None:
        return tools.get(key, NOTHING_TOLD) if tools else NOTHING_TOLD
    told = ToolTold(
        server=event.server,
        annotations=event.annotations or {},
        input_schema=event.input_schema,
        offered=event.offered is not False,
    )
    if (key in tools or len(tools) < TOOLS_KEPT_MAX) and _fits(told):
        tools[key] = told
    return told


def _fits(told: ToolTold) -> bool:
    try:
        return len(canonical({"of": told.annotations, "schema": told.input_schema})) <= TOOL_BYTES_MAX
    except NotCanonical:  # the gate refuses the call
        return False
