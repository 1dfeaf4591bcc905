"""What a run has cost: the gateway's sum over single answers, and estimates by base rates of what only others told.

who told it          what it costs
the gateway          the sum of its answers, each priced by itself: long context, service tiers, kinds of cache
others               by base rates, as far as it goes beyond what the gateway told of the same model
nobody has a price   the author's own word, or the flat price of the settings where that is dearer
"""

from __future__ import annotations

from typing import NamedTuple

from opsconsole.domain.text import safe_line
from opsconsole.domain.usage import Usage, beyond, not_below
from opsconsole.hub.desk.state import GATEWAY, Bill, Call, Point, Reserve, Run
from opsconsole.hub.desk.world import World
from opsconsole.protocol.events import UsageEvent

OTHER_MODELS = "other"
"""Where models beyond those that are kept apart are added up."""
LOST_TURNS = "lost turns"
"""Where turns are added up whose gateway died and left nothing behind: at the most that they may have used."""
FLAT = "flat price"
AUTHOR = "its author"
REFUSED = "the settings refuse models without one."
PRICED_BY_CHARS_MAX = 400
"""Of all that priced a run: each is at most a line."""


class Read(NamedTuple):
    """One reading of usage."""

    model: str
    """Under which it is counted."""
    usage: Usage
    """All that is known of the model, this reading included."""
    reading: Usage
    event: UsageEvent
    usd_before: float = 0.0
    """Of a model that is added up with others: what the gateway had told of it before."""


class Cost(NamedTuple):
    """What a model has cost."""

    usd: float | None
    by: str
    is_known: bool = True
    """Whether all of it is by a price that somebody knows."""


def price(world: World, run: Run, point: Point, read: Read, now: float) -> None:
    """Count what a reading says in dollars; a model that nobody prices is an alert. It never goes down."""
    model = read.model
    if point.name == GATEWAY and read.event.cost_usd is not None:
        _bill(run, read, read.event.cost_usd)
    cost = _cost(world, run, read)
    if cost.usd is not None:
        run.costs[model] = max(run.costs.get(model, 0.0), cost.usd)
        run.priced_by[model] = cost.by
    _note_unpriced(world, run, model, cost, now)


def _note_unpriced(world: World, run: Run, model: str, cost: Cost, now: float) -> None:
    is_news = model not in run.unpriced and model not in run.assumed
    run.unpriced.discard(model)
    run.assumed.discard(model)
    if cost.is_known:
        return
    is_counted = cost.usd is not None and world.settings.prices.flat is not None
    (run.assumed if is_counted else run.unpriced).add(model)
    if is_news:
        so = "a flat price counts it" if is_counted else "the true cost is higher than shown"
        world.alert(run, "unpriced", f"no price is known for {model}: {so}", "warning", now)


def priced_by(run: Run) -> str:
    """By what the run was priced, for the record."""
    return ", ".join(sorted(filter(None, set(run.priced_by.values()))))[:PRICED_BY_CHARS_MAX]


def charge_lost(run: Run, reserve: Reserve) -> None:
    """Count a turn, or turns, of which nobody will tell any more what they used."""
    if reserve.usd is None:
        run.unpriced.add(LOST_TURNS)
    run.costs[LOST_TURNS] = run.costs.get(LOST_TURNS, 0.0) + (reserve.usd or 0.0)
    run.usage[LOST_TURNS] = run.usage.get(LOST_TURNS, Usage()) + Usage(input_tokens=reserve.tokens)


def is_refused(world: World, call: Call) -> bool:
    """Whether the settings refuse a turn because its model has no price, neither here nor where it is proposed."""
    if not world.settings.prices.blocks or (call.reserve is not None and call.reserve.usd is not None):
        return False
    return world.price("", call.tool, Usage(turns=1)) is None


def _bill(run: Run, read: Read, usd: float) -> None:
    before = run.bills.get(read.model) or Bill(usd=0.0, usage=Usage(), by="")
    is_other = read.model == OTHER_MODELS
    run.bills[read.model] = Bill(
        usd=before.usd + max(0.0, usd - read.usd_before) if is_other else max(before.usd, usd),
        usage=read.usage if is_other else not_below(before.usage, read.reading),
        by=safe_line(read.event.priced_by or GATEWAY, limit=100),
        unpriced_turns=max(before.unpriced_turns, read.event.unpriced_turns),
    )


def _cost(world: World, run: Run, read: Read) -> Cost:
    """All that is known of a model."""
    bill = run.bills.get(read.model)
    if bill is None:
        return _estimate(world, read)
    rest = beyond(read.usage, bill.usage)
    more: float | None = 0.0 if rest == Usage() else _listed(world, read.event, rest)
    if more is None:  # as dear as what was told
        more = bill.usd * rest.tokens / max(1, bill.usage.tokens)
    return Cost(usd=bill.usd + more, by=bill.by, is_known=not bill.unpriced_turns)


def _estimate(world: World, read: Read) -> Cost:
    """What no gateway has told."""
    cost, own, flat = _listed(world, read.event, read.usage), read.event.cost_usd, world.settings.prices.flat
    if cost is not None:
        return Cost(usd=cost, by=world.settings.priced_by)
    if flat is not None:
        return Cost(usd=max(flat.cost(read.usage), own or 0.0), by=FLAT, is_known=False)
    return Cost(usd=own, by=AUTHOR, is_known=own is not None)


def _listed(world: World, event: UsageEvent, usage: Usage) -> float | None:
    cost = world.price(event.provider or "", event.served_model or event.model, usage)
    if cost is None and event.served_model:
        cost = world.price(event.provider or "", event.model, usage)
    return cost
