"""The events of a run's timeline: what agents, supervisors and the hub state as facts; they carry no commands.

Every event is a patch by id: an omitted field is unchanged. Unknown types survive as `UnknownEvent`, so that a newer
agent never loses its history in an older hub.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.domain.usage import Usage
from opsconsole.protocol.limits import (
    CAPS_MAX,
    LABEL_CHARS_MAX,
    LABEL_NAME_CHARS_MAX,
    TEXT_BYTES_MAX,
)

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=TEXT_BYTES_MAX)]
Count = Annotated[int, Field(ge=0, le=2**53)]
LabelName = Annotated[str, Field(max_length=LABEL_NAME_CHARS_MAX)]
Label = Annotated[str, Field(max_length=LABEL_CHARS_MAX)]


def measured(value: float | None) -> float | None:
    """The length of time, or None for what is none."""
    return value if value is not None and math.isfinite(value) and value >= 0 else None


Duration = Annotated[float | None, AfterValidator(measured)]
"""What is no length of time is read as unknown: it stands in timelines that are stored."""
Capability = Literal["hold", "pause", "inject", "takeover", "kill_cooperative", "kill_process", "freeze"]
"""What a point can do to its run; the console offers nothing that no point can do."""


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="constants", defer_build=True)

    seq: Annotated[int, Field(ge=1, le=2**53)]
    """Contiguous per run and generation, given when the event enters the journal."""
    ts: float
    """The author's wall clock, unix seconds; shown, never used for order."""


class OnHubLost(BaseModel):
    """What the point does to its gate and its run when the hub cannot be reached."""

    gate: Literal["wait", "reject", "allow"] = "wait"
    allow_risk_max: Risk | None = None
    run: Literal["continue", "stop"] = "continue"
    lease_seconds: float | None = None


class RunEvent(_Event):
    """A run exists, or its description changed."""

    type: Literal["run"]
    agent: Name
    name: str | None = Field(default=None, max_length=500)
    parent: Id | None = None
    labels: dict[LabelName, Label] | None = Field(default=None, max_length=32)
    conversation: str | None = Field(default=None, max_length=200)
    framework: str | None = Field(default=None, max_length=100)
    version: str | None = Field(default=None, max_length=100)
    caps: list[Capability] | None = Field(default=None, max_length=CAPS_MAX)
    on_hub_lost: OnHubLost | None = None
    restored_from: Id | None = None
    """The checkpoint this process resumed from, if it did."""


class Exit(BaseModel):
    """How a supervised process ended."""

    code: int | None = None
    signal: str | None = Field(default=None, max_length=40)
    cpu_seconds: float | None = None
    memory_bytes_max: int | None = None
    wall_seconds: float | None = None
    last_output: list[Annotated[str, Field(max_length=2_000)]] = Field(default=[], max_length=100)
    survivors: int = 0


class StateEvent(_Event):
    """What the run is doing now, by its own claim or by its supervisor's."""

    type: Literal["state"]
    state: RunState
    reason: str | None = Field(default=None, max_length=2_000)
    stop_reason: str | None = Field(default=None, max_length=200)
    error: str | None = Field(default=None, max_length=8_000)
    exit: Exit | None = None


class MessageEvent(_Event):
    """A message of the conversation, whole (`text`) or growing (`append`)."""

    type: Literal["message"]
    id: Id
    role: Literal["user", "assistant", "thought", "system", "operator"]
    text: Text | None = None
    append: Text | None = None
    author: str | None = Field(default=None, max_length=200)
    command: Id | None = None


class ToolEvent(_Event):
    """A call the gate admits or watches: proposed, held, running, ended."""

    type: Literal["tool"]
    id: Id
    name: str | None = Field(default=None, max_length=200)
    kind: CallKind = CallKind.TOOL_CALL
    status: CallStatus
    gate: bool = False
    """Whether the author waits for a verdict before it goes on."""
    args: dict[str, Any] | None = None
    digest: str | None = Field(default=None, max_length=80)
    """`call_digest(name, args)` as computed by the enforcement point; the hub computes it again."""
    reason: str | None = Field(default=None, max_length=4_000)
    """Why the agent says it makes this call: a quotation, never a fact."""
    read_only: bool | None = None
    """The tool's own claim, believed only where policy trusts the tool."""
    risk: Risk | None = None
    server: str | None = Field(default=None, max_length=200)
    """The MCP server that offers the tool, by the name that policies know it under."""
    annotations: dict[str, Any] | None = None
    """What the server says of the tool (`readOnlyHint`, …); believed only where the policy trusts the server."""
    input_schema: dict[str, Any] | None = None
    """The JSON Schema of the arguments as the server or the agent gives it; untrusted."""
    offered: bool | None = None
    """False: the model calls a tool that it was not offered; left out: it was, or nobody knows."""
    target: str | None = Field(default=None, max_length=200)
    """For a handoff: the agent it goes to."""
    ttl_seconds: float | None = Field(default=None, gt=0, le=86_400)
    result: Text | None = None
    error: str | None = Field(default=None, max_length=8_000)
    duration_ms: Duration = None
    verdict: Id | None = None
    """The verdict command under which it ran or was refused."""


class UsageEvent(_Event):
    """Cumulative counts of this run with one model; the hub prices them."""

    type: Literal["usage"]
    model: Name
    provider: str | None = Field(default=None, max_length=100)
    served_model: str | None = Field(default=None, max_length=200)
    fingerprint: str | None = Field(default=None, max_length=200)
    turns: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    reasoning_tokens: Count = 0
    cost_usd: float | None = Field(default=None, ge=0, le=1e9)
    """The author's own price, used only where the hub knows none; a gateway's sum over single answers is believed."""
    priced_by: str | None = Field(default=None, max_length=100)
    """The price list and settings by which `cost_usd` was worked out."""
    unpriced_turns: Count = 0
    """Turns for which no price is known: `cost_usd` counts them by a flat price or not at all."""

    def reading(self) -> Usage:
        """The counts."""
        return Usage(
            turns=self.turns,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_tokens=self.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )


class NoteEvent(_Event):
    """A log line, a checkpoint, a hole in the journal, or anything an author wants kept."""

    type: Literal["note"]
    level: Literal["debug", "info", "warning", "error"] = "info"
    text: Text
    kind: str | None = Field(default=None, max_length=40)
    data: dict[str, Any] | None = None


class LinkEvent(_Event):
    """What the hub observed of a point's link."""

    type: Literal["link"]
    point: Name
    status: Literal["live", "stale", "lost", "detached"]
    why: str | None = Field(default=None, max_length=500)


class CommandEvent(_Event):
    """An operator's or the hub's act on this run, for its timeline; the audit holds the record."""

    type: Literal["command"]
    command: Id
    do: str
    by: str
    status: str
    text: str | None = None
    receipt: list[dict[str, Any]] | None = None


class UnknownEvent(_Event):
    """An event of a type this version does not know, or one that did not validate: kept and shown, never acted on."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(max_length=100)
    problem: str | None = None


AgentEvent = Annotated[
    RunEvent | StateEvent | MessageEvent | ToolEvent | UsageEvent | NoteEvent,
    Field(discriminator="type"),
]
"""What an enforcement point may author."""

TimelineEvent = Annotated[
    RunEvent | StateEvent | MessageEvent | ToolEvent | UsageEvent | NoteEvent | LinkEvent | CommandEvent,
    Field(discriminator="type"),
]
"""What a run's timeline holds."""

_ON_USE = ConfigDict(defer_build=True)
"""A process that reads no timeline does not make their readers."""
_TIMELINE_EVENTS: TypeAdapter[list[Any]] = TypeAdapter(list[TimelineEvent], config=_ON_USE)
_AGENT_EVENT: TypeAdapter[Any] = TypeAdapter(AgentEvent, config=_ON_USE)
_TIMELINE_EVENT: TypeAdapter[Any] = TypeAdapter(TimelineEvent, config=_ON_USE)
_RAW_EVENTS: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[dict[str, Any]], config=_ON_USE)

Event = (
    RunEvent | StateEvent | MessageEvent | ToolEvent | UsageEvent | NoteEvent | LinkEvent | CommandEvent | UnknownEvent
)


HUB_ONLY = frozenset({"link", "command"})
"""Types of event that state what the hub saw or an operator did: an agent's are kept under another name."""


def parse_agent_events(raw: list[dict[str, Any]]) -> list[Event]:
    """Events from already decoded JSON; what does not validate becomes an UnknownEvent with its problem.

    Raises: ValidationError if an item has not even a `seq`, a `ts` and a `type`.
    """
    return [_lenient(_disowned(item), _AGENT_EVENT) for item in raw]


def _disowned(item: dict[str, Any]) -> dict[str, Any]:
    kind = item.get("type")
    return {**item, "type": f"agent.{kind}"} if isinstance(kind, str) and kind in HUB_ONLY else item


def parse_timeline(data: bytes) -> list[Event]:
    """Events of a stored batch, leniently: one that this version cannot read is still shown."""
    try:
        return _TIMELINE_EVENTS.validate_json(data)
    except ValidationError:
        return [_lenient(item, _TIMELINE_EVENT) for item in _RAW_EVENTS.validate_json(data)]


def _lenient(item: dict[str, Any], adapter: TypeAdapter[Any]) -> Event:
    try:
        return adapter.validate_python(item)  # type: ignore[no-any-return]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return UnknownEvent.model_validate({**item, "problem": f"{place}: {first['msg']}"[:500]})
