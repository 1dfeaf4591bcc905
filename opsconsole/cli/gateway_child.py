"""The gateway that a hub starts beside itself: its own process, started again when it dies, stopped with the hub."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from opsconsole.cli.hub_file import read_hub_file
from opsconsole.config import Settings
from opsconsole.sdk.private_folder import make_private_folder

LOG_NAME = "gateway.log"
LOOK_SECONDS = 0.05
"""How often the hub's file is looked for until the hub listens."""
FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS = 0.5, 30.0
"""Between two attempts; the wait doubles while attempts end soon."""
SOON_SECONDS = 10.0
STOP_SECONDS = 6.0
"""How long the gateway may take to let its streams end."""

log = logging.getLogger("opsconsole.cli")


class GatewayChild:
    """Watches over one gateway process, on a thread of its own; `with` a hub that is about to serve."""

    def __init__(self, settings: Settings, config: str | None) -> None:
        self._settings, self._config = settings, config
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="opsconsole-gateway-child", daemon=True)

    def __enter__(self) -> GatewayChild:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._thread.join(STOP_SECONDS)

    def _watch(self) -> None:
        wait = FIRST_WAIT_SECONDS
        url = self._hub_url()
        while url and not self._stopping.is_set():
            lasted = self._one(url)
            if self._stopping.is_set():
                return
            wait = FIRST_WAIT_SECONDS if lasted else min(LAST_WAIT_SECONDS, wait * 2)
            log.warning("the gateway ended; it is started again in %.1f s (see logs/%s)", wait, LOG_NAME)
            self._stopping.wait(wait)

    def _hub_url(self) -> str:
        """Where this process's own hub listens, once it does; empty where it never will."""
        while not self._stopping.wait(LOOK_SECONDS):
            found = read_hub_file(self._settings.data_dir)
            if found is not None and found.pid == os.getpid():
                return found.url
        return ""

    def _one(self, url: str) -> bool:
        """One process from start to end; True if it lasted."""
        logs = self._settings.data_dir / "logs"
        make_private_folder(logs)
        with open(os.open(logs / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as sink, self._lock:
            if self._stopping.is_set():
                return False
            self._process = subprocess.Popen(
                self._command(url),
                env=child_environment(os.environ),
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                cwd=self._settings.data_dir,
            )
        try:
            self._process.wait(SOON_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.wait()
            return True
        return False

    def _command(self, url: str) -> list[str]:
        command = [sys.executable, "-P", "-m", "opsconsole.cli", "gateway", "--hub", url, "--ends-with-stdin"]
        command += ["--data-dir", str(self._settings.data_dir)]
        if self._settings.source["gateway.port"] == "default":
            command.append("--any-port")
        if self._config:
            command += ["--config", str(Path(self._config).absolute())]
        return command


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The hub's environment without the token of whoever started it: a gateway has its own."""
    return {name: value for name, value in environ.items() if name != "OPSCONSOLE_TOKEN"}
