"""Asks the hub to prove that its audit holds what this console saw; who remembers is given from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from opsconsole.console.view.witnessed import Witnessed
from opsconsole.domain.text import safe_line
from opsconsole.errors import HubError, HubRefused, OpsconsoleError

SHORTER = 409
"""The hub's answer when its log has fewer entries than the proof should start from."""


class Witness(Protocol):
    """Remembers the newest signed head that was seen of a hub's audit; its methods block."""

    def since(self) -> int:
        """The size from which a proof is wanted; 0 where nothing was seen yet. Raises: OpsconsoleError."""
        ...

    def compare(self, proof: str, *, now: float) -> Witnessed:
        """Test the proof wanted by `since`, and pin the head that it proves. Raises: OpsconsoleError, OSError."""
        ...

    def unproven(self, why: str) -> Witnessed:
        """That nothing could be compared, and what was seen last."""
        ...


class ProofSource(Protocol):
    """Where proofs come from."""

    async def consistency(self, since: int) -> str:
        """The proof that the log starts with its first `since` entries, as JSON. Raises: HubError."""
        ...


async def witnessed(make: Callable[[], Witness], source: ProofSource, *, now: float) -> Witnessed:
    """Compare the hub's newest signed head with the pinned one; `now` is this machine's clock, unix seconds.

    What remembers is made here, beside the keys: checking signatures takes a while to load.
    """
    witness = await asyncio.to_thread(make)
    try:
        since = await asyncio.to_thread(witness.since)
        proof = await _proof(source, since)
        return await asyncio.to_thread(witness.compare, proof, now=now)
    except HubError as error:
        return await asyncio.to_thread(witness.unproven, f"the hub gives no proof ({error})")
    except (OpsconsoleError, OSError) as error:
        return await asyncio.to_thread(witness.unproven, safe_line(str(error)))


async def _proof(source: ProofSource, since: int) -> str:
    try:
        return await source.consistency(since)
    except HubRefused as refused:
        if refused.status != SHORTER:
            raise
        return await source.consistency(0)  # the head that it does show is signed: how long the log is now
