"""Importing the front door or the SDK stays light, because it happens inside other people's agents."""

import subprocess
import sys

import pytest

HEAVY = ("textual", "starlette", "uvicorn", "sqlite_utils", "httpx", "cryptography", "click")


@pytest.mark.parametrize("module", ["opsconsole", "opsconsole.sdk"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == []
