"""Starts a hub as a process of its own where none answers, and waits until it is ready; it never stops one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from opsconsole.config import DEFAULT_PORT, DEFAULT_PORTS, Settings
from opsconsole.errors import HubUnreachable
from opsconsole.sdk.private_folder import make_private_folder

READY_SECONDS = 20.0
"""A hub replays at most ten seconds of history before it is ready; a small machine takes its time."""
LOOK_SECONDS = 0.05
ASK_SECONDS = 2.0
LOG_NAME = "hub.log"
LOG_TAIL_BYTES = 2_000
"""What is quoted of the log when a hub did not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedHub:
    """A hub that we started: its process goes on when we end."""

    pid: int
    log: Path


def answers(url: str) -> bool:
    """Whether anything listens at the address; asked without an HTTP library, for the console's first paint."""
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        socket.create_connection((parts.hostname or "", port), timeout=ASK_SECONDS).close()
    except OSError:
        return False
    return True


def ensure_hub(settings: Settings) -> StartedHub | None:
    """Starts a hub if none answers and its address is on loopback; None when one was there.

    Raises: HubUnreachable when none answers elsewhere, or ours did not become ready.
    """
    if answers(settings.hub):
        return None
    parts = urlsplit(settings.hub)
    if not settings.hub_is_local or parts.scheme != "http" or parts.path:
        raise HubUnreachable(f"no hub answers at {settings.hub} ({settings.source['hub']})")
    return start_hub(settings, parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORT)


def start_hub(settings: Settings, host: str, port: int) -> StartedHub:
    """Starts `opsconsole hub` in a session of its own and waits until it is ready. Raises: HubUnreachable."""
    logs = settings.data_dir / "logs"
    make_private_folder(logs)
    log = logs / LOG_NAME
    command = [sys.executable, "-P", "-m", "opsconsole.cli", "hub", "--host", host, "--port", str(port)]
    command += ["--data-dir", str(settings.data_dir)]
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as sink:
        began = sink.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd=settings.data_dir
        )
    _await_ready(host, port, process, log, began)
    return StartedHub(pid=process.pid, log=log)


def _await_ready(host: str, port: int, process: subprocess.Popen[bytes], log: Path, began: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise HubUnreachable(f"the hub ended with status {process.returncode}: {_tail(log, began)}")
        with suppress(OSError, HTTPException):
            if _is_ready(host, port):
                return
        time.sleep(LOOK_SECONDS)
    raise HubUnreachable(f"the hub (process {process.pid}) is not ready after {READY_SECONDS:.0f} s: see {log}")


def _is_ready(host: str, port: int) -> bool:
    with closing(HTTPConnection(host, port, timeout=ASK_SECONDS)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200


def _tail(log: Path, began: int) -> str:
    with log.open("rb") as file:
        file.seek(max(began, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        return file.read().decode("utf-8", "replace").strip() or f"see {log}"
