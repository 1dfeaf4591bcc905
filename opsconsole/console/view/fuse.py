"""A standing grant as it is typed, `5 30m` or `5 30m agent`: how many calls, for how long, whose; it gives none."""

from __future__ import annotations

import re

from opsconsole.protocol.asked import AskedGrant

USES_MAX = 1_000
SECONDS_MAX = 7 * 86_400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_TYPED = re.compile(r"(\d{1,4})\s+(\d{1,6})\s*([smhd])(?:\s+(run|agent))?\Z")
HOW = "a grant is 5 30m or 5 30m agent: how many calls, for how long, of this run or of its agent"


class BadFuse(ValueError):
    """What was typed is no grant; the message says what is."""


def to_grant(typed: str) -> AskedGrant:
    """The grant that was typed. Raises: BadFuse."""
    found = _TYPED.match(" ".join(typed.lower().split()))
    if found is None:
        raise BadFuse(HOW)
    uses, seconds = int(found[1]), int(found[2]) * _UNITS[found[3]]
    if not 1 <= uses <= USES_MAX or not 0 < seconds <= SECONDS_MAX:
        raise BadFuse(f"a grant is for 1 to {USES_MAX:,} calls and 7 days at most")
    return AskedGrant(uses=uses, seconds=seconds, scope="agent" if found[4] == "agent" else "run")
