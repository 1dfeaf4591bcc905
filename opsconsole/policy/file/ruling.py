"""Reads one `[[rules]]` table: its expression compiled, and every name in it known where the rule applies."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.domain.tool_call import Risk
from opsconsole.policy.file.asking import People, read_ask
from opsconsole.policy.file.schemas import ToolSchema
from opsconsole.policy.file.table import Table
from opsconsole.policy.file.watching import identifier
from opsconsole.policy.interface import Decision
from opsconsole.policy.rules.engine import Program, Variables, compiled, mistyped
from opsconsole.policy.rules.pattern import Pattern
from opsconsole.policy.rules.rule import BoundFact, Defaults, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the file says outside of its rules, and rules refer to."""

    people: People
    defaults: Defaults
    facts: tuple[BoundFact, ...]
    schemas: tuple[ToolSchema, ...]
    variables: Variables


def read_rule(table: Table, taken: set[str], known: Known) -> Rule:
    """One rule; `taken` are the ids before it."""
    table.require("decision")
    name = identifier(table, taken)
    decision = table.word("decision", Decision, Decision.DENY)
    tools = table.pattern("tool")
    rule = Rule(
        id=name,
        decision=decision,
        risk=table.word("risk", Risk, known.defaults.risk),
        reason=table.text("reason"),
        tools=tools,
        agents=table.pattern("agent"),
        when=_when(table, tools, known),
        ask=read_ask(table.table("ask"), known.people, known.defaults.ask) if table.has("ask") else known.defaults.ask,
    )
    if table.has("ask") and decision is not Decision.ASK:
        table.add("ask", f"stands in a rule that says {decision}: nobody is asked")
    table.close()
    return rule


def _when(table: Table, tools: Pattern, known: Known) -> Program | None:
    text = table.text("when")
    if not table.has("when") or (not text and not isinstance(table.values["when"], str)):
        return None
    try:
        program = compiled(text, known.variables)
    except ValueError as error:
        table.add("when", str(error))
        return None
    _check_facts(table, program, tools, known)
    _check_schemas(table, program, tools, known)
    return program


def _check_facts(table: Table, program: Program, tools: Pattern, known: Known) -> None:
    """A fact is worked out for its own tools only: elsewhere the rule could not be evaluated."""
    for bound in known.facts:
        if bound.name in program.expression.roots and not bound.tools.covers(tools):
            where = f"looks at {bound.name}, which is worked out for {bound.tools.text} only"
            table.add("when", f'{where}; give the rule tool = "{bound.tools.text}" or less')


def _check_schemas(table: Table, program: Program, tools: Pattern, known: Known) -> None:
    """An argument that no schema of the rule's tools has is misspelt."""
    about = [schema for schema in known.schemas if tools.matches(schema.tool)]
    paths = sorted(path for path in program.expression.paths if path[0] == "args" and len(path) > 1)
    for path in paths:
        found = [schema.unknown(path[1:]) for schema in about]
        if found and all(found):
            table.add("when", str(found[0]))
    if about and paths:
        _check_types(table, program, about, known)


def _check_types(table: Table, program: Program, about: list[ToolSchema], known: Known) -> None:
    """A comparison that no call of any of the tools could make is an error now, not at the first call."""
    others = tuple(pair for pair in known.variables if pair[0] != "args")
    paths = sorted(path for path in program.expression.paths if path[0] == "args" and len(path) > 1)
    typed = {others + tuple((".".join(path), schema.kind(path[1:])) for path in paths): schema for schema in about}
    told = None
    for variables, schema in typed.items():
        wrong = mistyped(program.expression.text, variables)
        if wrong is None:
            return
        told = told or f"{wrong}, by the schema of {schema.tool}"
    table.add("when", str(told))
