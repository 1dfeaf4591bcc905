"""What a hub is started with, and the bounds its shells keep; it reads no file and no environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from opsconsole.domain.address import is_loopback
from opsconsole.errors import ConfigError
from opsconsole.policy.prices import Prices
from opsconsole.protocol import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellLimits:
    """Bounds of connections, requests and waits. Every one is there so that no peer can take more than its share."""

    hello_seconds: float = limits.HELLO_SECONDS_MAX
    beat_seconds: float = limits.BEAT_SECONDS
    sign_seconds: float = limits.SIGN_SECONDS
    board_tick_seconds: float = 0.25
    """Changed rows gather this long: a person reads no faster. What operators do, and kills, do not wait."""
    approvals_tick_seconds: float = 0.01
    """The same for held calls: the first is shown at once, a stampede a hundred times a second."""
    agent_frames_per_second: float = 5_000.0
    """Beyond it the hub reads slower; a journal that replays a backlog is welcome, but not at others' expense."""
    agent_bytes_per_second: float = 64 * 1024 * 1024.0
    operator_frames_per_second: float = 500.0
    """Acks of every view at its fastest, twice over, and a person; beyond it the connection is closed with 4008."""
    operator_bytes_per_second: float = 4 * 1024 * 1024.0
    burst_seconds: float = 2.0
    """How much of a second's rate a quiet connection may save up."""
    agent_connections_max: int = 5_000
    operator_connections_max: int = 500
    subscriptions_max: int = 16
    """Views that one console follows at once."""
    outgoing_frames_max: int = 20_000
    """Frames waiting for one peer that reads nothing; beyond it the connection is cut and resumes later."""
    refusals_per_second: float = 10.0
    """Refused requests of one address answered as such; beyond it 429, so that guessing tokens is slow."""
    storage_batches_max: int = 4_000
    """Batches waiting for the disk before agents' connections are read no further."""
    storage_bytes_max: int = 64 * 1024 * 1024
    storage_retry_seconds: float = 0.5
    """How often a batch that the disk refused is offered again."""
    records_seconds: float = 30.0
    """How often the desk's records are saved: the longest history that a restart replays."""
    records_events: int = 200_000
    """Events after which they are saved earlier: a few seconds of a restart's replay."""
    records_chunk: int = 200
    """Records of one transaction."""
    records_slice: int = 20
    """Records made without letting the loop go on: a millisecond or two."""
    wait_seconds_max: float = 60.0
    """Longest long-poll."""
    http_point_silent_seconds: float = 90.0
    """An agent that speaks HTTP is taken for gone after this long without a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """A hub, as the command line starts it. `port` 0 takes any free port; limits of None are unlimited."""

    data_dir: Path
    policy: Path | None = None
    """The policy file; None: read-only tools pass and everything else asks."""
    host: str = "127.0.0.1"
    port: int = 8787
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_bind: bool = False
    """Listen beyond loopback without TLS: tokens then cross the network in the clear."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages that may talk to this hub; none by default, so that no page can drive a hub on loopback."""
    cost_usd: float | None = 5.0
    turns: int | None = 200
    tokens: int | None = 2_000_000
    approval_ttl_seconds: float = limits.APPROVAL_TTL_SECONDS
    prices: Prices = field(default_factory=Prices)
    checkpoint_copy: Path | None = None
    """A second file for the audit's signed checkpoint, best on another disk."""
    events_days: int | None = 30
    """Days that runs' events are kept; None keeps them for ever. The audit has its own, longer floor."""
    decoys_per_day: float = 0.0
    """Made-up held calls that are shown to operators, on average; 0: none."""
    limits: ShellLimits = field(default_factory=ShellLimits)

    @property
    def scheme(self) -> str:
        """`https` with a certificate, else `http`."""
        return "https" if self.tls_cert else "http"

    def check(self) -> None:
        """Raises: ConfigError when the hub must not start with these settings."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("TLS needs both a certificate (--tls-cert) and its key (--tls-key)")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not path.is_file():
                raise ConfigError(f"{path} is not a file")
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"port {self.port} is not between 0 and 65535")
        if not is_loopback(self.host) and self.tls_cert is None and not self.insecure_bind:
            raise ConfigError(
                f"{self.host} is reachable from other machines and tokens would cross the network in the clear: "
                "give --tls-cert and --tls-key, or --insecure-bind if something in front of the hub speaks TLS"
            )
