"""How full the rate limits of models' providers are, as a gateway tells the hub and the hub tells consoles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RATES_MAX = 48
"""Limits in one frame: the most urgent."""

Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]


class Rate(BaseModel):
    """One limit of one model, as of when it is told."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    provider: str = Field(max_length=64)
    model: str = Field(max_length=200)
    account: str = Field(default="", max_length=16)
    """Tells accounts of one provider apart; it is no key, nor made from one that anybody could find again."""
    kind: Literal["requests", "tokens", "input_tokens", "output_tokens"]
    source: Literal["headers", "learned", "counted"] = "counted"
    """Who says so: the provider's answers; a refusal of it; nobody, only the use is counted."""
    limit: Amount | None = None
    """A minute; None where nobody has told one."""
    per_minute: Amount = 0.0
    """What went through this gateway in the last minute."""
    used_share: Amount | None = None
    full_in_seconds: Amount | None = None
    """None where it is not filling."""
    level: Literal["ok", "warning", "critical"] = "ok"


class LimitRow(Rate):
    """The same as consoles are shown it."""

    gateway: str = ""
    """Where the gateway runs that says so."""
    at: float = 0.0
    """When it was told, hub clock."""
