"""Tries every rule on one call and keeps what each said; pure, so that history can be weighed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from opsconsole.domain.tool_call import CallKind, Risk, max_risk
from opsconsole.policy.interface import Decision, Proposal, Verdict
from opsconsole.policy.normalise import NotNormal, normal_text, normalise
from opsconsole.policy.rules.engine import Bindings, Failed
from opsconsole.policy.rules.pattern import EVERY
from opsconsole.policy.rules.rule import Rule, Ruleset
from opsconsole.policy.rules.strictest import Match, verdict_of

DEFAULT_RULE = "policy:default"
ARGUMENTS_RULE = "policy:arguments"
TOOL_CHARS_MAX = 256
"""Of a tool's name; patterns are matched against all of it."""

Result = bool | Failed | None
"""Matched, did not, could not be evaluated; None: the rule is about other tools or agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A verdict with everything that led to it."""

    verdict: Verdict
    results: tuple[tuple[Rule, Result], ...]
    """Every rule, in the order of the file; empty for what rules are not about."""


def weigh(ruleset: Ruleset, proposal: Proposal, facts: Mapping[str, Any] | None = None) -> Weighed:
    """The verdict on one proposal.

    `facts` are those kept with an earlier verdict, to judge history again: what they hold is not worked out anew.
    """
    if proposal.kind is not CallKind.TOOL_CALL:
        rule = f"policy:{proposal.kind}"
        return Weighed(verdict=Verdict(decision=Decision.ALLOW, rule=rule, reason="", risk=Risk.LOW), results=())
    known: dict[str, Any] = {}
    matches: list[Match] = []
    try:
        _check_names(proposal)
        args = normalise(proposal.args)
        known = _known(ruleset, proposal, args, facts or {})
        results = _tried(ruleset, proposal, Bindings(ruleset.variables, _values(ruleset, proposal, args, known)))
    except NotNormal as error:
        unreadable = Failed(why=str(error))
        matches.append(_unreadable(ruleset, unreadable))
        results = _tried(ruleset, replace(proposal, tool=proposal.tool[:TOOL_CHARS_MAX]), unreadable)
    matches += [_match(ruleset, rule, result) for rule, result in results if result is True or type(result) is Failed]
    verdict = verdict_of(
        matches or [_unmatched(ruleset, proposal)],
        proposal,
        matched=tuple([rule.id for rule, result in results if result is True]),
        failed=tuple([rule.id for rule, result in results if type(result) is Failed]),
        facts=known,
    )
    return Weighed(verdict=verdict, results=results)


def _tried(ruleset: Ruleset, proposal: Proposal, bindings: Bindings | Failed) -> tuple[tuple[Rule, Result], ...]:
    tool, agent = proposal.tool, proposal.agent
    found: list[tuple[Rule, Result]] = []
    for rule in ruleset.rules:
        is_about = rule.tools.matches(tool) and (rule.agents is EVERY or rule.agents.matches(agent))
        found.append((rule, _result(rule, bindings) if is_about else None))
    return tuple(found)


def _result(rule: Rule, bindings: Bindings | Failed) -> Result:
    """Arguments that cannot be looked at fail every expression; a rule without one matches by the names alone."""
    if rule.when is None:
        return True
    return bindings if isinstance(bindings, Failed) else rule.when.evaluate(bindings)


def _check_names(proposal: Proposal) -> None:
    """Raises: NotNormal."""
    if not _are_plain(proposal):
        _check_each_name(proposal)


def _are_plain(proposal: Proposal) -> bool:
    """Whether all names together are short, printable ASCII: then each is, and none needs a look of its own."""
    labels = proposal.labels
    names = (proposal.tool, proposal.server or "", proposal.agent, proposal.starter or "", *labels, *labels.values())
    try:
        text = "".join(names)
    except TypeError:
        return False
    return len(text) <= TOOL_CHARS_MAX and text.isascii() and text.isprintable()


def _check_each_name(proposal: Proposal) -> None:
    """Raises: NotNormal."""
    for name, text in (("the tool's name", proposal.tool), ("the server's name", proposal.server or "")):
        if len(normal_text(text, name)) > TOOL_CHARS_MAX:
            raise NotNormal(f"is longer than {TOOL_CHARS_MAX} characters", name)
    normalise({"agent": proposal.agent, "starter": proposal.starter, "labels": dict(proposal.labels)}, "run")


def _known(
    ruleset: Ruleset, proposal: Proposal, args: dict[str, Any], kept: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Everything that was worked out, by root name. Raises: NotNormal, when a fact holds what no rule may see."""
    known: dict[str, Any] = {"tool": _tool(ruleset, proposal)}
    if ruleset.hours:
        known["hours"] = {name: hours.include(proposal.now, ruleset.zone) for name, hours in ruleset.hours.items()}
    history = proposal.history
    if proposal.schema is not None and ruleset.facts:
        history = replace(history, tool_schema=proposal.schema)
    for bound in ruleset.facts:
        if bound.tools.matches(proposal.tool):
            found = kept.get(bound.name)
            values = bound.fact(args, history) if found is None else found
            known[bound.name] = normalise(values, bound.name)
    return known


def _tool(ruleset: Ruleset, proposal: Proposal) -> dict[str, bool]:
    """What may be believed of the tool: MCP's hints of a trusted server, with MCP's defaults, else the worst."""
    is_mcp = proposal.server is not None
    is_trusted = proposal.server in ruleset.trusted_servers
    hints = proposal.annotations if is_trusted else {}
    read_only = hints.get("readOnlyHint") is True
    return {
        "mcp": is_mcp,
        "trusted": is_trusted,
        "read_only": read_only,
        "destructive": not read_only and hints.get("destructiveHint") is not False,
        "idempotent": hints.get("idempotentHint") is True,
        "open_world": hints.get("openWorldHint") is not False,
    }


def _values(ruleset: Ruleset, proposal: Proposal, args: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The dotted names of the activation; what no rule looks at is left out, which saves converting it."""
    read = ruleset.args_read
    values: dict[str, Any] = {"args": args if read is None else {name: args[name] for name in read if name in args}}
    for root, names in ruleset.names_read.items():
        fields = known.get(root, _NO_FIELDS)
        for name in names:
            if name in fields:
                values[f"{root}.{name}"] = fields[name]
            elif (given := _GIVEN.get(f"{root}.{name}")) is not None:
                values[f"{root}.{name}"] = given(proposal)
    return values


_NO_FIELDS: Mapping[str, Any] = {}
_GIVEN: Mapping[str, Callable[[Proposal], Any]] = {
    "tool.name": lambda proposal: proposal.tool,
    "tool.server": lambda proposal: proposal.server or "",
    "run.agent": lambda proposal: proposal.agent,
    "run.starter": lambda proposal: proposal.starter or "",
    "run.labels": lambda proposal: dict(proposal.labels),
}
"""What is no fact but stands in the proposal itself."""


def _match(ruleset: Ruleset, rule: Rule, result: Result) -> Match:
    if isinstance(result, Failed):
        decision, reason = ruleset.defaults.on_error, f"Rule {rule.id} could not be evaluated: {result.why}"
        risk = max_risk(rule.risk, ruleset.defaults.risk)
    else:
        decision, reason, risk = rule.decision, rule.reason or f"Rule {rule.id} says {rule.decision}.", rule.risk
    ask = rule.ask if rule.decision is Decision.ASK else ruleset.defaults.ask
    return Match(rule=rule.id, decision=decision, risk=risk, reason=reason, ask=ask)


def _unmatched(ruleset: Ruleset, proposal: Proposal) -> Match:
    defaults = ruleset.defaults
    reason = f"No rule of the policy is about this call of {proposal.tool}."
    return Match(rule=DEFAULT_RULE, decision=defaults.decision, risk=defaults.risk, reason=reason, ask=defaults.ask)


def _unreadable(ruleset: Ruleset, failed: Failed) -> Match:
    """No rule may be asked about such arguments: as when one cannot be evaluated."""
    defaults = ruleset.defaults
    reason = f"The arguments cannot be judged: {failed.why}."
    return Match(rule=ARGUMENTS_RULE, decision=defaults.on_error, risk=Risk.HIGH, reason=reason, ask=defaults.ask)
