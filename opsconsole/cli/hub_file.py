"""What a hub leaves in its data directory for this machine: its address and the token files; it makes none of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from opsconsole.config import Settings, hub_url
from opsconsole.domain.command import Role
from opsconsole.errors import ConfigError

HUB_FILE = "hub.json"
TOKEN_FILES = {
    Role.OPERATOR: "operator.token",
    Role.ADMIN: "admin.token",
    Role.AGENT: "agent.token",
    Role.GATEWAY: "gateway.token",
}
FILE_BYTES_MAX = 65_536
"""Both are a few hundred bytes; what is longer is neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """What `hub.json` says, while the process that wrote it lives."""

    url: str
    pid: int


def read_hub_file(data_dir: Path) -> HubFile | None:
    """The running hub of a data directory; None when there is none, or its file is of a process that has ended."""
    try:
        document = json.loads(_read(data_dir / HUB_FILE))
        found = HubFile(url=hub_url(document["url"]), pid=int(document["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if _lives(found.pid) else None


def at_running_hub(settings: Settings) -> Settings:
    """The same settings, with the address of the data directory's running hub where nobody named another."""
    if settings.source["hub"] != "default":
        return settings
    running = read_hub_file(settings.data_dir)
    if running is None:
        return settings
    source = {**settings.source, "hub": str(settings.data_dir / HUB_FILE)}
    return replace(settings, hub=running.url, source=source)


def find_token(settings: Settings, role: Role) -> str:
    """The token to use: the one given, else the data directory's for that role, which leaves this machine for no hub.

    Raises: ConfigError that says where it was looked for.
    """
    if settings.token is not None:
        return settings.token
    if role is not Role.AGENT and os.environ.get("OPSCONSOLE_RUN"):
        # What an agent's tool starts is no operator, though it may read the same files.
        raise ConfigError(
            "token is not set: inside a supervised run no operator's token is taken from the data directory; "
            "give OPSCONSOLE_TOKEN"
        )
    path = settings.data_dir / TOKEN_FILES[role]
    if not _is_ours(settings):
        raise ConfigError(f"token is not set: give OPSCONSOLE_TOKEN for {settings.hub}, which is not on this machine")
    try:
        token = _read(path).strip()
    except FileNotFoundError:
        raise ConfigError(
            f"token is not set: give OPSCONSOLE_TOKEN, or the --data-dir of the hub (there is no {path})"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"token cannot be read from {path}: {error}") from None
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError(f"token in {path} is not one line of printable ASCII")
    return token


def _is_ours(settings: Settings) -> bool:
    if settings.hub_is_local:
        return True
    running = read_hub_file(settings.data_dir)
    return running is not None and running.url == settings.hub


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX).decode()


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
