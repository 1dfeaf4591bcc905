"""What a run's requests say of the tools that their client runs, for the calls that come of it; it holds none."""

from __future__ import annotations

from opsconsole.gateway.dialect.interface import Request
from opsconsole.gateway.live import GatewayRun
from opsconsole.sdk.tool_about import ToolAbout

OFFERS_MAX = 128
"""Tools of a run that are kept."""
OTHERS = ""
"""Stands for tools that nobody can name: more than are kept, and what the provider brings along."""
NOT_OFFERED = ToolAbout(offered=False)


def note_offers(run: GatewayRun, request: Request) -> None:
    """Keeps what a request says of its tools."""
    for tool in request.tools:
        if tool.runs_at != "client" or (tool.name not in run.offers and len(run.offers) >= OFFERS_MAX):
            run.offers[OTHERS] = ToolAbout()
        else:
            run.offers[tool.name] = ToolAbout(input_schema=tool.schema, offered=None if tool.schema else True)


def about_tool(run: GatewayRun, name: str) -> ToolAbout | None:
    """What is known of a tool that a model calls; None where its run's requests offer no tools at all."""
    about = run.offers.get(name)
    return about if about or not run.offers or OTHERS in run.offers else NOT_OFFERED
