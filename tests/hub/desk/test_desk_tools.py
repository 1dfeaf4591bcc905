"""What a point says of a tool holds for its later calls too, within bounds, and for no other point's."""

from __future__ import annotations

from typing import Any

from opsconsole.hub.desk.tools import TOOL_BYTES_MAX, TOOLS_KEPT_MAX, ToolTold, told_of
from opsconsole.protocol.events import ToolEvent
from tests.hub.desk.office import GATE
from tests.hub.desk.papers import ruled_office

TRUSTED: dict[str, Any] = {"server": "docs", "annotations": {"readOnlyHint": True, "openWorldHint": False}}


def event(name: str, **told: Any) -> ToolEvent:
    return ToolEvent.model_validate(
        {"type": "tool", "seq": 1, "ts": 1.0, "id": "c1", "status": "proposed", "name": name, **told}
    )


def test_what_was_told_of_a_tool_holds_for_its_later_calls() -> None:
    agent = ruled_office().agent()
    agent.propose("c1", "get_page", {}, **TRUSTED)
    agent.propose("c2", "get_page", {})
    assert (agent.verdicts("c1"), agent.verdicts("c2")) == (["allow"], ["allow"])


def test_what_is_told_last_holds() -> None:
    agent = ruled_office().agent()
    agent.propose("c1", "get_page", {}, **TRUSTED)
    agent.propose("c2", "get_page", {}, server="elsewhere", annotations=TRUSTED["annotations"])
    agent.propose("c3", "get_page", {})
    assert (agent.verdicts("c2"), agent.verdicts("c3")) == ([], [])


def test_it_is_remembered_over_a_restart() -> None:
    office = ruled_office()
    agent = office.agent()
    agent.propose("c1", "get_page", {}, **TRUSTED)
    office.save_records()
    office.restart()
    agent.connect()
    agent.propose("c2", "get_page", {})
    assert agent.verdicts("c2") == ["allow"]


def test_one_points_word_is_not_another_points() -> None:
    tools: dict[str, ToolTold] = {}
    told_of(tools, "sdk", event("get_page", **TRUSTED))
    assert told_of(tools, GATE.role, event("get_page")) == ToolTold()


def test_a_tool_that_was_made_up_is_none_once_it_is_offered() -> None:
    tools: dict[str, ToolTold] = {}
    told = [
        told_of(tools, "gateway", event("drop", **about)) for about in ({"offered": False}, {}, {"offered": True}, {})
    ]
    assert [one.offered for one in told] == [False, False, True, True]


def test_the_tools_of_a_run_are_bounded_in_number_and_size() -> None:
    tools: dict[str, ToolTold] = {}
    for number in range(TOOLS_KEPT_MAX + 1):
        assert told_of(tools, "sdk", event(f"t{number}", server="docs")).server == "docs"
    assert len(tools) == TOOLS_KEPT_MAX
    large = told_of(tools, "sdk", event("t0", input_schema={"title": "x" * TOOL_BYTES_MAX}))
    assert (large.server, tools["sdk/t0"].server) == (None, "docs")
