"""Everything a gateway is told when it starts; where the values come from is the command line's affair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from opsconsole.domain.tool_call import Risk
from opsconsole.gateway.flow.breaker import Fallback
from opsconsole.policy.price_settings import Prices

if TYPE_CHECKING:
    from opsconsole.sdk.on_hub_lost import OnHubLost

ANSWER_TOKENS = 16_384
"""Most answers are far shorter; a model that thinks first needs several thousand before its first word."""
HELD_MIB = 512
"""Eight of the largest requests, or as many of the longest held answers as hundreds of agents wait with."""

Deny = Literal["reask", "strip", "stop"]
ProviderTools = Literal["strip", "ask", "allow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """One gateway process."""

    hub: str
    """The WebSocket address of the hub's agent endpoint."""
    token: Callable[[], str | None] = field(repr=False)
    """The token of the role gateway, as of now."""
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8788
    port_is_wish: bool = False
    """Whether any other free port will do where this one is taken."""
    upstreams: Mapping[str, str] = field(default_factory=dict)
    """provider -> its base URL; what is missing is refused."""
    configured: frozenset[str] = frozenset()
    """The providers whose upstream somebody named."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """provider -> the key that the gateway holds; its agents then need a run token."""
    deny: Deny = "reask"
    keepalive_seconds: float = 10.0
    """Between two signs of life to a client that waits."""
    patience_seconds: float = 5.0
    """How long a client waits before the first of them, which settles that the answer's status is 200."""
    grace_seconds: float = 30.0
    """How long a turn goes on that no client listens to, for one that asks again."""
    idle_seconds: float = 1_800.0
    """After this long without a request a run is left; one that nobody else speaks for has ended."""
    connect_seconds: float = 10.0
    read_seconds: float = 900.0
    """The longest silence of an upstream amid an answer."""
    provider_tools: ProviderTools = "strip"
    """Tools that the provider runs itself can be held by nobody once they are offered."""
    held_mib: int = HELD_MIB
    """Of requests and held answers together, in memory; beyond it new ones are refused."""
    clamp: bool = True
    """Whether an answer of unlimited length is limited to what its turn has reserved, where the run has a budget."""
    answer_tokens: int = ANSWER_TOKENS
    """Reserved for an answer whose length nobody limited."""
    background: bool = False
    """Whether requests may ask for answers that nobody waits for; they cannot be held."""
    fallbacks: tuple[Fallback, ...] = ()
    """Models that stand in for others whose upstream fails."""
    share_seconds: float = 30.0
    """How long a request waits for its share of a provider's limits."""
    prices: Prices = field(default_factory=Prices)
    hub_lost: Literal["refuse", "wait", "allow"] = "refuse"
    """New turns while the hub cannot be reached."""

    @property
    def on_hub_lost(self) -> OnHubLost:
        """The same in the words of a run's gate: calls of tools wait, whatever turns of the model do."""
        from opsconsole.sdk.on_hub_lost import OnHubLost  # the settings are read where no SDK is: the first paint waits

        return OnHubLost(gate="allow", allow_risk_max=Risk.LOW) if self.hub_lost == "allow" else OnHubLost()
