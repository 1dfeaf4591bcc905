"""What a person is asked about a call, and who: made of the policy's verdict, written to the audit and read from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsconsole.domain.digest import approval_digest
from opsconsole.domain.tool_call import CallKind, Risk, max_risk
from opsconsole.hub.desk import people
from opsconsole.hub.desk.state import Call, Run
from opsconsole.hub.desk.verdicts import grounds
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Verdict
from opsconsole.policy.redaction import redact

FIELDS = (
    "args",
    "masked",
    "digest",
    "call_digest",
    "policy_hash",
    "risk",
    "rule",
    "why",
    "may_edit",
    "matched",
    "failed",
    "facts",
    "quorums",
    "not_by",
)
"""Of an approval: what an edit that is to be approved asks anew."""


def of(world: World, run: Run, call: Call, args: dict[str, Any], digest: str, verdict: Verdict) -> dict[str, Any]:
    """What a person is asked about these arguments of a call, by the verdict on them: the fields of an approval."""
    masked_args, masked = redact(args, world.mask)
    policy_hash = world.policy.hash
    known = grounds(run, call, verdict)
    return {
        "args": masked_args,
        "masked": masked,
        "digest": approval_digest(run=run.id, call=call.id, call_digest=digest, policy_hash=policy_hash),
        "call_digest": digest,
        "policy_hash": policy_hash,
        "risk": max_risk(verdict.risk, call.risk_claimed),
        "rule": verdict.rule,
        "why": verdict.reason,
        "may_edit": verdict.may_edit and call.kind is not CallKind.MODEL_CALL,
        "matched": known.get("matched", []),
        "failed": known.get("failed", []),
        "facts": redact(known.get("facts", {}), world.mask)[0],
        "quorums": list(verdict.quorums),
        "not_by": list(verdict.not_by),
    }


def written(asked: Mapping[str, Any]) -> dict[str, Any]:
    """As the audit holds it; `read` gives it back."""
    return {
        "args": asked["args"],
        "masked": asked["masked"],
        "digest": asked["digest"],
        "call_digest": asked["call_digest"],
        "policy": asked["policy_hash"],
        "risk": str(asked["risk"]),
        "rule": asked["rule"],
        "why": asked["why"],
        "may_edit": asked["may_edit"],
        "matched": asked["matched"],
        "failed": asked["failed"],
        "facts": asked["facts"],
        "quorums": people.written(asked["quorums"]),
        "not_by": asked["not_by"],
    }


def read(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an approval by its entry, also by one of a version that knew no quorums."""
    return {
        "args": entry["args"],
        "masked": entry["masked"],
        "digest": entry["digest"],
        "call_digest": entry["call_digest"],
        "policy_hash": entry["policy"],
        "risk": Risk(entry["risk"]),
        "rule": entry["rule"],
        "why": entry["why"],
        "may_edit": entry["may_edit"],
        "matched": entry.get("matched", []),
        "failed": entry.get("failed", []),
        "facts": entry.get("facts", {}),
        "quorums": people.read(entry.get("quorums", [])),
        "not_by": entry.get("not_by", []),
    }
