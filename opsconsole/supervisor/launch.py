"""Starts the reaper of one command and words what went wrong; what happens after the start is process.py's."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from opsconsole.errors import CannotStart
from opsconsole.supervisor.channel import Message
from opsconsole.supervisor.processes import MARKER

BOOT = "import sys;sys.path.extend(sys.argv.pop(1).split(chr(31)));from opsconsole.supervisor.reaper import main;main()"
"""The reaper starts isolated and without site, with only our own root added to its path: up in a third of the time."""

REASONS = {
    ("exec", errno.ENOENT): "no such program",
    ("exec", errno.EACCES): "not executable",
    ("exec", errno.ENOEXEC): "not a program this system can run (a script needs a #! line)",
    ("cwd", errno.ENOENT): "its working directory does not exist",
    ("cwd", errno.ENOTDIR): "its working directory is not a directory",
    ("cwd", errno.EACCES): "its working directory cannot be entered",
}


def start_order(argv: Sequence[str], *, cwd: Path | None, receipt_path: Path, outlive: str, key: str | None) -> Message:
    """Gives what the caller decides of a reaper's first order."""
    where, receipt = os.path.abspath(cwd or "."), os.path.abspath(receipt_path)
    return {"argv": list(argv), "cwd": where, "receipt": receipt, "outlive": outlive, "key": key}


async def start_reaper(
    control: socket.socket, handles: Sequence[int], environment: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Starts a reaper that listens on `control` and inherits `handles`. Raises: CannotStart."""
    command = (sys.executable, "-I", "-S", "-c", BOOT, _roots(), str(control.fileno()), str(os.getpid()))
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            env=environment,
            pass_fds=(control.fileno(), *handles),
            start_new_session=True,
        )
    except OSError as error:
        raise CannotStart(f"cannot start a reaper: {error.strerror}") from error


def with_token(environment: Mapping[str, str], token: str) -> dict[str, str]:
    """Gives the environment with this tree's token after those of the trees it runs in."""
    outer = environment.get(MARKER)
    return {**environment, MARKER: f"{outer}:{token}" if outer else token}


def cannot_start(argv: Sequence[str], cwd: str, failure: Message) -> CannotStart:
    """Words a reaper's failure for the person who typed the command; the cause is the OSError."""
    number, why = failure["errno"], failure["why"]
    reason = REASONS.get((failure["stage"], number), why)
    where = f" in {cwd}" if failure["stage"] == "cwd" else ""
    error = CannotStart(f"cannot start {argv[0]!r}{where}: {reason}")
    error.__cause__ = OSError(number, why)
    return error


def _roots() -> str:
    """Gives the import roots of this package and, for systems that need it, of psutil."""
    own = str(Path(__file__).resolve().parents[2])
    psutil = None if sys.platform == "linux" else importlib.util.find_spec("psutil")
    found = [own] if psutil is None or psutil.origin is None else [own, str(Path(psutil.origin).parents[1])]
    return chr(31).join(found)
