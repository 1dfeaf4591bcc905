"""The console's two clocks, given to everything that needs the time; tests give their own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def wall(self) -> float:
        """Unix seconds of this machine; until the hub's clock is known, and of what is kept here."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """This machine's clocks."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def wall(self) -> float:
        """Unix seconds."""
        return time.time()


def local_zone() -> tzinfo:
    """The operator's time zone."""
    return datetime.now(UTC).astimezone().tzinfo or UTC
