"""What the settings are once they are resolved, as values with their defaults; it reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from opsconsole.domain.address import is_loopback
from opsconsole.gateway.options import GatewayOptions
from opsconsole.notify.rules import QuietHours
from opsconsole.policy.price_settings import Prices

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8787


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where and how the hub listens; `port` 0 is any free one."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_bind: bool = False
    allowed_origins: tuple[str, ...] = ()
    checkpoint_copy: Path | None = None
    events_days: int | None = 30
    decoys_per_day: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Caps of each run under the default policy; None is unlimited."""

    cost_usd: float | None = 5.0
    turns: int | None = 200
    tokens: int | None = 2_000_000
    approval_ttl_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSettings:
    """The supervisor's ladder: how long each step may take, in milliseconds."""

    cooperative_ms: int = 250
    term_ms: int = 750
    verify_ms: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How the console behaves on this terminal."""

    kill_key: Literal["once", "twice"] = "once"
    mouse: bool = True
    ascii: bool = False
    theme: Literal["dark", "light", "ansi", "colour-blind", "mono"] = "dark"
    notify: Literal["off", "bell", "osc9", "osc777"] = "bell"
    keys: tuple[tuple[str, str], ...] = ()
    previews: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Where messages go that people need away from the console; the addresses hold secrets."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    quiet: QuietHours | None = None
    per_minute: int = 10
    alerts: str = "trip"
    """Which alerts of detectors are told: those that `trip`, or `all`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything, resolved. `hub` is an http or https URL that ends in no slash; `source` says where from."""

    hub: str
    source: Mapping[str, str]
    token: str | None = field(repr=False)
    data_dir: Path
    server: ServerSettings
    limits: LimitSettings
    kill: KillSettings
    console: ConsoleOptions
    notify: NotifySettings = NotifySettings()
    gateway: GatewayOptions = field(default_factory=GatewayOptions)
    prices: Prices = field(default_factory=Prices)
    policy: Path | None = None

    @property
    def hub_is_local(self) -> bool:
        """Whether the hub's address is on loopback."""
        return is_loopback(urlsplit(self.hub).hostname)
