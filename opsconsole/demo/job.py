"""What an agent of the demo is told and given, and what it tells its model of a call; how it loops is the loops'."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from subprocess import SubprocessError
from typing import Any

from opsconsole.demo.toolbox import Tools

Message = dict[str, Any]
TOOL_ERRORS = (KeyError, TypeError, ValueError, ArithmeticError, OSError, sqlite3.Error, SubprocessError)
"""What a tool may raise because of what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an agent is told and given; its task is the program's argument."""

    agent: str
    model: str
    instructions: str
    tools: Tools


def opening(job: Job, task: str) -> list[Message]:
    """The messages that a conversation begins with."""
    return [{"role": "system", "content": job.instructions}, {"role": "user", "content": task}]


def told(result: Any) -> str:
    """A tool's result as the model reads it."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)


def told_error(error: BaseException) -> str:
    """A tool's error as the model reads it."""
    return f"Error: {type(error).__name__}: {error}"
