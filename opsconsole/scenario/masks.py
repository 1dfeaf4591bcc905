"""Where a value was masked before it was stored: what a policy may still be asked about it; it masks nothing itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_MASK = re.compile(r"\[secret:[a-z]{1,20}:[0-9a-f]{4}\]")


def masked_arguments(args: Mapping[str, Any]) -> frozenset[str]:
    """The names of the arguments in which something is masked."""
    return frozenset(name for name, value in args.items() if _MASK.search(name) or is_masked(value))


def is_masked(value: Any) -> bool:
    """Whether a mask stands anywhere in a JSON value."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            if _MASK.search(each):
                return True
        elif isinstance(each, Mapping):
            pending.extend(each.values())
            pending.extend(each.keys())
        elif isinstance(each, list | tuple):
            pending.extend(each)
    return False
