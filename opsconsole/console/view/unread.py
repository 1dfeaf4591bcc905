"""A run's row that is read when somebody looks at what needs reading; it takes in nothing that cannot be read.

A row of a large fleet changes far more often than it is shown. What it says of state and numbers stands in it as it
came; the rest is made safe to show when it is asked for. Everything in it is validated as it comes: a row in which
something cannot be read is placed and counted otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, cast

from msgspec import Raw, Struct
from pydantic_core import from_json

from opsconsole.console.view.ingest import run_row, safe_cell
from opsconsole.console.view.quick_run import as_told, quickly
from opsconsole.domain.run import RunState
from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.rows import LinkStatus, RunRow

_WORDS_AND_NUMBERS = {str, int, float, bool, str | None, int | None, float | None, RunState, LinkStatus}
_DEFAULTS = {
    name: field.get_default(call_default_factory=True)
    for name, field in RunRow.model_fields.items()
    if not field.is_required()
}
_SPENDING = attrgetter("agent", "cost_usd", "cost_per_minute_usd", "pending_approvals", "baton")
_NOTHING: tuple[tuple[Any, ...], ...] = ((), (), (), (), ())
_TOLD = {
    name: field.annotation
    for name, field in RunRow.model_fields.items()
    if name != "key" and field.annotation in _WORDS_AND_NUMBERS
}


class Spending(NamedTuple):
    """What many runs say of money and of people."""

    agents: Counter[str]
    costs_usd: list[float]
    """Of each run, in the order given."""
    cost_per_minute_usd: float
    pending_approvals: int
    taken_over: list[int]
    """Places of those that somebody holds."""


class UnreadRun(Struct, gc=False, eq=False):
    """One run's row as it came; it has every field of a `RunRow`. The collector of garbage never looks at it."""

    key: str
    _told: Any
    """Its twin."""
    _plain: bool
    _row: RunRow | None = None

    def __getattr__(self, name: str) -> Any:
        if self._row is None and name in _DEFAULTS and not getattr(self._told, name):
            return _DEFAULTS[name]
        return getattr(self.read(), name)

    @property
    def labels(self) -> dict[str, str]:
        """By name."""
        if self._row is None and self._plain and (told := self._told.labels):
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
            self._row = run_row(as_told(self._told), self._plain)
        return self._row


def _needs_a_look(told: RunRow) -> object:
    """Fields that, when they say anything, put a run elsewhere than among those at work."""
    return (
        told.pending_approvals or told.kill or told.baton or told.alerts or told.frozen or told.outlived or told.zombie
    )


def _as_told(name: str) -> property:
    def told(run: UnreadRun) -> Any:
        value = getattr(run._told, name)
        return safe_cell(value) if type(value) is str else value

    return property(told, doc=f"The field `{name}`: one word or number; what came is what is meant.")


for _name in _TOLD:
    setattr(UnreadRun, _name, _as_told(_name))


def taken_in(raw: dict[str, Any] | Raw, plain: bool = False) -> RunRow:
    """The row, or what stands for it until it is looked at. Raises: BadRow; RemoteProtocolError (it is no JSON)."""
    told = quickly(raw)
    if told is not None and safe_cell(told.key) == told.key:
        return cast(RunRow, UnreadRun(told.key, told, plain))
    return run_row(raw if isinstance(raw, dict) else _from_json(raw), plain)


def _from_json(raw: Raw) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", from_json(bytes(raw)))
    except ValueError as error:
        raise RemoteProtocolError(f"not JSON: {error}") from None


def read(row: RunRow) -> RunRow:
    """The whole row, however it came."""
    return row.read() if isinstance(row, UnreadRun) else row


def at_work(row: RunRow) -> RunRow | None:
    """What an unread row says as it came, where that is nothing but that its run works; None: look closer."""
    if not isinstance(row, UnreadRun):
        return None
    told: RunRow = row._told
    return told if told.state is RunState.WORKING and told.link == "live" and not _needs_a_look(told) else None


def as_came(rows: Iterable[RunRow]) -> list[RunRow]:
    """For the numbers and the states in them, without reading them; their texts are not safe to show."""
    return [row._told if isinstance(row, UnreadRun) else row for row in rows]


def spending(rows: Sequence[RunRow]) -> Spending:
    """What they say of money and of people, without reading them: a key waits for ten thousand of them."""
    agents, costs, rates, pending, batons = zip(*map(_SPENDING, as_came(rows)), strict=True) if rows else _NOTHING
    names: Counter[str] = Counter()
    for name, count in Counter(agents).items():
        names[safe_cell(name)] += count
    taken_over = [place for place, baton in enumerate(batons) if baton is not None]
    return Spending(names, list(costs), sum(rates), sum(pending), taken_over)
