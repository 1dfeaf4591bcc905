"""What the desk knows: runs, their points and calls, approvals, commands; plain records that only the desk changes."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct, ValidationError, convert
from pydantic_core import core_schema

from opsconsole.domain.approval import ApprovalStatus, Delivery
from opsconsole.domain.proof import Proof
from opsconsole.domain.run import TERMINAL, RunState
from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.domain.usage import Usage
from opsconsole.hub.desk.tools import ToolTold
from opsconsole.policy.interface import Escalation, Limits, Quorum, Spent
from opsconsole.protocol.frames import PointCommand
from opsconsole.protocol.outbox import Inbox
from opsconsole.protocol.rows import Alert, Baton, LinkStatus

GATEWAY = "gateway"
"""The point between agents and their models; a token of that role has no other, and no other token has it."""
LEASE = "lease "
"""How the names of reservations for turns that were let go ahead begin, which no id of a call does."""
RETIRED_KEPT_MAX = 64
"""Generations of a point remembered, so that an old process does not come back; each is one restart of it."""


Side = Literal["", "gateway", "others"]
"""Whom a command is for: every point, or where it must be done once, the gateway or all the others."""


@dataclass(slots=True, kw_only=True)
class Point:
    """One enforcement point of a run: its journal's numbers and its link."""

    name: str
    gen: str = ""
    trusted: bool = False
    """It has proved that it is this run's supervisor: its word on the process is proof."""
    conn: str | None = None
    link: LinkStatus = "live"
    link_since: float = 0.0
    caps: list[str] = field(default_factory=list)
    host: str = ""
    pid: int = 0
    heard_at: float = 0.0
    gone_at: float = 0.0
    """When its last connection ended: until then it may have heard the hub."""
    met: bool = False
    """Whether it has attached since the hub's start: only then is its cursor one of our numbers."""
    busy: str = ""
    inbox: Inbox = field(default_factory=Inbox)
    cseq: int = 0
    retired: list[str] = field(default_factory=list)
    """Generations that newer ones have replaced; the oldest are forgotten."""
    may_run_unseen: bool = False
    """It declared that it lets calls run while the hub is lost."""
    lease_seconds: float | None = None
    """Set where the point promised to stop its run after this long without the hub."""

    def retire(self, gen: str) -> None:
        """A newer generation speaks from now on."""
        self.retired = [*self.retired, gen][-RETIRED_KEPT_MAX:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """What a turn of the model may use at most, by its point's word; `usd` of None where no price is known."""

    usd: float | None = None
    tokens: int = 0


class Call(Struct, kw_only=True, omit_defaults=True, gc=False):
    """One call that a point proposed or reported.

    Most of what a busy hub keeps are these: as a struct that the collector of garbage passes by (nothing in it leads
    back to it), one costs little to make, to keep and to write down.
    """

    id: str
    kind: CallKind
    tool: str
    status: CallStatus
    since: float
    gate: bool = False
    args: dict[str, Any] | None = None
    """Unmasked while the call is open and this process has seen the proposal; else None."""
    call_digest: str = ""
    edited_digest: str = ""
    """Of the arguments that an operator put in the place of its own."""
    edited: dict[str, Any] | None = None
    """Unmasked arguments that operators vote on instead of these; like these in memory only."""
    agent_reason: str = ""
    read_only_claimed: bool = False
    risk_claimed: Risk | None = None
    ttl_seconds: float | None = None
    target: str = ""
    point: str = ""
    """Which point told of it first."""
    reserve: Reserve | None = None
    least: Reserve | None = None
    """The smallest part of it with which the turn can go, where its point can make it take so little."""
    server: str | None = None
    """The MCP server that offers the tool, by the point's word."""
    annotations: dict[str, Any] = {}
    input_schema: dict[str, Any] | None = None
    is_offered: bool = True
    """Not known to be a tool that the model made up."""
    schema_change: str | None = None
    """Masked SQL of this call, which changes a schema if the call succeeds."""
    approval: str | None = None
    verdict: str | None = None
    """The verdict command, once there is one."""
    permitted: bool = False
    """Whether some verdict let it run."""
    counted: bool = False
    """It is one of the run's turns, or never will be."""
    embeds: bool = False
    """No model answers it in words: it costs, and is no turn, and nobody could answer in the model's place."""
    unpermitted: bool = False
    """Whether it ran though none did."""
    held: str | None = None
    """Why the call waits although nobody is asked: `pause`, or `budget`."""
    asked: bool = False
    """A verdict or approval is being recorded."""
    is_seen: bool = False
    """The detectors know of it."""
    seen_digest: str = ""
    """Of its arguments, as the detectors tell it from others."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        """How the record of a run, which is a model's to read, reads its calls."""
        return core_schema.no_info_plain_validator_function(_call_read)


def _call_read(raw: Any) -> Call:
    try:
        return convert(raw, Call)
    except ValidationError as error:
        raise ValueError(str(error)) from None


@dataclass(slots=True, kw_only=True)
class OpenCommand:
    """A command on its way to a run's points."""

    frame: PointCommand
    created_at: float
    expires_at: float | None = None
    done: set[str] = field(default_factory=set)
    """Points that acknowledged it."""
    side: Side = ""
    is_held: bool = False
    """A permit given while the run is paused: told when it goes on, and numbered then."""

    def is_for(self, point: str) -> bool:
        """Whether that point is to carry it out, now."""
        return not self.is_held and (not self.side or (point == GATEWAY) == (self.side == GATEWAY))

    def is_due(self, point: str, now: float) -> bool:
        """Whether it is still to be told to that point."""
        return self.is_for(point) and point not in self.done and (self.expires_at is None or now < self.expires_at)


@dataclass(slots=True, kw_only=True)
class Kill:
    """A kill under way or done, with its receipt."""

    command: str
    commands: list[str]
    by: str
    mode: str
    reason: str
    sent_at: float
    status: str = "sent"
    proof: Proof = Proof.NONE
    lines: list[tuple[str, float, str]] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    total_ms: float | None = None


@dataclass(slots=True, kw_only=True)
class Owed:
    """An audit entry that a run's events call for, until it is on record."""

    kind: str
    at: float
    details: dict[str, Any]
    """Masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The gateway's sum of the prices of single answers of one model, and the usage in it."""

    usd: float
    usage: Usage
    by: str
    """The price list and settings by which it was worked out."""
    unpriced_turns: int = 0


@dataclass(slots=True, kw_only=True)
class Run:
    """One run."""

    id: str
    agent: str = ""
    name: str = ""
    parent: str | None = None
    children: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    unclaimed: bool = False
    """A gateway started it; whoever else speaks for it first is its owner."""
    named_by: str = ""
    """The point whose word on its name, agent and labels stands."""
    framework: str = ""
    restored_from: str | None = None
    checkpoint: str | None = None
    described: bool = False
    state: RunState = RunState.SUBMITTED
    reason: str = ""
    stop_reason: str = ""
    error: str = ""
    exit_code: int | None = None
    exit_signal: str | None = None
    proof: Proof = Proof.NONE
    started_at: float = 0.0
    progress_at: float = 0.0
    ended_at: float | None = None
    points: dict[str, Point] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    others: dict[str, Usage] = field(default_factory=dict)
    """Latest readings of models that are added up in one: they are cumulative, and only what is new of them counts."""
    others_usd: dict[str, float] = field(default_factory=dict)
    """The same in the gateway's dollars."""
    costs: dict[str, float] = field(default_factory=dict)
    unpriced: set[str] = field(default_factory=set)
    assumed: set[str] = field(default_factory=set)
    """Models that a flat price counts, for want of a known one."""
    bills: dict[str, Bill] = field(default_factory=dict)
    """model -> what the gateway has told of it."""
    priced_by: dict[str, str] = field(default_factory=dict)
    """model -> the price list and settings by which it was priced."""
    served: dict[str, str] = field(default_factory=dict)
    spend: deque[tuple[float, float]] = field(default_factory=deque)
    burning: bool = False
    """A look at its burn rate is due."""
    limits: Limits = field(default_factory=Limits)
    tripped: str | None = None
    calls: OrderedDict[str, Call] = field(default_factory=OrderedDict)
    open_calls: dict[str, Call] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    """Approvals of this run that wait."""
    commands: list[OpenCommand] = field(default_factory=list)
    cseq: int = 0
    hub_seq: int = 0
    epoch: int = 0
    baton: Baton | None = None
    steered_by: Side = ""
    """Whom the takeover was told, who must hear of its end."""
    composed: dict[str, str] = field(default_factory=dict)
    """call digest -> operator who composed that call while answering as the model; consumed once."""
    paused_by: str = ""
    state_since: float = 0.0
    doing: str = ""
    latest: tuple[Call, dict[str, Any] | None] | str | None = None
    """What it does by the last that it told, unmasked and in memory only; `doing` is made of it for whoever looks."""
    supervised: bool = False
    """A supervisor holds its processes, by its sealed id: no other word on them is proof, even before it is heard."""
    frozen: bool = False
    kill: Kill | None = None
    alerts: list[Alert] = field(default_factory=list)
    zombie: bool = False
    audit_seq: int = 0
    turns_begun: int = 0
    """Turns of the model that the gate took in, or that ran, as the points in the agent's process tell."""
    gateway_turns: int = 0
    """The same as a gateway tells: it sees the turns that the others see."""
    reserved: dict[str, Reserve] = field(default_factory=dict)
    """call -> what that turn, which is under way, may still use."""
    leases: int = 0
    """Leases of turns given so far: each has a reservation of its own name."""
    settled: list[str] = field(default_factory=list)
    """Turns that ended within the frame that is being read: what they used may stand behind their end."""
    owed: dict[str, Owed] = field(default_factory=dict)
    """kind and call -> the entry."""
    schema_changes: list[str] = field(default_factory=list)
    """SQL that changed a schema and succeeded, masked."""
    tools: dict[str, ToolTold] = field(default_factory=dict)
    """Point and tool -> what the point says of it."""
    tool_calls: int = 0
    """Calls of tools that were proposed, or ran unasked."""
    alerts_raised: int = 0
    """By detectors and breakers so far."""
    alert_keys: dict[str, str] = field(default_factory=dict)
    """Alert of a detector -> what the detector knows the trouble by."""
    watched: dict[str, Any] | None = None
    """The detectors' memory of it; set only while the record is on its way to the disk or back."""

    @property
    def ended(self) -> bool:
        """Whether the run is in a terminal state."""
        return self.state in TERMINAL

    @property
    def turns(self) -> int:
        """Model turns, over all models; not fewer than the gate has seen, whatever is reported."""
        return max(self.turns_begun, self.gateway_turns, sum(usage.turns for usage in self.usage.values()))

    @property
    def cost_usd(self) -> float:
        """What it has cost as far as prices are known."""
        return sum(self.costs.values())

    @property
    def spent(self) -> Spent:
        """For comparing with the limits."""
        turns = tokens = 0
        for usage in self.usage.values():  # at every reading
            turns += usage.turns
            tokens += usage.tokens
        return Spent(cost_usd=self.cost_usd, turns=max(self.turns_begun, self.gateway_turns, turns), tokens=tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's yes to a held call, on record."""

    by: str
    at: float
    command: str


@dataclass(slots=True, kw_only=True)
class Approval:
    """One held call and what became of it."""

    id: str
    run: str
    agent: str
    call: str
    kind: CallKind
    tool: str
    args: dict[str, Any]
    """Masked, as shown."""
    masked: bool
    digest: str
    call_digest: str
    policy_hash: str
    risk: Risk
    rule: str
    why: str
    agent_reason: str
    may_edit: bool
    requested_at: float
    expires_at: float
    status: ApprovalStatus = ApprovalStatus.PENDING
    visible: bool = False
    """Set once its request is recorded."""
    claimed_by: str | None = None
    passed_by: str | None = None
    """Who passed it on to `claimed_by`, if it was not they."""
    decided_by: str | None = None
    decided_at: float | None = None
    command: str = ""
    """The command that decided it."""
    note: str = ""
    edited_args: dict[str, Any] | None = None
    response: str | None = None
    delivery: Delivery = Delivery.NONE
    result: str = ""
    entry_seq: int = 0
    """The last audit entry under this approval's key."""
    matched: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Masked."""
    quorums: list[Quorum] = field(default_factory=list)
    """Every one has to be met; none: one operator decides."""
    not_by: list[str] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    edited_by: str | None = None
    """Who changed the arguments that are voted on: they are no longer those that were proposed."""
    remind_at: float | None = None
    escalations: list[Escalation] = field(default_factory=list)
    """Those still to come."""


@dataclass(slots=True, kw_only=True)
class Grant:
    """One person's yes to calls still to come."""

    id: str
    tool: str
    args: dict[str, Any]
    """The pattern: argument -> exact value, or `{"like": text with *}`; without secrets."""
    uses: int
    expires_at: float
    agent: str
    run: str | None
    """None: every run of the agent."""
    by: str
    given_at: float
    approval: str
    policy_hash: str
    used: int = 0
    revoked: str | None = None
    """Why it ended before its time."""
    untold: bool = False
    """That end is not on record yet."""


@dataclass(slots=True, kw_only=True)
class Receipt:
    """One operator's command: its answer, and how it went at each run it named."""

    command: str
    do: str
    by: str
    at: float
    body_hash: str
    side: Side = ""
    res: dict[str, Any] | None = None
    pending: dict[str, Any] | None = None
    """The answer to what was done before it was recorded, should storage be slow."""
    waiting: list[str] = field(default_factory=list)
    """Who waits for the answer; only while it is being recorded."""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """run -> {status, proof, points, total_ms}."""
