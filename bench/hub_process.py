"""A real hub as a process to measure: started by its command, with its URL, its tokens and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

import psutil

from bench.listening import listening


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
        with listening("hub", directory, "--no-gateway", settings=settings or {}) as (process, url):
            yield HubProcess(url=url, data_dir=directory, process=process)
