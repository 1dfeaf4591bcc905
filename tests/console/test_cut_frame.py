"""Rows are taken out of a frame unread, and nothing is lost, added or let through by it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from opsconsole.console.sample import run
from opsconsole.console.view.cut_frame import cut, joined
from opsconsole.protocol.coding import decode
from opsconsole.protocol.frames import Delta, Snap

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def delta(rows: list[Any], **more: Any) -> str:
    frame = {"t": "delta", "sub": "board", "from_rev": 1, "rev": 2, "rows": rows, "gone": ["r9"], **more}
    return json.dumps(frame, separators=(",", ":"))


@given(st.lists(st.dictionaries(st.text(max_size=6), JSON, max_size=4), max_size=4))
def test_a_frame_that_was_cut_and_joined_is_the_frame_that_came(rows: list[dict[str, Any]]) -> None:
    text = delta(rows)
    envelope, pieces = cut(text)
    assert pieces is not None
    frame, whole = joined(decode(envelope, "hub_to_operator"), pieces), decode(text, "hub_to_operator")
    assert isinstance(frame, Delta)
    assert [json.loads(bytes(piece)) for piece in pieces] == rows
    assert frame.model_copy(update={"rows": rows}) == whole


def test_a_part_of_a_snapshot_keeps_its_place_and_its_epoch() -> None:
    text = '{"t":"snap","sub":"board","epoch":"e1","part":3,"rev":7,"end":true,"rows":[{"key":"r1"}]}'
    envelope, pieces = cut(text)
    frame = joined(decode(envelope, "hub_to_operator"), pieces)
    assert isinstance(frame, Snap)
    assert (frame.epoch, frame.part, frame.end, frame.rev, len(frame.rows)) == ("e1", 3, True, 7, 1)


@pytest.mark.parametrize(
    "text",
    [
        '{"t":"beat","n":1,"now":2.0}',
        '{"t":"delta","sub":"approvals","from_rev":1,"rev":2,"rows":[{"key":"a"}]}',
        delta([run("r1", "a"), 7]),
        delta([["r1"]]),
        '{"t":"delta","sub":"board","from_rev":1,"rev":2}',
        '{"t":"delta","sub":"board","from_rev":1,"rev":2,"rows":{}}',
        '{"t":"delta","sub":"board","from_rev":1,"rev":2,"rows":[{"key":"r1"}',
        '{"t":"delta","sub":"board","rows":' + "[" * 5_000 + "]" * 5_000 + "}",
    ],
    ids=["beat", "approvals", "number", "list", "no rows", "table", "torn", "deep"],
)
def test_what_is_no_frame_of_runs_is_left_whole(text: str) -> None:
    assert cut(text) == (text, None)


def test_a_frame_that_is_none_stays_none() -> None:
    assert joined(None, [Raw(b"{}")]) is None
