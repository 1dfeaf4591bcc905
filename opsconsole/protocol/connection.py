"""The sans-IO connection: text to frames and back, when to beat and when to give up; it moves no bytes.

It holds the session rules (who speaks first, which frames travel which way, how long silence may last) and nothing of
what the frames mean. The caller moves bytes and gives the time (monotonic seconds).

    client: OPENING ─send hello─▶ GREETED ─receive welcome─▶ OPEN ─bye / close─▶ CLOSED
    hub:    OPENING ─receive hello─▶ GREETED ─send welcome─▶ OPEN ─bye / close─▶ CLOSED
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from opsconsole.errors import LocalProtocolError, RemoteProtocolError
from opsconsole.protocol.coding import decode, encode
from opsconsole.protocol.frames import FRAMES, Beat, Bye, Direction, Frame, Hello, Welcome
from opsconsole.protocol.limits import (
    BEAT_SECONDS,
    FRAME_BYTES_MAX,
    HELLO_SECONDS_MAX,
    SILENCE_BEATS_MAX,
    Close,
)


class Phase(StrEnum):
    """Where a connection stands."""

    OPENING = "opening"
    GREETED = "greeted"
    OPEN = "open"
    CLOSED = "closed"


Side = Literal["agent", "operator", "hub_agent", "hub_operator"]
"""Which end this is; the hub holds one connection of each kind a peer can be."""

_RECEIVES: dict[Side, Direction] = {
    "agent": "hub_to_agent",
    "operator": "hub_to_operator",
    "hub_agent": "agent_to_hub",
    "hub_operator": "operator_to_hub",
}
_SENDS: dict[Side, Direction] = {
    "agent": "agent_to_hub",
    "operator": "operator_to_hub",
    "hub_agent": "hub_to_agent",
    "hub_operator": "hub_to_operator",
}
_ALWAYS = (Bye,)


class Connection:
    """One end of one WebSocket."""

    def __init__(
        self,
        side: Side,
        *,
        now: float,
        beat_seconds: float = BEAT_SECONDS,
        sign_seconds: float | None = None,
        read: Callable[[str | bytes, Direction], Frame | None] = decode,
    ) -> None:
        """`sign_seconds`: how often to say something at least, where that is more often than a beat is owed."""
        self.side = side
        self._read = read
        self._received = _RECEIVES[side]
        self.phase = Phase.OPENING
        self.beat_seconds = beat_seconds
        self._sign_seconds = sign_seconds
        self.peer_clock_offset_seconds: float | None = None
        """Peer's wall clock minus ours, from the latest beat that echoed ours; None until one did."""
        self._is_hub = side.startswith("hub")
        self._sendable = FRAMES[_SENDS[side]]
        self._opened_at = now
        self._heard_at = now
        self._said_at = now
        self._beats = 0
        self._peer_now: float | None = None

    def receive(self, data: str | bytes, *, now: float) -> Frame | None:
        """The frame in one received message; None for a type this version ignores.

        Raises: RemoteProtocolError with the close code that the peer earned; the connection is then CLOSED.
        """
        if self.phase is Phase.CLOSED:
            raise LocalProtocolError("received on a closed connection")
        try:
            frame = self._read(data, self._received)
            self._heard_at = now
            if frame is not None:
                self._check_received(frame)
        except RemoteProtocolError:
            self.phase = Phase.CLOSED
            raise
        return frame

    def send(self, frame: Frame, *, now: float) -> bytes:
        """The bytes of one frame. Raises: LocalProtocolError if it may not be sent now or is too large."""
        if not isinstance(frame, self._sendable):
            raise LocalProtocolError(f"{self.side} does not send {frame.t}")
        self._check_sent(frame)
        data = encode(frame)
        if len(data) > FRAME_BYTES_MAX:
            raise LocalProtocolError(f"frame {frame.t} of {len(data)} bytes; at most {FRAME_BYTES_MAX}")
        self._said_at = now
        return data

    def sent_raw(self, *, now: float) -> None:
        """Note that the caller sent a frame it had already encoded (one delta shared by many consoles)."""
        if self.phase is not Phase.OPEN:
            raise LocalProtocolError(f"nothing may be sent while {self.phase}")
        self._said_at = now

    def beat(self, *, now: float, wall: float, busy: str | None = None) -> bytes | None:
        """A beat if one is due, else None. `wall` is unix seconds, for the peer's estimate of our clock."""
        if self.phase is not Phase.OPEN or now - self._said_at < self._says_every:
            return None
        self._beats += 1
        return self.send(Beat(n=self._beats, now=wall, echo=self._peer_now, busy=busy), now=now)

    def overdue(self, *, now: float) -> int | None:
        """The close code if the peer has been silent too long, else None."""
        if self.phase in (Phase.OPENING, Phase.GREETED):
            return Close.HELLO_TIMEOUT if now - self._opened_at > HELLO_SECONDS_MAX else None
        silent = now - self._heard_at
        return Close.BEAT_TIMEOUT if silent > SILENCE_BEATS_MAX * self.beat_seconds else None

    def next_wake(self, *, now: float) -> float:
        """Seconds until `beat` or `overdue` may have something to say."""
        if self.phase is not Phase.OPEN:
            return max(0.01, self._opened_at + HELLO_SECONDS_MAX - now)
        due = min(self._said_at + self._says_every, self._heard_at + SILENCE_BEATS_MAX * self.beat_seconds)
        return max(0.01, due - now)

    @property
    def _says_every(self) -> float:
        return self.beat_seconds if self._sign_seconds is None else min(self.beat_seconds, self._sign_seconds)

    def close(self) -> None:
        """The transport is gone or going."""
        self.phase = Phase.CLOSED

    def _check_received(self, frame: Frame) -> None:
        kind = type(frame)  # which costs nothing, where isinstance asks the metaclass of every model
        if kind is Bye:
            return
        if self.phase is Phase.OPENING:
            if not (self._is_hub and isinstance(frame, Hello)):
                raise RemoteProtocolError(f"{frame.t} before hello")
            self._check_hello(frame)
            self.phase = Phase.GREETED
        elif self.phase is Phase.GREETED:
            if self._is_hub:
                raise RemoteProtocolError(f"{frame.t} before welcome")
            if not isinstance(frame, Welcome):
                raise RemoteProtocolError(f"{frame.t} instead of welcome")
            self.beat_seconds = frame.beat_seconds
            self.phase = Phase.OPEN
        elif kind is Hello or kind is Welcome:
            raise RemoteProtocolError(f"a second {frame.t}")
        if type(frame) is Beat:
            self._peer_now = frame.now

    def _check_hello(self, frame: Hello) -> None:
        if self.side == "hub_agent" and frame.point is None:
            raise RemoteProtocolError("an agent's hello names its point")
        if self.side == "hub_operator" and (frame.point is not None or frame.runs):
            raise RemoteProtocolError("an operator's hello has no point and no runs")

    def _check_sent(self, frame: Frame) -> None:
        if self.phase is Phase.CLOSED:
            raise LocalProtocolError("sent on a closed connection")
        if isinstance(frame, _ALWAYS):
            return
        first = Welcome if self._is_hub else Hello
        expected = Phase.GREETED if self._is_hub else Phase.OPENING
        if isinstance(frame, first):
            if self.phase is not expected:
                raise LocalProtocolError(f"{frame.t} while {self.phase}")
            self.phase = Phase.OPEN if self._is_hub else Phase.GREETED
        elif self.phase is not Phase.OPEN:
            raise LocalProtocolError(f"{frame.t} while {self.phase}")
