"""What a person ruled on a call of the timeline: in a few words for its line, in full for the opened step."""

from __future__ import annotations

from opsconsole.console.view.amounts import age
from opsconsole.console.view.edit_text import difference
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, Tone
from opsconsole.console.view.timeline_lines import pretty
from opsconsole.domain.approval import OPEN, ApprovalStatus
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CallKind

_TONES: dict[ApprovalStatus, Tone] = {
    ApprovalStatus.PENDING: "ask",
    ApprovalStatus.DECIDING: "ask",
    ApprovalStatus.EDITED: "hold",
    ApprovalStatus.RESPONDED: "hold",
    ApprovalStatus.REJECTED: "warn",
    ApprovalStatus.EXPIRED: "warn",
}
_VERBS = {ApprovalStatus.REJECTED: "denied", ApprovalStatus.RESPONDED: "answered"}


def in_short(held: HeldCall, *, now: float) -> tuple[str, Tone]:
    """`waits 41s, ana looks`, `edited by ben`, `denied by ana`, `answered by ana as the model`."""
    row = held.row
    tone = _TONES.get(row.status, "dim")
    if row.status in OPEN:
        looks = f", {safe_line(row.claimed_by)} looks" if row.claimed_by else ""
        return f"waits {age(now - row.requested_at)}{looks}", tone
    by = f" by {safe_line(row.decided_by)}" if row.decided_by else ""
    as_model = " as the model" if row.kind is CallKind.MODEL_CALL and row.status is ApprovalStatus.RESPONDED else ""
    return f"{_VERBS.get(row.status, row.status.value)}{by}{as_model}", tone


def in_full(held: HeldCall, *, now: float, width: int) -> list[Line]:
    """Why it was held, who ruled what, and the difference that an edit made."""
    row = held.row
    words, tone = in_short(held, now=now)
    took = f" after {age(row.decided_at - row.requested_at)}" if row.decided_at else ""
    lines: list[Line] = [
        (("held: ", "dim"), (safe_line(f"{row.why} (rule {row.rule})"), "plain")),
        (("ruling: ", "dim"), (f"{words}{took}", tone)),
        (("digest of the approval: ", "dim"), (safe_line(row.digest), "plain")),
    ]
    if row.note:
        lines.append((("note: ", "dim"), (safe_line(row.note), "plain")))
    if row.edited_args is not None:
        changed = difference(row.args, row.edited_args, width=width)
        lines += changed or fenced("EDITED ARGUMENTS, as sent", pretty(row.edited_args), width=width, tone="plain")
    if row.response:
        lines += fenced(f"ANSWERED BY {safe_line(row.decided_by or '')}", row.response, width=width)
    return lines
