"""What the hub is told of a guarded function beside its name: the schema of its signature, a server, its hints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional

import pytest

from opsconsole.sdk import guard
from opsconsole.sdk.tool_about import SCHEMA_BYTES_MAX, ToolAbout, schema_of
from tests.sdk.conftest import Connect
from tests.sdk.fake_hub import FakeHub


def pay(
    self: Any,
    amount: float,
    to: str,
    *lines: int,
    speed: Literal["slow", "fast"] = "slow",
    note: str | None = None,
    tags: Sequence[str] = (),
    rates: Optional[Mapping[str, Annotated[int, "cents"]]] = None,  # noqa: UP045
    pair: tuple[int, str] = (1, ""),
    odd: complex = 0j,
    plain=None,  # type: ignore[no-untyped-def]
    **more: bool,
) -> None:
    """Every kind of parameter."""


def test_a_signature_is_a_schema() -> None:
    text, number = {"type": "string"}, {"type": "integer"}
    assert schema_of(pay) == {
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "to": text,
            "lines": {"type": "array", "items": number},
            "speed": {"enum": ["slow", "fast"]},
            "note": {"anyOf": [text, {"type": "null"}]},
            "tags": {"type": "array", "items": text},
            "rates": {"anyOf": [{"type": "object", "additionalProperties": number}, {"type": "null"}]},
            "pair": {"type": "array"},
            "odd": {},
            "plain": {},
            "more": {"type": "object", "additionalProperties": {"type": "boolean"}},
        },
        "required": ["amount", "to"],
        "additionalProperties": False,
    }


def test_a_hint_that_cannot_be_read_allows_anything() -> None:
    def look(at: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
        """A name that nobody defines."""

    assert schema_of(look) == {
        "type": "object",
        "properties": {"at": {}},
        "required": ["at"],
        "additionalProperties": False,
    }


def test_a_function_without_a_signature_has_no_schema() -> None:
    assert schema_of(dict.__init__.__class__.__call__) is None or schema_of(type) is None


@pytest.mark.parametrize(
    "schema", [{"title": "x" * SCHEMA_BYTES_MAX}, {"a": {1, 2}}, {"a": float("nan")}], ids=["large", "odd", "nan"]
)
def test_a_schema_that_is_no_small_json_is_not_told(schema: dict[str, Any]) -> None:
    assert ToolAbout(server="docs", input_schema=schema).told() == {"server": "docs"}


@pytest.mark.parametrize(("offered", "told"), [(None, {}), (False, {"offered": False}), (True, {"offered": True})])
def test_whether_a_tool_was_offered_is_told_where_somebody_says_so(offered: bool | None, told: dict[str, Any]) -> None:
    assert ToolAbout(offered=offered).told() == told


def test_only_hints_that_are_true_or_false_are_told() -> None:
    hints: Any = {"readOnlyHint": True, "openWorldHint": "no", "title": "x"}
    assert ToolAbout(annotations=hints).told() == {"annotations": {"readOnlyHint": True}}


async def test_a_guarded_function_tells_its_schema_with_its_first_call_only(
    connect: Connect, fake_hub: FakeHub
) -> None:
    @guard(server="docs", annotations={"readOnlyHint": True})
    def look(page: str, deep: bool = False) -> str:
        return page

    async with connect() as hub, hub.run(agent="a"):
        await look("one")
        await look("two")
    first, second = (event for event in fake_hub.only().of("tool") if event["status"] == "proposed")
    assert (first["server"], first["annotations"]) == ("docs", {"readOnlyHint": True})
    assert first["input_schema"]["properties"] == {"page": {"type": "string"}, "deep": {"type": "boolean"}}
    assert not {"server", "annotations", "input_schema"} & second.keys()
