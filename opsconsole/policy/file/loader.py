"""Makes a policy of a TOML text, or tells everything that is wrong with it; files that it names are read for it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsconsole.domain.digest import NotCanonical, digest
from opsconsole.domain.tool_call import Risk
from opsconsole.policy.default import RUN_LIMITS
from opsconsole.policy.facts.interface import FactMaker
from opsconsole.policy.facts.registry import FACTS
from opsconsole.policy.file.asking import FACTORY_ASK, read_ask, read_people
from opsconsole.policy.file.binding import NAME_ACCEPTED, is_name, read_facts, variables_of
from opsconsole.policy.file.expectations import EXPECTATIONS_MAX, Expectation, read_expectation
from opsconsole.policy.file.lines import line_of, places
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.file.problem import PolicyError, Problem, Problems
from opsconsole.policy.file.ruling import Known, read_rule
from opsconsole.policy.file.schemas import ToolSchema
from opsconsole.policy.file.sources import Read, Sources
from opsconsole.policy.file.table import Table
from opsconsole.policy.file.watching import BREAKERS_MAX, read_breakers, read_detectors
from opsconsole.policy.interface import Decision, Limits
from opsconsole.policy.rules.hours import Hours
from opsconsole.policy.rules.rule import Defaults, Ruleset, args_read, names_read

VERSION = 1
TEXT_CHARS_MAX = 262_144
"""A policy is written and read by people."""
LINE_CHARS_MAX = 8_192
KEY_PARTS_MAX = 32
"""Of one dotted key: the parser's time grows with their square."""
RULES_MAX = 500
TOOLS_MAX = 500
HOURS_MAX = 50
_LONG_KEY = re.compile(
    rf"""(?m)(?:^|[{{,\[])[ \t]*(?:(?:[A-Za-z0-9_-]++|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{KEY_PARTS_MAX}}}"""
)
SEMANTICS = "file/1"
"""Part of every hash: the same text means something else when this changes."""


def load(
    text: str, *, read: Read, facts: Mapping[str, FactMaker] = FACTS, run_limits: Limits = RUN_LIMITS
) -> FilePolicy:
    """The policy that `text` states; `read` gives the bytes of a file beside it, by its name.

    Raises:
        PolicyError: with every problem that was found.
    """
    values = _parsed(text)
    where = places(text)
    problems = Problems(where)
    top, sources = Table(values, (), problems), Sources(read)
    top.require("version")
    top.whole("version", VERSION, least=VERSION, most=VERSION)
    name, zone = top.text("name"), _zone(top)
    ruleset = _ruleset(top, zone, sources, facts)
    breakers, detectors = read_breakers(top.tables("breakers", BREAKERS_MAX)), read_detectors(top.table("detectors"))
    ids = frozenset(rule.id for rule in ruleset.rules)
    expectations: list[Expectation] = []
    for number, table in enumerate(top.tables("expect", EXPECTATIONS_MAX)):
        expectations.append(read_expectation(table, number + 1, line_of(where, table.path), zone, ids))
    top.close()
    if problems:
        raise problems.error()
    return FilePolicy(
        name=name,
        text=text,
        hash=_hash(values, sources.digests, run_limits),
        ruleset=ruleset,
        breakers=breakers,
        detectors=detectors,
        expectations=tuple(expectations),
        run_limits=run_limits,
    )


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > TEXT_CHARS_MAX:
        raise _unusable(f"the file is longer than {TEXT_CHARS_MAX:,} characters")
    if max(map(len, text.split("\n"))) > LINE_CHARS_MAX:
        raise _unusable(f"a line is longer than {LINE_CHARS_MAX:,} characters")
    if _LONG_KEY.search(text):
        raise _unusable(f"a key has more than {KEY_PARTS_MAX} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)\Z", str(error))
        words = f"this is no TOML: {str(error)[: place.start()] if place else error}"
        raise _unusable(words, int(place[1]) if place else None) from None
    except (ValueError, RecursionError) as error:
        raise _unusable(f"a value is too large or nested too deeply: {type(error).__name__}") from None


def _unusable(message: str, line: int | None = None) -> PolicyError:
    return PolicyError((Problem(line=line, field="", message=message),))


def _zone(top: Table) -> tzinfo:
    name = top.text("timezone", "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        top.add("timezone", f"{name!r} is no time zone that this machine knows, such as 'Europe/Berlin' or 'UTC'")
        return ZoneInfo("UTC")


def _ruleset(top: Table, zone: tzinfo, sources: Sources, makers: Mapping[str, FactMaker]) -> Ruleset:
    people = read_people(top.table("people"))
    given = top.table("defaults")
    defaults = Defaults(
        decision=given.word("decision", Decision, Decision.ASK),
        risk=given.word("risk", Risk, Risk.MEDIUM),
        on_error=given.word("on_error", Decision, Decision.DENY, but={"allow": "an error never allows a call"}),
        ask=read_ask(given.table("ask"), people, FACTORY_ASK, is_default=True),
    )
    given.close()
    hours, trusted = _hours(top.table("hours")), frozenset(top.texts("trusted_servers"))
    facts = read_facts(top.table("facts"), sources, makers)
    schemas = _schemas(top.table("tools"), sources)
    variables = variables_of(facts, hours)
    known = Known(people=people, defaults=defaults, facts=facts, schemas=schemas, variables=variables)
    taken: set[str] = set()
    rules = tuple(read_rule(table, taken, known) for table in top.tables("rules", RULES_MAX))
    return Ruleset(
        rules=rules,
        defaults=defaults,
        facts=facts,
        hours=MappingProxyType(hours),
        zone=zone,
        trusted_servers=trusted,
        variables=variables,
        args_read=args_read(rules),
        names_read=names_read(rules),
    )


def _hours(table: Table) -> dict[str, Hours]:
    found = {}
    if len(table.values) > HOURS_MAX:
        table.add(None, f"more than {HOURS_MAX} hours")
    for name in list(table.values)[:HOURS_MAX]:
        texts = table.texts(name, may_be_one=True)
        if not is_name(name):
            table.add(name, NAME_ACCEPTED)
            continue
        try:
            found[name] = Hours.parse(texts)
        except ValueError as error:
            table.add(name, str(error))
    return found


def _schemas(table: Table, sources: Sources) -> tuple[ToolSchema, ...]:
    found = []
    for name in list(table.values)[:TOOLS_MAX]:
        tool = table.table(name)
        tool.require("schema")
        schema = sources.json(tool, "schema")
        if isinstance(schema, dict):
            found.append(ToolSchema(tool=name, schema=schema))
        elif schema is not None:
            tool.add("schema", "holds no object")
        tool.close()
    if len(table.values) > TOOLS_MAX:
        table.add(None, f"more than {TOOLS_MAX} tools")
    return tuple(found)


def _hash(values: dict[str, Any], digests: Mapping[str, str], limits: Limits) -> str:
    decisive = {name: value for name, value in values.items() if name != "expect"}
    caps = [limits.cost_usd, limits.turns, limits.tokens]
    try:
        return digest({"policy": SEMANTICS, "file": _plain(decisive), "files": dict(digests), "limits": caps})
    except NotCanonical as error:
        raise _unusable(f"the file has no digest: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value
