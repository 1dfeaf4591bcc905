"""The example of docs/policy.md, read from there: it must load, and its cases must come out, as printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

DOCUMENT = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


EXAMPLE = _block("toml")
FILES: Mapping[str, bytes] = {"warehouse.json": _block("json").encode()}


def read(name: str) -> bytes:
    """What the hub would read beside the policy."""
    return FILES[name]
