"""Which clients play the scenarios: library, API, way of asking; nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pytest

APIS = ("openai.chat", "openai.responses", "anthropic.messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One way to ask a model."""

    worker: str
    """The environment."""
    program: str
    mode: str = "plain"
    """plain; raw: `stream=True`; helper: `.stream()`."""
    sync: bool = False

    @property
    def streams(self) -> bool:
        """Whether its answers come in pieces."""
        return self.mode != "plain"

    @property
    def task(self) -> dict[str, Any]:
        """As Stage.agent wants it."""
        return asdict(self)

    def __str__(self) -> str:
        """A test's name for it."""
        return f"{self.worker}-{self.program}-{self.mode}-{'sync' if self.sync else 'async'}"


def _all(worker: str, ways: Iterable[tuple[str, bool]]) -> list[Client]:
    return [Client(worker=worker, program=api, mode=mode, sync=sync) for api in APIS for mode, sync in ways]


EVERY_WAY = [(mode, sync) for mode in ("plain", "raw", "helper") for sync in (True, False)]
CURRENT = _all("current", EVERY_WAY)
EARLIER = _all("earlier", [("plain", True), ("raw", False), ("helper", True)])
BETWEEN = _all("program", [("raw", True), ("helper", False)])
EVERYBODY = CURRENT + EARLIER + BETWEEN
FEW = [one for one in CURRENT if (one.mode, one.sync) in (("plain", True), ("raw", False))]
"""One plain and one streamed client of each API."""


def played_by(clients: Iterable[Client]) -> pytest.MarkDecorator:
    """The scenario once for each."""
    return pytest.mark.parametrize("client", clients, ids=str)
