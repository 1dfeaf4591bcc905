"""The record of a run: whatever a run holds is read back from it, but for what only memory may hold."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from dataclasses import fields, is_dataclass, replace
from enum import EnumType
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs
from pydantic import TypeAdapter

from opsconsole.domain.command import Do
from opsconsole.domain.tool_call import Outcome
from opsconsole.hub.desk.records import DeskRecord
from opsconsole.hub.desk.run_record import WORKED_OUT, written
from opsconsole.hub.desk.state import Run
from opsconsole.protocol.frames import PointCommand
from opsconsole.protocol.rows import Alert, Baton
from tests.hub.desk.office import RUN, Office

READER: TypeAdapter[Run] = TypeAdapter(Run)
ALERT = Alert(id="a", kind="loop", text="again: ü", level="warning", at=2.5)
MODELS: dict[type[Any], list[Any]] = {
    PointCommand: [
        PointCommand(cmd="c1", run="r", cseq=3, do=Do.PAUSE, text="wait"),
        PointCommand(cmd="c2", run="r", cseq=0, do=Do.VERDICT, outcome=Outcome.ALLOW, args={"n": [1, {"x": None}]}),
    ],
    Baton: [Baton(by="ana", since=1.5, until=9.0, epoch=2)],
    Alert: [ALERT, ALERT.model_copy(update={"severity": "trip", "evidence": {"k": 1.5}, "runs": ["r"]})],
}
TEXT = st.text(st.characters(codec="utf-8"), max_size=4)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**70), 2**70),
    float: NUMBER,
    bool: st.booleans(),
    NoneType: st.none(),
    Any: st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | NUMBER | TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
        max_leaves=3,
    ),
}
MANY = {list: st.lists, set: st.sets}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of that type may hold."""
    origin = get_origin(hint)
    inner = [] if origin is Literal else [values(one) for one in get_args(hint)]
    if hint in PLAIN or hint in MODELS:
        return PLAIN[hint] if hint in PLAIN else st.sampled_from(MODELS[hint])
    if origin is Literal or isinstance(hint, EnumType):
        return st.sampled_from(get_args(hint) or list(hint))
    if origin in (Union, UnionType):
        return st.one_of(inner)
    if origin in (dict, OrderedDict):
        return st.dictionaries(*inner, max_size=2).map(origin)
    if origin is deque:
        return st.lists(inner[0], max_size=2).map(deque)
    if origin is tuple:
        return st.tuples(*inner)
    if origin in MANY:
        return MANY[origin](inner[0], max_size=2)
    assert is_dataclass(hint) or issubclass(hint, Struct), f"no values of {hint}"
    return st.builds(hint, **{name: values(one) for name, one in get_type_hints(hint).items()})


KEPT = {name: hint for name, hint in get_type_hints(Run).items() if name not in WORKED_OUT}
BEGUN = Run(id="r")


def as_kept(run: Run) -> Run:
    """The run without what only memory may hold."""
    calls = OrderedDict(
        (key, structs.replace(call, args=None, edited=None, input_schema=None)) for key, call in run.calls.items()
    )
    return replace(run, calls=calls, latest=None, open_calls={})


@pytest.mark.parametrize("name", sorted(KEPT))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_whatever_a_field_of_a_run_holds_is_read_back_from_its_record(name: str, data: st.DataObject) -> None:
    run = replace(BEGUN, **{name: data.draw(values(KEPT[name]))})
    assert READER.validate_json(written(run)) == as_kept(run)


def test_every_field_of_a_run_is_in_its_record_or_follows_from_the_rest() -> None:
    assert KEPT.keys() | WORKED_OUT == {one.name for one in fields(Run)}


def test_what_is_as_it_began_is_not_in_the_record_of_a_run() -> None:
    assert json.loads(written(BEGUN)).keys() == {"id", "spend", "limits", "calls"}


def test_a_run_of_which_a_call_cannot_be_read_is_fenced() -> None:
    office = Office()
    office.agent()
    body = written(replace(BEGUN, id=RUN)).replace(b'"calls":{}', b'"calls":{"c1":{"id":"c1"}}')
    office.desk.load([DeskRecord(kind="run", id=RUN, body=body)])
    assert office.row().state == "stopping"
