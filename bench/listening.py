"""The product's servers as processes to measure: started, waited for by the file that says where, ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Literal

START_SECONDS = 30.0
STOP_SECONDS = 30.0


@contextmanager
def listening(
    kind: Literal["hub", "gateway"], directory: Path, *arguments: str, settings: Mapping[str, str]
) -> Iterator[tuple[Popen[bytes], str]]:
    """The process on a free port of loopback and its address; `settings` are its variables.

    Raises: RuntimeError, TimeoutError.
    """
    (directory / f"{kind}.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "opsconsole.cli", kind, "--data-dir", str(directory), "--port", "0", *arguments]
    with (directory / f"{kind}.out").open("wb") as out:
        process = Popen(command, stdin=DEVNULL, stdout=out, stderr=out, env={**os.environ, **settings})
    try:
        yield process, _url(kind, directory, process)
    finally:
        end(process)


def end(process: Popen[bytes]) -> None:
    """Asks a process to end, and sees to it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    finally:
        process.kill()
        if process.stdout is not None:
            process.stdout.close()


def _url(kind: str, directory: Path, process: Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the {kind} ended with {process.returncode}: {_told(kind, directory)}")
        try:
            url: str = json.loads((directory / f"{kind}.json").read_text())["url"]
            urllib.request.urlopen(f"{url}/readyz", timeout=1.0).close()
            return url
        except (OSError, ValueError):
            time.sleep(0.02)
    raise TimeoutError(f"the {kind} did not come up: {_told(kind, directory)}")


def _told(kind: str, directory: Path) -> str:
    return (directory / f"{kind}.out").read_text()
