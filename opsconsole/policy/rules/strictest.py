"""Makes one verdict of everything that matched: never weaker than any of it alone, whatever the order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opsconsole.domain.tool_call import RISK_RANK, Risk, max_risk
from opsconsole.policy.interface import STARTER, Decision, Escalation, Proposal, Quorum, Verdict
from opsconsole.policy.rules.rule import STRICTNESS, Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One reason to decide so."""

    rule: str
    decision: Decision
    risk: Risk
    reason: str
    ask: Ask


def verdict_of(
    matches: Sequence[Match],
    proposal: Proposal,
    *,
    matched: tuple[str, ...] = (),
    failed: tuple[str, ...] = (),
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Verdict:
    """The strictest match decides: deny, ask, allow, then the higher risk, more approvers, the shorter time.

    What it asks of people is joined with what every other match of its kind asks: each quorum has to be met, whoever
    one of them excludes is excluded, the shortest time holds. Matches that leave it to the defaults add nothing to one
    that says whom to ask, unless the defaults want more people. `matches` is not empty.
    `matched`, `failed` and `facts` are kept with the verdict as they are.
    """
    first = matches[0] if len(matches) == 1 else min(matches, key=_order)
    risk = max_risk(first.risk, proposal.risk_claimed)
    if first.decision is not Decision.ASK:
        return Verdict(
            decision=first.decision,
            rule=first.rule,
            reason=first.reason,
            risk=risk,
            matched=matched,
            failed=failed,
            facts=facts,
        )
    asks = _asks(first, matches)
    return Verdict(
        decision=Decision.ASK,
        rule=first.rule,
        reason=first.reason,
        risk=risk,
        ttl_seconds=min([ask.timeout_seconds for ask in asks]),
        may_edit=all(ask.may_edit for ask in asks),
        quorums=_quorums(asks),
        not_by=tuple(sorted({_principal(name, proposal) for ask in asks for name in ask.not_by})),
        remind_seconds=min([ask.remind_seconds for ask in asks if ask.remind_seconds is not None], default=None),
        escalations=_escalations(asks),
        matched=matched,
        failed=failed,
        facts=facts,
    )


def _order(match: Match) -> tuple[int, int, int, float, str]:
    ask = match.ask
    strictness, risk = STRICTNESS[match.decision], RISK_RANK[match.risk]
    return (-strictness, -risk, -ask.quorum.approvers, ask.timeout_seconds, match.rule)


def _asks(first: Match, matches: Sequence[Match]) -> list[Ask]:
    """What counts, the deciding match's first."""
    if len(matches) == 1:
        return [first.ask]
    asks = [first.ask, *(match.ask for match in sorted(matches, key=_order) if match.decision is Decision.ASK)]
    wanted = max((ask.quorum.approvers for ask in asks if not ask.is_default), default=0)
    return [ask for ask in asks if not ask.is_default or ask.quorum.approvers > wanted]


def _quorums(asks: Iterable[Ask]) -> tuple[Quorum, ...]:
    """For each group the largest number that a rule asks for; the deciding rule's group leads."""
    found: dict[str | None, Quorum] = {}
    for quorum in (ask.quorum for ask in asks):
        known = found.get(quorum.group)
        if known is None or known.approvers < quorum.approvers:
            found[quorum.group] = quorum
    return tuple(found.values())


def _escalations(asks: Iterable[Ask]) -> tuple[Escalation, ...]:
    found = {ask.escalation for ask in asks if ask.escalation is not None}
    return tuple(sorted(found, key=lambda each: (each.after_seconds, each.group)))


def _principal(name: str, proposal: Proposal) -> str:
    return (proposal.starter or STARTER) if name == STARTER else name
