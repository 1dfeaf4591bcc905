"""The rows operators see: the latest state of a run or an approval, never a queue of changes; they hold no history."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opsconsole.domain.approval import ApprovalStatus, Delivery
from opsconsole.domain.proof import Proof
from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.protocol.rates import LimitRow

LinkStatus = Literal["live", "stale", "lost", "detached"]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


class Waiting(_Row):
    """What a run waits for, and since when (hub clock, unix seconds)."""

    kind: Literal["approval", "pause", "takeover", "model", "tool", "handoff", "input"]
    what: str
    since: float
    id: str | None = None
    """The approval or call it waits for."""


class PointRow(_Row):
    """One enforcement point of a run: who can hold, pause or kill it, and whether it is heard."""

    name: str
    link: LinkStatus
    caps: list[str]
    host: str = ""
    pid: int = 0
    heard_at: float = 0.0
    busy: str = ""
    """What the point last said it is busy with, such as a loop that stands still; a beat alone shows no progress."""


class ReceiptLine(_Row):
    """One line of a kill receipt."""

    name: str
    ms: float
    outcome: str


class KillRow(_Row):
    """A kill under way or done."""

    command: str
    by: str
    mode: Literal["ladder", "now"]
    reason: str
    sent_at: float
    status: Literal["sent", "stopping", "dead", "already_dead", "unconfirmed"]
    proof: Proof
    points: list[ReceiptLine]
    total_ms: float | None = None


class Baton(_Row):
    """Who holds a taken-over run, until when (hub clock, unix seconds), and the control epoch."""

    by: str
    since: float
    until: float
    epoch: int


class Caps(_Row):
    """The limits of a run; None is unlimited."""

    cost_usd: float | None = None
    turns: int | None = None
    tokens: int | None = None


class Alert(_Row):
    """Something about a run that a person should know."""

    id: str
    kind: str
    text: str
    level: Literal["info", "warning", "critical"]
    at: float
    detector: str = ""
    """Which detector or breaker found it; empty: the hub's own rules."""
    severity: Literal["", "warn", "trip"] = ""
    """How bad a detector finds it; what trips may have paused the run."""
    evidence: dict[str, Any] = Field(default_factory=dict)
    """By what it was found, bounded, secrets masked; it may hold an agent's words."""
    runs: list[str] = Field(default_factory=list)
    """Every run it concerns, where there are several."""
    agents: list[str] = Field(default_factory=list)
    """Whose thresholds the answer moves."""
    paused: bool = False
    """The hub paused the run for it."""
    verdict: Literal["", "real", "fine"] = ""
    """What an operator answered."""
    verdict_by: str = ""


class RunRow(_Row):
    """One run as the board shows it."""

    key: str
    """The run's id; rows are addressed by `key` in every view."""
    run: str
    agent: str
    name: str = ""
    parent: str | None = None
    children: int = 0
    labels: dict[str, str] = Field(default_factory=dict)
    owner: str = ""
    """The principal whose token started it."""
    framework: str = ""
    state: RunState
    reason: str = ""
    stop_reason: str = ""
    error: str = ""
    link: LinkStatus
    link_since: float
    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    cost_per_minute_usd: float = 0.0
    """Spend over the last minute, hub clock."""
    cost_known: bool = True
    """False when some usage had no price: the true cost is higher than `cost_usd`."""
    caps: Caps = Field(default_factory=Caps)
    models: list[str] = Field(default_factory=list)
    waiting: Waiting | None = None
    doing: str = ""
    """The call it is in, or the last thing it said, on one line."""
    pending_approvals: int = 0
    pending_risk: Risk | None = None
    """Of the worst of them, which is the one that the run is said to wait for."""
    started_at: float
    progress_at: float
    """Hub clock of the last event that shows progress; a beat is not progress."""
    ended_at: float | None = None
    points: list[PointRow] = Field(default_factory=list)
    kill: KillRow | None = None
    baton: Baton | None = None
    alerts: list[Alert] = Field(default_factory=list)
    runway: str = ""
    """The cap that is reached first at the present pace, such as `its $10.00 cap`; empty: none is."""
    runway_at: float | None = None
    """When that is (hub clock, unix seconds)."""
    held_by: list[str] = Field(default_factory=list)
    """Breakers that hold the run until somebody resumes it."""
    exit_code: int | None = None
    exit_signal: str | None = None
    restored_from: str | None = None
    checkpoint: str | None = None
    frozen: bool = False
    """Its processes are stopped where they are (SIGSTOP)."""
    outlived: bool = False
    """It said that it ended, and the supervisor that holds its processes has not proved them gone."""
    zombie: bool = False
    """Events arrived after its end."""
    rev: int = 0


class ApprovalRow(_Row):
    """One held call as the queue shows it."""

    key: str
    """The approval's id."""
    approval: str
    run: str
    agent: str
    call: str
    kind: CallKind
    tool: str
    args: dict[str, Any]
    """As the hub stores and shows them: secrets masked."""
    masked: bool = False
    """Whether something in `args` was masked; the digest is over the unmasked arguments."""
    digest: str
    """What a decision must quote."""
    call_digest: str
    risk: Risk
    rule: str
    why: str
    """The rule's reason, by policy."""
    agent_reason: str = ""
    """The agent's own words: a quotation."""
    may_edit: bool = True
    may_respond: bool = True
    requested_at: float
    expires_at: float
    status: ApprovalStatus
    claimed_by: str | None = None
    """Who looks at it, or should."""
    passed_by: str | None = None
    """Who passed it on to `claimed_by`; none where they claimed it themselves."""
    decided_by: str | None = None
    decided_at: float | None = None
    note: str = ""
    edited_args: dict[str, Any] | None = None
    response: str | None = None
    delivery: Delivery = Delivery.NONE
    result: str = ""
    """What became of the call, once known."""
    matched: list[str] = Field(default_factory=list)
    """Every rule of the policy that matched."""
    failed: list[str] = Field(default_factory=list)
    """Every rule that could not be evaluated."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the hub worked out about the call; secrets masked."""
    approvers: int = 1
    """How many people have to say yes, at least."""
    groups: list[str] = Field(default_factory=list)
    """Of whom; empty: any operator."""
    not_by: list[str] = Field(default_factory=list)
    """Whose yes does not count; `starter` where nobody knows who started the run, so that nobody's does."""
    votes: list[str] = Field(default_factory=list)
    """Who has said yes."""
    edited_by: str | None = None
    """Who changed `args`: they are no longer those that the agent proposed."""
    rev: int = 0


class Present(_Row):
    """One console that is connected, and what it has open since when (hub clock, unix seconds)."""

    by: str
    run: str | None = None
    approval: str | None = None
    since: float


class HubRow(_Row):
    """The hub itself: the only row of its view."""

    key: str
    policy: str
    """What the policy in force calls itself."""
    policy_hash: str
    policy_since: float
    """Since when it judges, hub clock; 0: since this start of the hub."""
    alerts: list[Alert] = Field(default_factory=list)
    """What is about no single run."""
    limits: list[LimitRow] = Field(default_factory=list)
    """How full the rate limits of models' providers are, by what gateways tell."""
    present: list[Present] = Field(default_factory=list)
    """Who is connected with a console, and what each has open."""
    rev: int = 0


VIEWS: dict[str, type[RunRow] | type[ApprovalRow] | type[HubRow]] = {
    "board": RunRow,
    "approvals": ApprovalRow,
    "hub": HubRow,
}
"""view -> row; the `run` view carries timeline events instead."""
