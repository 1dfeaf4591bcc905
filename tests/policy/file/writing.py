"""Short policies for tests: the lines that matter, and who is proposed to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from opsconsole.domain.tool_call import CallKind
from opsconsole.policy.file.loader import load
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.file.problem import PolicyError
from opsconsole.policy.interface import Proposal
from tests.policy.file.stubs import STUBS


def policy(text: str, files: Mapping[str, bytes] | None = None) -> FilePolicy:
    """The policy of these lines, `version = 1` before them; facts are stubs."""
    return load(f"version = 1\n{text}", read=(files or {}).__getitem__, facts=STUBS)


def rule(id: str, decision: str, when: str = "", **more: str) -> str:
    """One rule; the values of `more` are TOML."""
    lines = [f'id = "{id}"', f'decision = "{decision}"', *(f"{name} = {value}" for name, value in more.items())]
    return "\n".join(["[[rules]]", *lines, *([f"when = '''{when}'''"] if when else []), ""])


def problems(text: str, files: Mapping[str, bytes] | None = None) -> list[str]:
    """Everything that is wrong with these lines; `version = 1` is line 1."""
    with pytest.raises(PolicyError) as caught:
        policy(text, files)
    return [str(problem) for problem in caught.value.problems]


def call(tool: str = "pay", args: Mapping[str, Any] | None = None, **more: Any) -> Proposal:
    """A tool call."""
    given: dict[str, Any] = {"run": "run_1", "agent": "billing", "call": "call_1", "kind": CallKind.TOOL_CALL}
    return Proposal(**given | {"tool": tool, "args": args or {}} | more)
