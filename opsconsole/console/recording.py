"""Pins a run as a case file through the command line, as a process of its own: folding a long run never holds up a key.

It knows nothing of what a case holds: `opsconsole record` does.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from opsconsole.domain.ids import short_id
from opsconsole.domain.text import safe_line
from opsconsole.errors import CommandFailed

RECORD_SECONDS_MAX = 120.0
"""A run of fifty thousand events is read and folded in a part of this."""
SUFFIX = ".case.toml"
FILES_MAX = 1_000
"""Cases of one run beside each other; somebody who pins it more often has a loop, not an incident."""
_COMMAND = (sys.executable, "-m", "opsconsole.cli", "record")


class CaseRecorder:
    """Writes cases into one folder; the token travels in the environment, never among the arguments."""

    def __init__(
        self, *, url: str, token: str, folder: Path, command: tuple[str, ...] = _COMMAND, seconds: float | None = None
    ) -> None:
        self._environment = {"OPSCONSOLE_HUB": url, "OPSCONSOLE_TOKEN": token}
        self._folder = folder
        self._command = command
        self._seconds = RECORD_SECONDS_MAX if seconds is None else seconds

    async def record(self, run: str, *, agent: str = "") -> tuple[Path, str]:
        """The file that the run is pinned in now, and what there is to know of it. Raises: CommandFailed, OSError."""
        text, remark = await self._printed(run)
        path = await asyncio.to_thread(written, self._folder, f"{agent or 'run'}-{short_id(run)}", text)
        return path, remark

    async def _printed(self, run: str) -> tuple[str, str]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command,
            run,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=_environment(os.environ, self._environment),
        )
        try:
            async with asyncio.timeout(self._seconds):
                out, said = await process.communicate()
        except TimeoutError:
            raise CommandFailed(f"no case after {self._seconds:.0f} s", code="timeout") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        remark = safe_line(said.decode(errors="replace").strip())
        if process.returncode != 0:
            raise CommandFailed(remark or f"opsconsole record exited with {process.returncode}", code="refused")
        return out.decode(), remark


def written(folder: Path, name: str, text: str) -> Path:
    """The whole path of a new file in `folder` that holds `text`; what is there already stays. Raises: OSError."""
    try:
        folder = folder.expanduser().absolute()
    except RuntimeError as error:  # nobody has that name here
        raise FileNotFoundError(f"{folder}: {error}") from None
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "run"
    for number in range(1, FILES_MAX + 1):
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}{SUFFIX}"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{FILES_MAX} cases of this run lie in {folder}")


def _environment(inherited: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    return {**inherited, **ours}
