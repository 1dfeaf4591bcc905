"""Whom a held call may be passed on to: somebody who could decide it; a misspelt name would wait for nobody."""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.domain.command import Do, Role
from opsconsole.domain.text import safe_line
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.protocol.frames import Command

DECIDING = (Role.OPERATOR, Role.ADMIN)
"""Roles that decide on held calls."""
NAMED_MAX = 8
"""Names in the words of a refusal; the others are counted."""
ASKED_CHARS_MAX = 64


def claim_refusal(command: Command, who: Principal, names: Callable[[], list[str]] | None) -> Refusal | None:
    """Why a call cannot be passed on to the one whom `command` names; None where it can, or passes nothing on."""
    if command.do is not Do.CLAIM or not command.text or names is None or who.role not in DECIDING:
        return None
    known = names()
    if command.text == who.name or command.text in known:
        return None
    more = f" and {len(known) - NAMED_MAX} more" if len(known) > NAMED_MAX else ""
    told = f"nobody called {safe_line(command.text, limit=ASKED_CHARS_MAX)!r} may decide here, only "
    return Refusal("not_found", f"{told}{', '.join(known[:NAMED_MAX])}{more}", {})
