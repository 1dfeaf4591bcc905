"""What requests say of their tools is kept for the calls that come of it, within bounds; nothing is guessed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from opsconsole.gateway.dialect.chat_request import PROVIDER_FIELDS
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.offers import NOT_OFFERED, OFFERS_MAX, about_tool, note_offers
from opsconsole.sdk.tool_about import ToolAbout

SCHEMA = {"type": "object"}


def a_run(*names: str, **more: Any) -> Any:
    run: Any = SimpleNamespace(offers={})
    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]
    body = {"model": "m", "messages": [], "tools": tools} | more
    note_offers(run, DIALECTS["openai.chat"].read(json.dumps(body).encode()))
    return run


def test_a_name_that_no_request_offered_is_made_up() -> None:
    run = a_run("look", "find")
    assert about_tool(run, "look") == ToolAbout(input_schema=SCHEMA)
    assert about_tool(run, "drop") == NOT_OFFERED


def test_a_run_whose_requests_offer_nothing_tells_nothing() -> None:
    assert about_tool(a_run(), "look") is None


def test_where_a_provider_brings_tools_of_its_own_no_name_is_made_up() -> None:
    assert about_tool(a_run("look", **{next(iter(PROVIDER_FIELDS)): {}}), "drop") is None


def test_of_more_tools_than_are_kept_no_name_is_made_up() -> None:
    run = a_run(*(f"t{number}" for number in range(OFFERS_MAX + 5)))
    assert (len(run.offers) <= OFFERS_MAX + 1, about_tool(run, "drop")) == (True, None)
