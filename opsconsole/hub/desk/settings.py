"""The desk's times and bounds; changing one changes no rule."""

from __future__ import annotations

from dataclasses import dataclass, field

from opsconsole.policy.prices import Prices
from opsconsole.protocol import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskSettings:
    """All in seconds of the hub's clock unless named otherwise."""

    beat_seconds: float = limits.BEAT_SECONDS
    stale_seconds: float = limits.STALE_SECONDS
    lost_seconds: float = limits.LOST_SECONDS
    forget_lost_seconds: float = 86_400.0
    """A run lost this long is failed with reason `lost`."""
    approval_ttl_seconds: float = limits.APPROVAL_TTL_SECONDS
    command_ttl_seconds: float = limits.COMMAND_TTL_SECONDS
    kill_unconfirmed_seconds: float = limits.KILL_UNCONFIRMED_SECONDS
    kill_settle_seconds: float = 1.0
    """After a killed run's end, how long to wait for the receipt of a point that is still heard."""
    takeover_lease_seconds: float = limits.TAKEOVER_LEASE_SECONDS
    retry_record_seconds: float = 1.0
    """How often an act that stopped something, and could not be recorded, is offered to storage again."""
    answer_seconds: float = 1.0
    """How long the giver of a stop waits at most to hear that it was done, recorded or not."""
    burn_window_seconds: float = 60.0
    burn_refresh_seconds: float = 5.0
    """How often at most a rate that falls is shown again."""
    prices: Prices = field(default_factory=Prices)
    """What becomes of models without a price."""
    priced_by: str = ""
    """What the desk's own prices are called in the record."""


OPEN_CALLS_MAX = 256
"""Calls of one run that may wait or run at once: more than this nobody could answer, and each costs every kill."""
CALLS_KEPT_MAX = 256
"""Ended calls remembered per run, so that a late duplicate finds its verdict; an older one is refused."""
COMMANDS_KEPT_MAX = 5_000
"""Commands kept per run for points that have not acknowledged them."""
RECEIPTS_KEPT_MAX = 50_000
"""Operators' commands remembered for idempotency and receipts."""
RUNS_KEPT_MAX = 20_000
"""Runs on the board; the longest ended leave first."""
FORGOTTEN_KEPT_MAX = 200_000
"""Ids of runs that have left the board and may not be started again; about 20 MB."""
OWED_KEPT_MAX = 512
"""Entries per run that a restart would make good; more than this are only in memory."""
REFUSALS_KEPT_MAX = 2_000
"""Refused commands whose answer is remembered; apart, so that refusals push no receipt out."""
REFUSALS_WINDOW_SECONDS = 60.0
"""Equal refusals of this long are one entry of the audit, with their number."""
REFUSAL_KEYS_MAX = 200
"""Different refusals told singly in that time; more are counted together."""
ENDED_APPROVALS_KEPT_MAX = 2_000
"""Settled approvals on the queue's view; the oldest leave first (the audit keeps them)."""
GRANTS_MAX = 500
"""Grants that stand at once; each is looked at when a policy asks."""
GRANTS_OVER_KEPT_MAX = 500
"""Grants that are over and still listed; the oldest leave first (the audit keeps them)."""
ALERTS_KEPT_MAX = 20
"""Alerts kept on a run's row."""
UNRECORDED_MAX = 10_000
"""Entries of the hub's own waiting for storage to take them; what an operator did waits however many there are."""
POINTS_PER_RUN_MAX = 16
"""Enforcement points of one run; each is on its row, and nobody has a use for more."""
