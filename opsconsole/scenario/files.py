"""Finds and reads case files and policy files from disk; what they mean is told elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.file.loader import TEXT_CHARS_MAX, load
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.file.problem import PolicyError, Problem
from opsconsole.policy.file.sources import FILE_BYTES_MAX
from opsconsole.policy.interface import Policy
from opsconsole.scenario.case import Scenario
from opsconsole.scenario.reading import CASE_CHARS_MAX, CaseError, read

SUFFIX = ".case.toml"
CASES_MAX = 10_000
"""Of one directory: more are no cases that somebody pinned."""
UTF8_BYTES_MAX = 4
"""Of one character."""


def case_files(places: Iterable[Path]) -> list[Path]:
    """Each file that is named, and every `*.case.toml` below each directory, in order and once."""
    found: dict[Path, None] = {}
    for place in places:
        files = sorted(place.rglob(f"*{SUFFIX}")) if place.is_dir() else [place]
        found |= dict.fromkeys(files[:CASES_MAX])
    return list(found)


def read_case(path: Path) -> Scenario:
    """The scenario of a file. Raises: CaseError."""
    try:
        return read(_text(path, CASE_CHARS_MAX))
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError((_unreadable(error),)) from None


def read_policy(path: Path | None) -> Policy:
    """The policy of a file and of the files beside it that it names; the default policy where there is none.

    Raises: PolicyError.
    """
    return DefaultPolicy() if path is None else read_policy_file(path)


def read_policy_file(path: Path) -> FilePolicy:
    """As `read_policy`. Raises: PolicyError."""

    def beside(name: str) -> bytes:
        with (path.parent / name).open("rb") as source:
            return source.read(FILE_BYTES_MAX + 1)

    try:
        text = _text(path, TEXT_CHARS_MAX)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError((_unreadable(error),)) from None
    return load(text, read=beside)


def _text(path: Path, chars_max: int) -> str:
    """One character more than may be there tells that it is too long."""
    with path.open("rb") as source:
        return source.read(UTF8_BYTES_MAX * chars_max + 1).decode("utf-8")


def _unreadable(error: OSError | UnicodeDecodeError) -> Problem:
    why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is not UTF-8"
    return Problem(line=None, field="", message=f"the file {why}")
