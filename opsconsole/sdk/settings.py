"""Where the hub is, with which token, and where journals lie: arguments, then environment; it reads no TOML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from opsconsole.errors import ConfigError

HUB_DEFAULT = "http://127.0.0.1:8787"
AGENT_PATH = "/v1/agent"
TOKEN_FILE = "agent.token"
TOKEN_CHARS_MAX = 4_096
"""A token file that is longer holds something else."""
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkSettings:
    """Where an agent's events go."""

    url: str
    """The WebSocket address of the hub's agent endpoint."""
    data_dir: Path
    given_token: str | None

    @property
    def journal_dir(self) -> Path:
        """The folder of this machine's journals."""
        return self.data_dir / "journal"

    def token(self) -> str | None:
        """The token as of now: the one given, else that in the data directory (a hub may write it after we start)."""
        if self.given_token:
            return self.given_token
        try:
            return (self.data_dir / TOKEN_FILE).read_text()[:TOKEN_CHARS_MAX].strip() or None
        except OSError:
            return None


def read_settings(
    *,
    hub: str | None = None,
    token: str | None = None,
    data_dir: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> SdkSettings:
    """The settings in force. Raises: ConfigError when the hub's address is none."""
    place = data_dir or environ.get("OPSCONSOLE_DATA_DIR")
    return SdkSettings(
        url=agent_url(hub or environ.get("OPSCONSOLE_HUB") or HUB_DEFAULT),
        data_dir=Path(place) if place else _default_data_dir(),
        given_token=token or environ.get("OPSCONSOLE_TOKEN") or None,
    )


def agent_url(hub: str) -> str:
    """The WebSocket address for a hub given as http or ws URL. Raises: ConfigError."""
    parts = urlsplit(hub)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigError(f"OPSCONSOLE_HUB is an http, https, ws or wss URL, not {hub!r}")
    path = parts.path.rstrip("/").removesuffix(AGENT_PATH)
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path + AGENT_PATH, "", ""))


def hub_name(url: str) -> str:
    """The same for every way to write one hub's address: host, port and path.

    Only the usual names of this machine are one: two hubs may listen at two of its other addresses.
    """
    parts = urlsplit(url)
    host = "this machine" if parts.hostname in _THIS_MACHINE else parts.hostname
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    return f"{host}:{port}{parts.path.rstrip('/').removesuffix(AGENT_PATH)}"


def _default_data_dir() -> Path:
    from platformdirs import user_data_dir  # its import costs every agent more than the few that need it gain

    return Path(user_data_dir("opsconsole"))
