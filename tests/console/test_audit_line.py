"""An entry of the audit on one line: what was answered is never what is cut."""

from __future__ import annotations

from datetime import UTC

import pytest

from opsconsole.console.sample import NOW
from opsconsole.console.view.audit_lines import audit_entry, audit_line

DECIDED = {
    "seq": 7,
    "at": NOW,
    "kind": "approval.decided",
    "who": {"principal": "ana"},
    "agent": "a-long-name-of-an-agent",
    "tool": "send_wire_transfer",
    "answer": "reject",
}


@pytest.mark.parametrize("width", [51, 70, 79])
def test_the_answer_is_on_the_line_at_every_width(width: int) -> None:
    entry = audit_entry(DECIDED)
    assert entry is not None
    assert "rejected send" in "".join(text for text, _ in audit_line(entry, width=width, zone=UTC))
