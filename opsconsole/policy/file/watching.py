"""Reads `[[breakers]]` and `[detectors]` into their settings; it watches nothing itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from typing import Any, TypeVar

from opsconsole.policy.file.settings import (
    TRIPS,
    Action,
    BreakerRule,
    BurnSettings,
    ContextSettings,
    DetectorSettings,
    DriftSettings,
    LatencySettings,
    LoopSettings,
    ParameterSettings,
    Per,
    PingPongSettings,
    RateLimitSettings,
    RetrySettings,
    StallSettings,
)
from opsconsole.policy.file.table import Table
from opsconsole.policy.rules.pattern import EVERY

Settings = TypeVar("Settings")

BREAKERS_MAX = 100
USD_MAX = 1_000_000.0
"""Of an amount that a detector is set to."""
BURN_HOURS_MAX = 72
"""Of the week that is remembered of each agent: the rest is its usual."""
COUNT_MAX = 100_000
"""Of calls or messages that a detector keeps of one run."""
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
ID_ACCEPTED = "give a name of letters, digits, '.', '_' and '-', at most 64 characters"
_LABEL = re.compile(r"[^=\s]{1,64}(=[^=]{0,200})?")


class OnTrip(StrEnum):
    """What becomes of the runs that a trip holds."""

    PAUSE = "pause"
    KILL = "kill"


class Within(StrEnum):
    """The windows that can be written beside a scope."""

    HOUR = "hour"
    DAY = "day"
    TOTAL = "total"


def identifier(table: Table, taken: set[str]) -> str:
    """The table's id: required, well formed, and only once in the file."""
    table.require("id")
    name = table.text("id")
    if name and not ID.fullmatch(name):
        table.add("id", ID_ACCEPTED)
    elif name in taken:
        table.add("id", f"{name} stands twice")
    taken.add(name)
    return name


def read_breakers(tables: list[Table]) -> tuple[BreakerRule, ...]:
    """Every breaker; problems go where the tables tell them."""
    taken: set[str] = set()
    return tuple(_breaker(table, taken) for table in tables)


def _breaker(table: Table, taken: set[str]) -> BreakerRule:
    table.require("per", "trip")
    per = table.word("per", Per, Per.RUN)
    label = table.text("label")
    if label and not _LABEL.fullmatch(label):
        table.add("label", "give the name of a label, or 'name=value'")
    if per is Per.LABEL and not label:
        table.add(None, "label is missing: a breaker per label says which")
    within = table.word("within", Within, Within.TOTAL) if table.has("within") else None
    if within and per in (Per.HOUR, Per.DAY, Per.TOTAL):
        table.add("within", f"stands beside per = {str(per)!r}, which already is a time")
    rule = BreakerRule(
        id=identifier(table, taken),
        per=per,
        trip=_trip(table),
        agent=table.pattern("agent") if table.has("agent") else EVERY,
        label=label or None,
        within=within.value if within else None,
        warn_at=table.number("warn_at", 0.8, most=1.0) if table.has("warn_at") else None,
        resume_seconds=table.duration("resume", 60.0) if table.has("resume") else None,
        kills=table.word("on_trip", OnTrip, OnTrip.PAUSE) is OnTrip.KILL,
    )
    if rule.kills and rule.resume_seconds is not None:
        table.add("resume", "stands beside on_trip = 'kill': what is dead does not go on")
    table.close()
    return rule


def _trip(table: Table) -> dict[str, float]:
    limits = table.table("trip")
    readers: Mapping[type, Callable[[str], float]] = {
        float: lambda name: limits.number(name, 1.0),
        int: lambda name: limits.whole(name, 1),
        str: lambda name: limits.duration(name, 60.0),
    }
    found = {name: readers[kind](name) for name, kind in TRIPS.items() if limits.has(name)}
    limits.close()
    if table.has("trip") and not found:
        table.add("trip", f"holds no limit; known are {', '.join(TRIPS)}")
    if ("in_a_row" in found) > ("latency_ratio" in found):
        table.add("trip", "in_a_row counts slow calls: it needs latency_ratio beside it")
    return found


def read_detectors(table: Table) -> DetectorSettings:
    """The detectors' settings: those of the file over the defaults; `name = false` switches one off."""
    found = DetectorSettings(
        loop=_detector(table, "loop", LoopSettings),
        retries=_detector(table, "retries", RetrySettings),
        stall=_detector(table, "stall", StallSettings),
        context=_detector(table, "context", ContextSettings),
        drift=_detector(table, "drift", DriftSettings),
        rate_limit=_detector(table, "rate_limit", RateLimitSettings),
        parameters=_detector(table, "parameters", ParameterSettings),
        latency=_detector(table, "latency", LatencySettings),
        ping_pong=_detector(table, "ping_pong", PingPongSettings),
        burn=_detector(table, "burn", BurnSettings),
        pause=table.boolean("pause", True),
        agreement=table.boolean("agreement", False),
    )
    table.close()
    _check_orders(table, found)
    return found


def _detector(table: Table, name: str, settings: type[Settings]) -> Settings | None:
    if table.raw(name) is False:
        return None
    given = table.table(name)
    values = {one.name: _setting(given, one) for one in fields(settings)}  # type: ignore[arg-type]
    given.close()
    return settings(**values)


def _setting(given: Table, one: Field[Any]) -> Any:
    """One setting; its kind is that of its default, its key its name without the unit."""
    default = None if one.default is MISSING else one.default
    key = one.name.removesuffix("_seconds")
    if key != one.name:
        return given.duration(key, default)  # type: ignore[arg-type]
    if isinstance(default, Action):
        return given.word(key, Action, default)
    if isinstance(default, int):
        return given.whole(key, default, most=COUNT_MAX)
    if isinstance(default, float) and key.endswith("_usd"):
        return given.number(key, default, most=USD_MAX)
    if isinstance(default, float):
        return given.number(key, default, most=1.0 if default <= 1.0 else 1_000.0)
    return given.pattern(key) if given.has(key) else None


def _check_orders(table: Table, found: DetectorSettings) -> None:
    """A warning that comes after the trip never comes."""
    for name, one in (("loop", found.loop), ("context", found.context), ("rate_limit", found.rate_limit)):
        if one is None:
            continue
        warn, trip = (one.warn, one.trip) if isinstance(one, LoopSettings) else (one.warn_at, one.trip_at)
        if warn > trip:
            table.add(name, "warns above where it trips")
    if found.loop and found.loop.trip > found.loop.window:
        table.add("loop", "trips at more calls than its window holds")
    if found.burn and found.burn.hours > BURN_HOURS_MAX:
        table.add("burn", f"looks at most at {BURN_HOURS_MAX} hours")
