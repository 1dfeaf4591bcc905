"""What the desk would refuse of a command on a held call, for one that is made up and not in its books; it keeps none.

Word for word the desk's: a refusal must not tell a made-up call from a real one.
"""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.domain.approval import Answer
from opsconsole.domain.command import Do
from opsconsole.hub.desk.decisions import MASK_MARK, edited_arguments
from opsconsole.hub.desk.grant_pattern import problem_of
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.protocol.frames import Command, Res
from opsconsole.protocol.rows import ApprovalRow


def check_decision(command: Command, row: ApprovalRow, now: float) -> None:
    """As a decision on a pending approval is checked. Raises: Refusal."""
    if command.digest != row.digest:
        raise Refusal("digest_mismatch", "this is not what was shown", {"digest": row.digest})
    if now >= row.expires_at:
        raise Refusal("already_settled", "it has expired", {"status": "expired"})
    if command.answer is None:
        raise Refusal("bad_request", "a decision needs an answer: approve, edit, reject or respond", {})
    if command.answer is Answer.RESPOND and command.text is None and not command.calls:
        raise Refusal("bad_request", "a response needs a text", {})
    if command.calls:
        raise Refusal("bad_request", "calls can be composed only in answer to a model call", {})
    if command.answer is Answer.EDIT:
        edited_arguments(command)


def check_grant(command: Command, row: ApprovalRow, now: float) -> None:
    """As a grant for calls like a pending one is checked. Raises: Refusal."""
    asked = command.grant
    if asked is None:
        raise Refusal("bad_request", "a grant needs a number of uses and a time", {})
    if now >= row.expires_at:
        raise Refusal("precondition_failed", "the call was expired", {"status": "expired"})
    if command.digest != row.digest:
        raise Refusal("digest_mismatch", "this is not what was shown", {"digest": row.digest})
    args = row.args if asked.args is None else asked.args
    problem = "its arguments hold a secret" if MASK_MARK in repr(args) else problem_of(args or {})
    if problem:
        raise Refusal("bad_request", f"no grant: {problem}", {})


def check_claim(_command: Command, _row: ApprovalRow, _now: float) -> None:
    """Anybody who may decide may show that they look."""


CHECKS: dict[Do, Callable[[Command, ApprovalRow, float], None]] = {
    Do.DECIDE: check_decision,
    Do.GRANT: check_grant,
    Do.CLAIM: check_claim,
}
"""The commands that are about one held call; every other one is the desk's alone."""


def conflict(command: Command) -> Res:
    """The answer to a command under the id of another one."""
    message = "this id was used for another command"
    return Res(cmd=command.cmd, ok=False, code="idempotency_conflict", message=message)
