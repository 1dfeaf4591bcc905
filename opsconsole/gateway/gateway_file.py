"""What a running gateway leaves in its data directory, so that `run` finds it; who reads it checks that it lives."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

GATEWAY_FILE = "gateway.json"
FILE_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFile:
    """Where a gateway is, and for what."""

    url: str
    pid: int
    hub: str
    """The hub's name, as `opsconsole.sdk.settings.hub_name` gives it."""
    upstreams: Mapping[str, str]
    """provider -> base URL."""
    configured: tuple[str, ...]
    """The providers whose upstream somebody named."""
    held: tuple[str, ...]
    """The providers whose key the gateway holds: their agents need a run token."""


def write_gateway_file(data_dir: Path, file: GatewayFile) -> None:
    """Puts it there, readable by its owner only."""
    beside = data_dir / f"{GATEWAY_FILE}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as out:
        json.dump(asdict(file), out)
    beside.replace(data_dir / GATEWAY_FILE)


def remove_gateway_file(data_dir: Path) -> None:
    """Takes ours away; one of a later gateway stays."""
    found = read_gateway_file(data_dir)
    if found is not None and found.pid == os.getpid():
        (data_dir / GATEWAY_FILE).unlink(missing_ok=True)


def read_gateway_file(data_dir: Path) -> GatewayFile | None:
    """The running gateway of a data directory, or None."""
    try:
        with (data_dir / GATEWAY_FILE).open("rb") as file:
            document = json.loads(file.read(FILE_BYTES_MAX))
        found = GatewayFile(
            url=str(document["url"]),
            pid=int(document["pid"]),
            hub=str(document["hub"]),
            upstreams={str(name): str(url) for name, url in document["upstreams"].items()},
            configured=tuple(document["configured"]),
            held=tuple(document["held"]),
        )
        os.kill(found.pid, 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found
