"""The exact arguments of a gated call: what is digested is shown and runs; it asks nobody whether they may."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.digest import NotCanonical, call_digest, canonical
from opsconsole.protocol.limits import ARGS_BYTES_MAX
from opsconsole.sdk.bounded import result_text

PREVIEW_BYTES_MAX = 2_000
"""Of refused arguments, enough to recognise them by."""


class ArgumentsRefused(ValueError):
    """Nobody could be shown these arguments exactly: not JSON, too large, too deep, NaN, cyclic or not valid text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactArgs:
    """Arguments frozen as canonical JSON: later changes to the caller's objects do not reach what runs."""

    json: bytes
    digest: str
    """`call_digest(name, args)`."""

    def value(self) -> dict[str, Any]:
        """A fresh copy, the caller's own."""
        return json.loads(self.json)  # type: ignore[no-any-return]


def exact(name: str, args: Any) -> ExactArgs:
    """Freezes the arguments of a call of `name`. Raises: ArgumentsRefused."""
    if not isinstance(args, dict):
        raise ArgumentsRefused(f"arguments are a dict by name, not {type(args).__name__}")
    _weigh(args)
    try:
        data = canonical(args)
        digest = call_digest(name, args)
    except NotCanonical as error:
        raise ArgumentsRefused(f"the arguments are not plain JSON: {result_text(str(error), 300)}") from None
    if len(data) > ARGS_BYTES_MAX:
        raise ArgumentsRefused(_too_large(len(data)))
    return ExactArgs(json=data, digest=digest)


def preview(args: Any) -> dict[str, Any]:
    """What the record shows of refused arguments: bounded, whatever they are."""
    return {"preview": result_text(args, PREVIEW_BYTES_MAX)}


def _weigh(args: Any) -> None:
    """Stops early on what is too large or endless: shared parts can stand for more than a machine can visit."""
    weight = 0
    left = [args]
    while left:
        item = left.pop()
        weight += len(item) if isinstance(item, str) else 1
        if weight > ARGS_BYTES_MAX:
            raise ArgumentsRefused(_too_large(None))
        if isinstance(item, dict):
            left.extend(item.keys())
            left.extend(item.values())
        elif isinstance(item, list | tuple):
            left.extend(item)


def _too_large(size: int | None) -> str:
    told = f" ({size})" if size else ""
    return f"the arguments are larger than {ARGS_BYTES_MAX} bytes{told} or cyclic: nobody could read what is asked"
