"""A run's row that is read when somebody looks at what needs reading; it takes in nothing that cannot be read.

A row of a large fleet changes far more often than it is shown. What it says of state and numbers stands in it as it
came; the rest is made safe to show when it is asked for. What stands in its lists and tables is validated as it comes:
a row in which something cannot be read is placed and counted otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from pydantic import BaseModel, ValidationError, create_model

from opsconsole.console.view.ingest import run_row, safe_cell
from opsconsole.domain.run import RunState
from opsconsole.protocol.rows import LinkStatus, RunRow

SHAPES_MAX = 4_096
"""Shapes of rows that are known to be readable; hubs send a few dozen."""
_WORDS_AND_NUMBERS = {str, int, float, bool, str | None, int | None, float | None, LinkStatus}
_DEFAULTS = {
    name: field.get_default(call_default_factory=True)
    for name, field in RunRow.model_fields.items()
    if not field.is_required()
}
_TOLD = {
    name: field.annotation
    for name, field in RunRow.model_fields.items()
    if name != "key" and field.annotation in _WORDS_AND_NUMBERS
}
_Inside: type[BaseModel] = create_model(
    "_Inside",
    **{  # type: ignore[call-overload]
        name: (field.annotation, field)
        for name, field in RunRow.model_fields.items()
        if name not in ("key", "state") and name not in _TOLD
    },
)
"""The lists and tables of a row: their kinds say little of what is in them."""
_STATES: dict[str, RunState] = {state.value: state for state in RunState}
_MATTERS = ("pending_approvals", "kill", "baton", "alerts", "frozen", "outlived", "zombie")
"""Fields that, when they say anything, put a run elsewhere than among those at work."""


class AtWork(NamedTuple):
    """What a run says of itself that does nothing but work, on a live link."""

    started_at: float
    progress_at: float
    cost_per_minute_usd: float
    parent: str | None


class Spending(NamedTuple):
    """What many runs say of money and of people."""

    agents: Counter[str]
    costs_usd: list[float]
    """Of each run, in the order given."""
    cost_per_minute_usd: float
    pending_approvals: int
    taken_over: list[int]
    """Places of those that somebody holds."""


class UnreadRun:
    """One run's row as it came; it has every field of a `RunRow`."""

    __slots__ = ("_plain", "_raw", "_row", "key")

    def __init__(self, raw: dict[str, Any], plain: bool, row: RunRow | None) -> None:
        self.key: str = raw["key"]
        self._raw = raw
        self._plain = plain
        self._row = row

    def __getattr__(self, name: str) -> Any:
        if self._row is None and name in _DEFAULTS and not self._raw.get(name):
            return _DEFAULTS[name]
        return getattr(self.read(), name)

    @property
    def state(self) -> RunState:
        """What it says of itself."""
        return _STATES[self._raw["state"]]

    @property
    def labels(self) -> dict[str, str]:
        """By name."""
        if self._row is None and self._plain and (told := self._raw.get("labels")):
            return told  # type: ignore[no-any-return]
        return self.read().labels

    def __eq__(self, other: object) -> bool:
        return self.read() == (other.read() if isinstance(other, UnreadRun) else other)

    __hash__ = None  # type: ignore[assignment]  # as a RunRow's

    def __repr__(self) -> str:
        return repr(self.read())

    def read(self) -> RunRow:
        """The whole row, every text safe."""
        if self._row is None:
            self._row = run_row(self._raw, self._plain)
        return self._row

    def at_work(self) -> AtWork | None:
        """What it says, where it says nothing but that it works; None: look closer."""
        raw = self._raw
        if raw["state"] != "working" or raw["link"] != "live" or any(map(raw.get, _MATTERS)):
            return None
        parent = raw.get("parent")
        return AtWork(
            raw["started_at"],
            raw["progress_at"],
            raw.get("cost_per_minute_usd", 0.0),
            parent if parent is None else safe_cell(parent),
        )


def _as_told(name: str) -> property:
    def told(run: UnreadRun) -> Any:
        value = run._raw.get(name, _DEFAULTS.get(name))
        return safe_cell(value) if type(value) is str else value

    return property(told, doc=f"The field `{name}`: one word or number; what came is what is meant.")


for _name in _TOLD:
    setattr(UnreadRun, _name, _as_told(_name))


class RunReader:
    """Takes rows in without reading those whose like was read before: same fields, same kinds of values.

    What a row says never depends on which came before it: a console that has just been opened says the same.
    """

    def __init__(self) -> None:
        self._shapes: set[tuple[object, ...]] = set()

    def __call__(self, raw: dict[str, Any], plain: bool = False) -> RunRow:
        """The row, or what stands for it until it is looked at. Raises: BadRow."""
        try:
            shape = (raw.get("state"), raw.get("link"), tuple(raw), tuple(map(type, raw.values())))
            if shape in self._shapes and safe_cell(raw["key"]) == raw["key"] and _is_readable_inside(raw):
                return cast(RunRow, UnreadRun(raw, plain, None))
        except TypeError:  # a state or link that is no word
            return run_row(raw, plain)
        row = run_row(raw, plain)
        if row.key == raw["key"] and _says_it_plainly(raw, row):
            if len(self._shapes) >= SHAPES_MAX:
                self._shapes.clear()
            self._shapes.add(shape)
        return row


def _is_readable_inside(raw: dict[str, Any]) -> bool:
    try:
        _Inside.model_validate(raw)
    except ValidationError:
        return False
    return True


def _says_it_plainly(raw: dict[str, Any], row: RunRow) -> bool:
    """Whether the kinds of its words and numbers are what they are read as: the text "2" is a number, "two" is none."""
    return all(_is_plainly(raw[name], getattr(row, name)) for name in _TOLD if name in raw)


def _is_plainly(told: object, meant: object) -> bool:
    return type(told) is type(meant) or (type(told) is int and type(meant) is float)


def read(row: RunRow) -> RunRow:
    """The whole row, however it came."""
    return row.read() if isinstance(row, UnreadRun) else row


def at_work(row: RunRow) -> AtWork | None:
    """What a row says that was not read yet, where it says nothing but that its run works; None: look closer."""
    return row.at_work() if isinstance(row, UnreadRun) else None


def spending(rows: Sequence[RunRow]) -> Spending:
    """What they say of money and of people, without reading them: a key waits for ten thousand of them."""
    agents: list[str] = []
    costs: list[float] = []
    taken_over: list[int] = []
    per_minute, pending = 0.0, 0
    for place, row in enumerate(rows):
        told = row._raw if isinstance(row, UnreadRun) else row.__dict__
        agents.append(told["agent"])
        costs.append(told.get("cost_usd", 0.0))
        per_minute += told.get("cost_per_minute_usd", 0.0)
        pending += told.get("pending_approvals", 0)
        if told.get("baton") is not None:
            taken_over.append(place)
    names: Counter[str] = Counter()
    for name, count in Counter(agents).items():
        names[safe_cell(name)] += count
    return Spending(names, costs, per_minute, pending, taken_over)
