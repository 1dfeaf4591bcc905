"""What the hub tells this point about one run, as a plain value that can lie in the journal; it carries nothing out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from opsconsole.domain.command import Do
from opsconsole.domain.tool_call import Outcome

if TYPE_CHECKING:
    from opsconsole.protocol.frames import PointCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command of the hub; the fields mean what they mean in PointCommand."""

    cmd: str
    cseq: int
    do: Do
    by: str = ""
    call: str | None = None
    outcome: Outcome | None = None
    digest: str | None = None
    args: dict[str, Any] | None = None
    calls: list[dict[str, Any]] | None = None
    rule: str = ""
    text: str | None = None
    mode: str = "ladder"
    when: str = "next_step"
    epoch: int | None = None
    lease: dict[str, Any] | None = None
    """Of the moment: a later process finds none in the journal."""
    unlimited: bool | None = None
    granted: dict[str, Any] | None = None

    def to_json(self) -> bytes:
        """For the journal."""
        return json.dumps(asdict(self) | {"lease": None}).encode()


_FIELDS = [field.name for field in fields(Order)]


def order_of(frame: PointCommand) -> Order:
    """The order in a frame."""
    values = {name: getattr(frame, name) for name in _FIELDS}
    if frame.calls is not None:
        values["calls"] = [call.model_dump() for call in frame.calls]
    if frame.lease is not None:
        values["lease"] = frame.lease.model_dump()
    if frame.granted is not None:
        values["granted"] = frame.granted.model_dump()
    return Order(**values)


def order_from_json(data: bytes) -> Order:
    """The order as the journal kept it."""
    values = json.loads(data)
    outcome = values["outcome"]
    return Order(**values | {"do": Do(values["do"]), "outcome": None if outcome is None else Outcome(outcome)})
