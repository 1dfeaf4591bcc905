"""Reads the recorded runs of real agents beside the checkout and holds the facts against what happened in them."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsconsole.policy.facts.grounding import GROUNDING
from opsconsole.policy.facts.interface import Fact, FactValue, History
from opsconsole.policy.facts.memory import Memory
from opsconsole.policy.facts.sql import SQL

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
ABSENT = "no recorded runs beside this checkout (shared/data)"

_WRAPPED = re.compile(r"\s*execute\[(.*)\]\s*\Z", re.DOTALL | re.IGNORECASE)
"""How some models spell a query; the environment takes what is inside."""
_UNKNOWN = re.compile(r"Unknown column|Unknown table|Table '.*' doesn't exist", re.DOTALL)


def is_present() -> bool:
    """Whether there is data to measure on."""
    return DATA.is_dir()


def lines(name: str) -> Iterator[dict[str, Any]]:
    """The runs of one file."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def half_of(run: str) -> str:
    """`tuning` or `frozen`, by the hash of the run's id: thresholds and rules are chosen on the first only."""
    return "frozen" if hashlib.sha256(run.encode()).digest()[0] & 1 else "tuning"


@dataclass(slots=True)
class Score:
    """How often a fact said what turned out to be so."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    calls: int = 0

    @property
    def precision(self) -> float:
        """Of what was flagged, the share that was so."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Of what was so, the share that was flagged."""
        return self.right / max(1, self.right + self.missed)


@dataclass(slots=True)
class SqlRuns:
    """Unknown names of one half against what MySQL answered; each distinct call is judged once."""

    half: str
    seen: dict[tuple[str, str, tuple[str, ...]], dict[str, FactValue]] = field(default_factory=dict)
    score: Score = field(default_factory=Score)

    def measure(self, judged: Callable[[Fact, dict[str, Any], History], dict[str, FactValue]]) -> Score:
        """Go over the runs; `judged` calls the fact, so that a benchmark may time it."""
        schemas = json.loads((DATA / "sql_schemas.json").read_text())
        facts = {
            name: SQL({"arg": "query", "dialect": "mysql", "schema": schema, "database": name})
            for name, schema in schemas.items()
        }
        for run in lines("sql_agent_runs.jsonl.gz"):
            if half_of(run["id"]) == self.half:
                self._run(run, facts[run["database"]], judged)
        return self.score

    def _run(self, run: dict[str, Any], fact: Fact, judged: Callable[..., dict[str, FactValue]]) -> None:
        memory = Memory()
        for turn in run["turns"]:
            wrapped = _WRAPPED.match(turn["action"])
            query = wrapped[1] if wrapped else turn["action"]
            history = memory.history
            key = (run["database"], query, history.schema_changes)
            if key not in self.seen:
                self.seen[key] = judged(fact, {"query": query}, history)
            found = self.seen[key]
            answer = str(turn["observation"])
            if found["changes_schema"] and not answer.startswith("Error"):
                memory.changed_schema(query)
            self._count(bool(found["unknown_tables"] or found["unknown_columns"]), bool(_UNKNOWN.search(answer)))

    def _count(self, is_flagged: bool, is_so: bool) -> None:
        self.score.calls += 1
        self.score.right += is_flagged and is_so
        self.score.wrong += is_flagged and not is_so
        self.score.missed += is_so and not is_flagged


@dataclass(frozen=True, slots=True)
class Flagged:
    """A call with an argument that nothing had shown, and what the tool answered."""

    tool: str
    values: tuple[str, ...]
    answer: str


def airline_calls() -> tuple[list[Flagged], Counter[str]]:
    """The flagged calls of the airline runs, and how many calls each tool had."""
    fact = GROUNDING({"ignore": ["thought", "expression", "summary"]})
    flagged: list[Flagged] = []
    calls: Counter[str] = Counter()
    for run in lines("airline_runs.jsonl.gz"):
        memory = Memory()
        for place, message in enumerate(run["traj"]):
            for call in message.get("tool_calls") or []:
                tool = call["function"]["name"]
                calls[tool] += 1
                found = fact(json.loads(call["function"]["arguments"]), memory.history)
                values = found["values"]
                assert isinstance(values, list)
                if values:
                    answer = str(run["traj"][place + 1].get("content"))
                    flagged.append(Flagged(tool=tool, values=tuple(values), answer=answer))
            if message["role"] != "assistant":
                memory.hear(message.get("content") or "")
    return flagged, calls
