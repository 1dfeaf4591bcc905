"""The gateway's settings as a person writes them; what the process makes of them is settings.py's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from opsconsole.gateway.flow.breaker import Fallback, read_fallbacks
from opsconsole.gateway.settings import ANSWER_TOKENS, HELD_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """The LLM gateway that stands between agents and their models."""

    url: str | None = None
    """Where agents reach a gateway that is not the one of their own data directory."""
    enabled: bool = True
    """Whether a hub starts one beside itself."""
    host: str = "127.0.0.1"
    port: int = 8788
    openai_url: str | None = None
    """What OpenAI's client calls its base URL; None is the public API."""
    anthropic_url: str | None = None
    openai_key: str | None = field(default=None, repr=False)
    """A key that the gateway holds for its agents, who then show a run token in its place."""
    anthropic_key: str | None = field(default=None, repr=False)
    deny: Literal["reask", "strip", "stop"] = "reask"
    provider_tools: Literal["strip", "ask", "allow"] = "strip"
    clamp: Literal["on", "off"] = "on"
    """Whether answers of unlimited length end at what their turn has reserved of the run's budget."""
    answer_tokens: int = ANSWER_TOKENS
    """Reserved for an answer whose length nobody limited."""
    held_mib: int = HELD_MIB
    """Of requests and held answers together, in memory."""
    background: bool = False
    hub_lost: Literal["refuse", "wait", "allow"] = "refuse"
    keepalive_seconds: float = 10.0
    patience_seconds: float = 5.0
    grace_seconds: float = 30.0
    idle_seconds: float = 1_800.0
    share_seconds: float = 30.0
    """How long a request waits for its share of a provider's limits."""
    fallbacks: tuple[Fallback, ...] = ()


def fallbacks(value: Any) -> tuple[Fallback, ...]:
    """A list of `provider/model=other, another`; in a variable, separated by semicolons. Raises: ValueError."""
    lines = value.split(";") if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError("not a list of texts")
    return read_fallbacks(line for line in lines if line.strip())


def base_url(value: Any) -> str:
    """An API's base URL, http or https, without a slash at its end. Raises: ValueError."""
    if not isinstance(value, str):
        raise ValueError("not a text")
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("not a base URL")
    return parts.geturl().rstrip("/")
