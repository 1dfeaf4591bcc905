"""The frames of `opsconsole.v1`, one JSON object each: what the outside is held to; how they are read is `coding`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opsconsole.domain.approval import Answer
from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import Outcome
from opsconsole.protocol.asked import AskedGrant, NewCaps, Precondition
from opsconsole.protocol.events import AgentEvent, Id, Name
from opsconsole.protocol.limits import (
    BATCH_EVENTS_MAX,
    RUNS_PER_CONNECTION_MAX,
    TEXT_BYTES_MAX,
)
from opsconsole.protocol.rates import RATES_MAX, Rate

Seq = Annotated[int, Field(ge=0, le=2**53)]
PointName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.\-]{0,63}$")]


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="constants", defer_build=True)


class Proc(_Frame):
    """The process at the other end."""

    host: str = Field(default="", max_length=255)
    pid: int = 0


class HelloRun(_Frame):
    """One run the agent's connection speaks for."""

    run: Id
    gen: Id
    seq: Seq = 0
    """The last sequence number in the journal."""
    cseq: Seq = 0
    """The last command the point has journalled."""
    state: RunState | None = None
    """The run's state now, so that operators see it before the backlog is in."""
    held: bool = False
    """Whether the point takes the run for taken over by an operator; a hub that knows otherwise says so."""
    key: str | None = Field(default=None, max_length=128)
    """A supervisor's: the key that the run id commits to; without it nobody is believed about the process."""


class Hello(_Frame):
    """First frame of a client; agents name their point and runs, operators only themselves."""

    t: Literal["hello"] = "hello"
    client: str = Field(default="", max_length=200)
    point: PointName | None = None
    """The enforcement point: `sdk`, `supervisor`, `gateway`, …; None for an operator's console."""
    proc: Proc = Proc()
    runs: list[HelloRun] = Field(default=[], max_length=RUNS_PER_CONNECTION_MAX)


class Welcome(_Frame):
    """The hub's answer to hello."""

    t: Literal["welcome"] = "welcome"
    epoch: str
    """Random per hub start: revs of another epoch mean nothing."""
    minor: int = 0
    conn: str
    principal: str
    role: str
    beat_seconds: float
    sign_seconds: float | None = None
    """How often the hub says something here at least; None: every `beat_seconds`."""
    time: float
    """Hub clock, unix seconds."""
    acked: dict[str, int] = {}
    """run -> last sequence number stored for this point's generation."""
    policy_hash: str = ""
    policy: str = ""
    """What the policy calls itself."""
    token_ends: float | None = None
    """Hub clock, unix seconds: when the token of this connection expires; None: never, or not told."""


class Attach(_Frame):
    """Further runs of a connection that is already open."""

    t: Literal["attach"] = "attach"
    runs: list[HelloRun] = Field(min_length=1, max_length=RUNS_PER_CONNECTION_MAX)


class Detach(_Frame):
    """The point leaves a run on purpose: no alarm."""

    t: Literal["detach"] = "detach"
    run: Id


class Skip(_Frame):
    """A hole the journal had to make, inclusive at both ends: visible, never silent."""

    first: Seq
    last: Seq
    why: str = Field(max_length=200)


class EventFrame(_Frame):
    """Events of one run, contiguous in seq; after `skip` where there is one."""

    t: Literal["event"] = "event"
    model_config = ConfigDict(extra="allow")

    run: Id
    gen: Id
    skip: Skip | None = None
    events: Annotated[list[AgentEvent], Field(max_length=BATCH_EVENTS_MAX)]


class Ack(_Frame):
    """Cumulative: hub of stored events, agent of journalled commands, operator of applied rows."""

    t: Literal["ack"] = "ack"
    run: Id | None = None
    seq: Seq | None = None
    want: Seq | None = None
    """The first missing sequence number: send again from here."""
    cseq: Seq | None = None
    sub: str | None = Field(default=None, max_length=64)
    rev: Seq | None = None


class Sub(_Frame):
    """Start (or, with `off`, stop) a subscription; with epoch and rev, resume one."""

    t: Literal["sub"] = "sub"
    sub: str = Field(max_length=64)
    view: Literal["board", "approvals", "run", "hub"] = "board"
    run: Id | None = None
    epoch: str | None = None
    rev: Seq | None = None
    off: bool = False


class Look(_Frame):
    """What a console has open now, for the other operators; neither: nothing of a run."""

    t: Literal["look"] = "look"
    run: Id | None = None
    approval: Id | None = None


class Snap(_Frame):
    """One part of a whole view; swap it in at `end`."""

    t: Literal["snap"] = "snap"
    sub: str
    epoch: str
    part: int
    end: bool = False
    rev: int
    rows: list[dict[str, Any]]


class Delta(_Frame):
    """Rows changed since `from_rev`; for the `run` view, timeline events."""

    t: Literal["delta"] = "delta"
    sub: str
    from_rev: int
    rev: int
    rows: list[dict[str, Any]]
    gone: list[str] = []
    skipped: int = 0
    """Timeline events left out because the subscriber was far behind; page them over HTTP."""


class ProposedCall(_Frame):
    """A call an operator composes while answering as the model."""

    id: Id
    name: Name
    args: dict[str, Any]


class Command(_Frame):
    """What an operator asks; the client makes the id and sends the same bytes until a `res`."""

    t: Literal["cmd"] = "cmd"
    cmd: Id
    do: Do
    run: Id | None = None
    runs: list[Id] | None = Field(default=None, max_length=RUNS_PER_CONNECTION_MAX)
    """A kill of several runs; `all` for every live run."""
    all: bool = False
    approval: Id | None = None
    answer: Answer | None = None
    digest: str | None = Field(default=None, max_length=80)
    args: dict[str, Any] | None = None
    text: str | None = Field(default=None, max_length=TEXT_BYTES_MAX)
    """The words: of a response, an injected message, a hand-back summary, an annotation."""
    calls: list[ProposedCall] | None = Field(default=None, max_length=16)
    note: str | None = Field(default=None, max_length=4_000)
    """The reason, for the audit and (on a rejection) for the model."""
    mode: Literal["ladder", "now"] = "ladder"
    when: Literal["next_step", "interrupt"] = "next_step"
    caps: NewCaps | None = None
    account: str | None = Field(default=None, max_length=400)
    """Of a breaker, whose caps are changed."""
    go_on: bool = False
    """What the breaker alone holds goes on."""
    grant: AskedGrant | None = None
    grant_id: Id | None = None
    """The grant to revoke."""
    alert: Id | None = None
    """The alert that is answered."""
    verdict: Literal["real", "fine"] | None = None
    """Whether what a detector found is trouble."""
    if_: Precondition | None = Field(default=None, alias="if")
    ttl_seconds: float | None = Field(default=None, gt=0, le=86_400)

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class TurnLease(_Frame):
    """Turns of the model that a gateway may begin without asking, while it hears the hub and nothing stops the run."""

    turns: Annotated[int, Field(ge=1)]
    usd: float | None = None
    """What they may reserve together; None is no limit of the run's."""
    tokens: int | None = None
    seconds: float


class TurnGrant(_Frame):
    """What a turn of the model may take that said with how little it can go: less than it would take at most."""

    usd: float | None = None
    """None where no price is known."""
    tokens: int = 0
    """Of its request and its answer together."""


class PointCommand(_Frame):
    """What the hub tells the points of a run, in order of `cseq`, at least once."""

    t: Literal["cmd"] = "cmd"
    cmd: str
    run: str
    cseq: int
    do: Do
    by: str = ""
    # verdict
    call: str | None = None
    outcome: Outcome | None = None
    digest: str | None = None
    """`call_digest` of the arguments that may run: the point compares before it runs anything."""
    args: dict[str, Any] | None = None
    calls: list[ProposedCall] | None = None
    rule: str = ""
    lease: TurnLease | None = None
    """With an allowed turn of the model, to a gateway: further turns under the same verdict."""
    unlimited: bool | None = None
    """With an allowed turn of the model, to a gateway: whether no budget applies to it, so that it needs no clamp."""
    granted: TurnGrant | None = None
    """With an allowed turn of the model that carried `reserve.least`: what it may take; None: all it has reserved."""
    # the rest
    text: str | None = None
    mode: Literal["ladder", "now"] = "ladder"
    when: Literal["next_step", "interrupt"] = "next_step"
    epoch: int | None = None


class Res(_Frame):
    """The answer to a command: from the hub to its sender, or from a point to the hub."""

    t: Literal["res"] = "res"
    cmd: Id
    ok: bool
    status: str = Field(default="", max_length=40)
    replayed: bool = False
    code: str = Field(default="", max_length=60)
    """Machine-readable reason of a refusal, e.g. `digest_mismatch`."""
    message: str = Field(default="", max_length=2_000)
    current: dict[str, Any] = {}
    """The values that contradicted the command."""
    # from a point
    run: Id | None = None
    proof: Literal["process", "cooperative", "lease", "none"] | None = None
    points: list[dict[str, Any]] = Field(default=[], max_length=64)
    """Lines of a kill receipt: name, ms, outcome."""
    killed: list[int] = Field(default=[], max_length=10_000)
    """Process ids that are proven dead, on the host of the point's hello."""


class Beat(_Frame):
    """Alive, and how far the sender's clock is; `busy` tells a hang from a silence."""

    t: Literal["beat"] = "beat"
    n: int = 0
    now: float = 0.0
    echo: float | None = None
    """The peer's last `now`."""
    busy: str | None = Field(default=None, max_length=200)
    rates: list[Rate] | None = Field(default=None, max_length=RATES_MAX)
    """A gateway's: how full the providers' limits are; what it leaves out is no longer known."""


class Bye(_Frame):
    """Said before closing on purpose."""

    t: Literal["bye"] = "bye"
    code: int
    reason: str = Field(default="", max_length=500)
    reconnect: bool = True
    after_ms: int = 0


class Err(_Frame):
    """Something was wrong and the connection goes on."""

    t: Literal["err"] = "err"
    code: str
    message: str
    ref: str | None = None


AgentFrame = Hello | Attach | Detach | EventFrame | Ack | Res | Beat | Bye
OperatorFrame = Hello | Sub | Look | Ack | Command | Beat | Bye
HubToAgent = Welcome | Ack | PointCommand | Beat | Bye | Err
HubToOperator = Welcome | Snap | Delta | Res | Beat | Bye | Err
Frame = (
    Hello
    | Welcome
    | Attach
    | Detach
    | EventFrame
    | Ack
    | Sub
    | Look
    | Snap
    | Delta
    | Command
    | PointCommand
    | Res
    | Beat
    | Bye
    | Err
)

Direction = Literal["agent_to_hub", "operator_to_hub", "hub_to_agent", "hub_to_operator"]

FRAMES: dict[Direction, tuple[type[BaseModel], ...]] = {
    "agent_to_hub": (Hello, Attach, Detach, EventFrame, Ack, Res, Beat, Bye),
    "operator_to_hub": (Hello, Sub, Look, Ack, Command, Beat, Bye),
    "hub_to_agent": (Welcome, Ack, PointCommand, Beat, Bye, Err),
    "hub_to_operator": (Welcome, Snap, Delta, Res, Beat, Bye, Err),
}
"""direction -> the frames that may travel so; the schemas in docs/ are generated from this table."""
