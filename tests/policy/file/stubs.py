"""Facts that say what a test tells them: for the loader and the rules, which know no kind of fact by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.policy.facts.interface import Fact, FactConfigError, FactMaker, FactValue, History

Answer = Callable[[Mapping[str, Any]], dict[str, FactValue]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StubFact:
    """A fact whose values a function gives."""

    fields: Mapping[str, type]
    answer: Answer

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        return self.answer(args)


def stub(fields: Mapping[str, type], answer: Answer, *settings: str, files: frozenset[str] = frozenset()) -> FactMaker:
    """A maker of facts that answer so, whatever their settings; `refused` as `arg` is not accepted."""

    def make(config: Mapping[str, Any]) -> Fact:
        if config.get("arg") == "refused":
            raise FactConfigError("arg", "give another")
        return StubFact(fields=fields, answer=answer)

    return FactMaker(fields=fields, settings=frozenset(settings), files=files, make=make)


SQL = stub(
    {"writes": bool, "unclear": bool, "tables": list, "statements": int, "why": str},
    lambda args: {
        "writes": "DELETE" in str(args.get("query")),
        "unclear": not isinstance(args.get("query"), str),
        "tables": ["orders"],
        "statements": 1,
        "why": "",
    },
    "arg",
    "schema",
    files=frozenset({"schema"}),
)
STUBS: Mapping[str, FactMaker] = {"sql": SQL}
