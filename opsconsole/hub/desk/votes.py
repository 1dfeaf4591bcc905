"""A yes that is one of several: counted once it is on record; an edit starts the count anew."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.approval import Answer
from opsconsole.domain.digest import NotCanonical, call_digest
from opsconsole.hub.desk import asking, people
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.state import Approval, Call, Run, Vote
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Decision, Verdict

LOST_EDIT = (
    "The hub restarted, and the edited arguments, which hold a secret, were in memory only. Propose the call again."
)


def check(approval: Approval, answer: Answer, who: str) -> None:
    """Raises: Refusal when this person may not say yes here. Anyone may say no."""
    if answer is Answer.REJECT:
        return
    excluded = people.excludes(approval.not_by, who)
    if excluded:
        raise Refusal("excluded", excluded, {"not_by": approval.not_by})
    if not people.may_count(approval.quorums, who):
        names = people.groups(approval.quorums)
        raise Refusal("not_in_group", f"{who} is not in {' or '.join(names)}", {"groups": names})
    if answer is Answer.APPROVE and any(people.is_same(who, vote.by) for vote in approval.votes):
        raise Refusal("already_voted", f"{who} has said yes already", {"votes": voters(approval)})
    if answer is Answer.RESPOND and not people.is_met(approval.quorums, [who]):
        raise Refusal("bad_request", "several people decide on this call: approve, edit or reject it", {})


def voters(approval: Approval) -> list[str]:
    """Who has said yes, in order."""
    return [vote.by for vote in approval.votes]


def is_enough(approval: Approval, answer: Answer, who: str, verdict: Verdict | None) -> bool:
    """Whether with this answer everybody has said yes; of an edit, `verdict` is the policy's word on it."""
    if answer is Answer.EDIT and verdict is not None:
        return verdict.decision is Decision.ALLOW or people.suffices(verdict.quorums, verdict.not_by, who)
    return answer is Answer.RESPOND or people.is_met(approval.quorums, [*voters(approval), who])


def asked_anew(world: World, run: Run, call: Call, args: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """What is asked about edited arguments, as the audit holds it."""
    return asking.written(asking.of(world, run, call, args, call_digest(call.tool, args), verdict))


def count(approval: Approval, vote: Vote, anew: dict[str, Any] | None) -> None:
    """A yes is on record. `anew`: it is to other arguments, and whoever said yes before said it to something else."""
    if anew is None:
        approval.votes = [*approval.votes, vote]
        return
    for name, value in asking.read(anew).items():
        setattr(approval, name, value)
    approval.edited_by = vote.by
    counts = people.may_count(approval.quorums, vote.by) and people.excludes(approval.not_by, vote.by) is None
    approval.votes = [vote] if counts else []


def edited_args(call: Call, approval: Approval) -> dict[str, Any] | None:
    """The arguments that are voted on, where they are still known exactly: nothing in them is masked."""
    args = approval.args if call.edited is None else call.edited
    try:
        return args if call_digest(call.tool, args) == approval.call_digest else None
    except NotCanonical:
        return None


def is_lost(call: Call, approval: Approval) -> bool:
    """Whether people vote on arguments that a restart has lost."""
    return approval.edited_by is not None and edited_args(call, approval) is None
