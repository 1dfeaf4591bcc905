"""What came of comparing the hub's signed audit with the head pinned here, and its words; it compares nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from opsconsole.console.view.amounts import day_and_time
from opsconsole.console.view.line import Tone
from opsconsole.domain.text import safe_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """One comparison; times are of this machine's clock, unix seconds."""

    size: int = 0
    """Entries under the signed head that the hub shows now; 0: it showed none that could be read."""
    root: str = ""
    """Of that head, in hex."""
    before: int | None = None
    """Entries under the head that was pinned until now; None: there was none."""
    seen_at: float | None = None
    """When that one was pinned."""
    broken: str = ""
    """How the audit is no longer what was seen; empty: it holds all of it."""
    unproven: str = ""
    """Why nothing could be compared, which is not yet a contradiction."""
    under_way: bool = False
    """Whether it is still compared: nothing is known yet."""

    @property
    def is_kept(self) -> bool:
        """Whether the hub's audit was proven to hold what was seen."""
        return not (self.broken or self.unproven or self.under_way)


def witnessed_words(found: Witnessed, zone: tzinfo) -> tuple[str, Tone]:
    """One line, and how loud it is."""
    seen = "" if found.seen_at is None else day_and_time(found.seen_at, zone)
    if found.broken:
        saw = f" at {seen} ({found.before or 0:,} entries)" if seen else ""
        return f"✖ the audit no longer contains what this console saw{saw}: {safe_line(found.broken)}", "alarm"
    if found.unproven:
        last = f"; last at {seen}, {found.before or 0:,} entries" if seen else ""
        return f"? not compared with what this console saw: {safe_line(found.unproven)}{last}", "warn"
    if found.under_way:
        return "comparing with what this console saw …", "dim"
    if found.before is None:
        return f"✔ signed head {found.root[:8]} of {found.size:,} pinned, the first seen here", "good"
    return f"✔ signed head {found.root[:8]} of {found.size:,} holds the {found.before:,} seen {seen}", "good"
