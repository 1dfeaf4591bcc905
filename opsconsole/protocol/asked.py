"""What an operator's command carries beside its words: preconditions, other limits, a standing grant."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opsconsole.domain.run import RunState


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="constants", allow_inf_nan=False)


class Precondition(_Asked):
    """What must hold for a command to be accepted."""

    state: list[RunState] | None = None
    epoch: int | None = None
    """The control epoch, for acts under a takeover."""


class NewCaps(_Asked):
    """Other limits, given with a resume or for a budget."""

    cost_usd: float | None = Field(default=None, ge=0)
    turns: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    tool_calls: int | None = Field(default=None, ge=0)
    """Of a breaker."""
    wall_clock: float | None = Field(default=None, ge=0)
    """Seconds, of a breaker."""


class AskedGrant(_Asked):
    """A standing grant as an operator asks for it; the tool and the agent are those of the approval."""

    uses: int = Field(ge=1, le=1_000)
    seconds: float = Field(gt=0, le=7 * 86_400)
    scope: Literal["run", "agent"] = "run"
    args: dict[str, Any] | None = None
    """Argument -> exact value, or `{"like": "ord_*"}` (`*`: one word of letters, digits, `_`, `-` and single dots); as
    many arguments as a call has. None: exactly those that were shown."""
