"""Every held call the hub shows, in the order in which a person should look at them; it decides none."""

from __future__ import annotations

from opsconsole.console.view.ingest import HeldCall, held_call
from opsconsole.console.view.rows import Rows
from opsconsole.domain.approval import SETTLED, ApprovalStatus
from opsconsole.domain.tool_call import RISK_RANK


class Queue:
    """The approvals, by key."""

    def __init__(self) -> None:
        self.rows: Rows[HeldCall] = Rows(held_call, self._changed)
        self.changes = 0
        self.pending: set[str] = set()
        self._by_call: dict[tuple[str, str], str] = {}

    def get(self, key: str | None) -> HeldCall | None:
        """A held call, if the hub shows it."""
        return None if key is None else self.rows.by_key.get(key)

    def of_call(self, run: str, call: str) -> HeldCall | None:
        """The question about a call of a run, if the hub shows one."""
        return self.get(self._by_call.get((run, call)))

    def order(self, run: str | None = None) -> list[str]:
        """Pending ones first, the riskiest and then the soonest to expire on top; then the settled, newest first."""
        placed = []
        for key, held in self.rows.by_key.items():
            row = held.row
            if run is not None and row.run != run:
                continue
            if row.status in SETTLED:
                placed.append((1, 0, -(row.decided_at or row.requested_at), key))
            else:
                placed.append((0, -RISK_RANK[row.risk], row.expires_at, key))
        placed.sort()
        return [key for *_, key in placed]

    def pending_of(self, run: str) -> list[HeldCall]:
        """The held calls of one run, oldest first."""
        held = [self.rows.by_key[key] for key in self.pending]
        return sorted((one for one in held if one.row.run == run), key=lambda one: one.row.requested_at)

    def passed_to(self, who: str) -> list[HeldCall]:
        """The calls that wait and that somebody passed on to `who`, oldest first."""
        held = [one for key in self.pending if (one := self.rows.by_key[key]).row.claimed_by == who]
        return sorted((one for one in held if one.row.passed_by), key=lambda one: one.row.requested_at)

    def oldest(self) -> float | None:
        """When the longest waiting call was held (hub clock), or None."""
        return min((self.rows.by_key[key].row.requested_at for key in self.pending), default=None)

    def _changed(self, key: str, before: HeldCall | None, after: HeldCall | None) -> None:
        self.changes += 1
        if after is not None:
            self._by_call[after.row.run, after.row.call] = key
        elif before is not None and self._by_call.get((before.row.run, before.row.call)) == key:
            del self._by_call[before.row.run, before.row.call]
        if after is not None and after.row.status is ApprovalStatus.PENDING:
            self.pending.add(key)
        else:
            self.pending.discard(key)
