"""What is wrong with a policy file, each thing with its line and field, all of it at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opsconsole.domain.text import safe_line
from opsconsole.errors import ConfigError
from opsconsole.policy.file.lines import Path, line_of

PROBLEMS_MAX = 100
"""More are not told: who repairs a hundred loads again."""
MESSAGE_CHARS_MAX = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong; `field` is its path, such as `rules[2].when`, empty for the file as a whole."""

    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        return f"{place}{self.field}: {self.message}" if self.field else f"{place}{self.message}"


class PolicyError(ConfigError):
    """The policy file cannot be used; `problems` are all that were found, by line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Problems:
    """Gathers problems while a file is read."""

    def __init__(self, places: Mapping[Path, int]) -> None:
        self._places = places
        self._found: list[Problem] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def is_full(self) -> bool:
        """Whether no more will be told."""
        return len(self._found) >= PROBLEMS_MAX

    def add(self, path: Path, message: str) -> None:
        """One more thing that is wrong there."""
        if not self.is_full:
            line, message = line_of(self._places, path), safe_line(message, limit=MESSAGE_CHARS_MAX)
            self._found.append(Problem(line=line, field=field_name(path), message=message))

    def error(self) -> PolicyError:
        """All of them, in the order of the file."""
        return PolicyError(tuple(sorted(self._found, key=lambda problem: (problem.line or 0, problem.field))))


def field_name(path: Path) -> str:
    """The path as a person writes it; tables of an array are counted from 1."""
    parts = [f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path]
    return safe_line("".join(parts).removeprefix("."))
