"""Virtual environments for real clients, apart from the project's own: made once from pinned lists, then reused.

`python -m tests.gateway.clients.environments [name …]` makes them ahead of time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIST = Path(__file__).with_name("environments.toml")
PLACE = Path(__file__).parents[3] / ".venv" / "clients"
INSTALL_SECONDS_MAX = 300
"""A registry that has not delivered by then is as good as out of reach."""


class Unavailable(Exception):
    """An environment that could not be made here; the message is one line that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One set of pinned packages."""

    name: str
    packages: tuple[str, ...]

    @property
    def place(self) -> Path:
        """Its directory."""
        return PLACE / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.place / "bin" / "python"

    def program(self, name: str) -> Path:
        """A program that its packages bring."""
        return self.place / "bin" / name

    @property
    def fingerprint(self) -> str:
        """Changes with the pins, the interpreter and the place: an environment does not survive a move."""
        told = "\n".join((*self.packages, sys.version, sys.executable, str(self.place)))
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def is_current(self) -> bool:
        """Whether it is there as listed."""
        try:
            return (self.place / ".made").read_text() == self.fingerprint and self.python.exists()
        except OSError:
            return False


@cache
def environments() -> dict[str, Environment]:
    """All that are listed."""
    listed = tomllib.loads(LIST.read_text(encoding="utf-8"))
    return {name: Environment(name=name, packages=(*one["clients"], *one["needs"])) for name, one in listed.items()}


def made(name: str) -> Environment:
    """The environment of that name, made if it is not there. Raises: Unavailable."""
    environment = environments()[name]
    PLACE.mkdir(parents=True, exist_ok=True)
    with _alone(PLACE / f"{name}.lock"):
        if not environment.is_current:
            _make(environment)
    return environment


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make(environment: Environment) -> None:
    shutil.rmtree(environment.place, ignore_errors=True)
    uv = shutil.which("uv")
    problems = []
    for make, install in ([_with_uv(uv, environment)] if uv else []) + [_with_pip(environment)]:
        problem = _run(make) or _run([*install, *environment.packages])
        if problem is None:
            (environment.place / ".made").write_text(environment.fingerprint)
            return
        problems.append(problem)
        shutil.rmtree(environment.place, ignore_errors=True)
    raise Unavailable(f"the environment {environment.name!r} could not be installed: {'; '.join(problems)}")


def _with_uv(uv: str, environment: Environment) -> tuple[list[str], list[str]]:
    make = [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(environment.place)]
    return make, [uv, "pip", "install", "--quiet", "--no-deps", "--python", str(environment.python)]


def _with_pip(environment: Environment) -> tuple[list[str], list[str]]:
    make = [sys.executable, "-m", "venv", "--without-pip", str(environment.place)]
    quiet = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--no-deps", "--only-binary", ":all:"]
    return make, [sys.executable, "-m", "pip", "--python", str(environment.python), "install", *quiet]


def _run(command: Sequence[str]) -> str | None:
    """None if it went well, else one line that says what did not."""
    settings = {
        name: value for name, value in os.environ.items() if name not in ("PIP_TARGET", "PIP_PREFIX", "PYTHONHOME")
    }
    try:
        done = subprocess.run(
            command,
            env=settings | {"PIP_USER": "0"},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)[:300]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return None if done.returncode == 0 else (lines[-1][:300] if lines else f"exit {done.returncode}")


def main(names: Sequence[str]) -> int:
    """Makes the named environments, or all."""
    for name in names or environments():
        began = time.monotonic()
        try:
            environment = made(name)
        except Unavailable as problem:
            print(problem, file=sys.stderr)
            return 1
        print(f"{name}: {environment.place} ({len(environment.packages)} packages, {time.monotonic() - began:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
