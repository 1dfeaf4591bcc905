"""How a turn was let go, and how its end is told: by a verdict of its own, or under a lease; it asks nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.reading import Reading
from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.calls import Call
from opsconsole.sdk.new_ids import new_id

OUTLASTS_SECONDS = 0.5
"""A turn that takes longer is told as running: well before the reservation of its lease ends."""
ERROR_BYTES_MAX = 2_000
"""Of why a turn failed."""


class Admitted(Protocol):
    """A turn that may go."""

    def whole(self, reading: Reading) -> None:
        """Its answer has been read."""
        ...

    def failed(self, reading: Reading, error: BaseException) -> None:
        """It has not, or was cut."""
        ...


class ByVerdict:
    """A turn that asked."""

    def __init__(self, run: GatewayRun, call: Call) -> None:
        self._run, self._call = run, call

    def whole(self, reading: Reading) -> None:
        with self._run.at_once():
            reading.used(cut=False)
            self._run.calls.completed(self._call, None, text="")

    def failed(self, reading: Reading, error: BaseException) -> None:
        reading.used(cut=True)
        self._run.calls.failed(self._call, error)


class ByLease:
    """A turn that did not have to ask: it is told when it is over, and before if it takes long."""

    def __init__(self, run: GatewayRun, model: str, verdict: str, reserve: Mapping[str, Any]) -> None:
        self._run, self._model, self._verdict = run, model, verdict
        self._call, self._reserve = new_id("turn"), dict(reserve)
        self._began = time.perf_counter()
        self._outlasts = asyncio.get_running_loop().call_later(OUTLASTS_SECONDS, self._take_own_reservation)

    def _take_own_reservation(self) -> None:
        """The lease's may be over before this turn is."""
        self._tell(CallStatus.RUNNING, args={"model": self._model, "reserve": self._reserve})

    def whole(self, reading: Reading) -> None:
        reading.used(cut=False)
        self._tell(CallStatus.COMPLETED)

    def failed(self, reading: Reading, error: BaseException) -> None:
        reading.used(cut=True)
        stopped = bool(self._run.fenced) and not isinstance(error, Exception)
        self._tell(
            CallStatus.KILLED if stopped else CallStatus.FAILED,
            error=bounded_text(f"{type(error).__name__}: {error}", ERROR_BYTES_MAX),
        )

    def _tell(self, status: CallStatus, **more: Any) -> None:
        self._outlasts.cancel()
        event = {
            "type": "tool",
            "id": self._call,
            "name": self._model,
            "kind": str(CallKind.MODEL_CALL),
            "status": str(status),
            "verdict": self._verdict,
            "duration_ms": round((time.perf_counter() - self._began) * 1_000, 3),
        }
        self._run.tell_soon(event | more)
