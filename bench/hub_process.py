"""A real hub as a process to measure: started by its command, with its URL, its tokens and what it costs."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory

import psutil

START_SECONDS = 30.0
STOP_SECONDS = 30.0
HUB = ("-m", "opsconsole.cli", "hub", "--port", "0", "--no-gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the hub has used: CPU seconds so far, memory in MiB now, and the wall clock of the reading."""

    at: float
    cpu_seconds: float
    memory_mib: float

    def share_since(self, before: Usage) -> float:
        """Percent of one core used since an earlier reading."""
        return 100 * (self.cpu_seconds - before.cpu_seconds) / (self.at - before.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubProcess:
    """A hub that listens."""

    url: str
    data_dir: Path
    process: Popen[bytes]

    def token(self, role: str) -> str:
        """The bootstrap token of operator, admin or agent."""
        return (self.data_dir / f"{role}.token").read_text().strip()

    def usage(self) -> Usage:
        """A reading."""
        process = psutil.Process(self.process.pid)
        times = process.cpu_times()
        memory_mib = process.memory_info().rss / 2**20
        return Usage(at=time.monotonic(), cpu_seconds=times.user + times.system, memory_mib=memory_mib)


@contextmanager
def hub_process(data_dir: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[HubProcess]:
    """A hub on a free port of loopback, in a fresh directory unless one is given; `settings` are its variables."""
    with TemporaryDirectory(prefix="opsconsole-bench-") as fresh:
        directory = data_dir or Path(fresh)
        (directory / "hub.json").unlink(missing_ok=True)
        arguments = [sys.executable, *HUB, "--data-dir", str(directory)]
        with (directory / "hub.out").open("wb") as out:
            environment = {**os.environ, **(settings or {})}
            process = Popen(arguments, stdin=DEVNULL, stdout=out, stderr=out, env=environment)
            try:
                yield HubProcess(url=_url(directory, process), data_dir=directory, process=process)
            finally:
                _end(process)


def _end(process: Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    finally:
        process.kill()


def _url(directory: Path, process: Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the hub ended with {process.returncode}: {(directory / 'hub.out').read_text()}")
        try:
            url: str = json.loads((directory / "hub.json").read_text())["url"]
            urllib.request.urlopen(f"{url}/readyz", timeout=1.0).close()
            return url
        except (OSError, ValueError):
            time.sleep(0.02)
    raise TimeoutError("the hub did not come up")
