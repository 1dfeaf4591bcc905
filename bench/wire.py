"""The wire between a console and its hub, watched: bytes pass both ways, and each command is told as it arrives.

A hub that is busy reads what has arrived when it comes to it; this process does nothing else. `python -m bench.wire
PORT` prints `{"port": n}`, then one line for each command on its way to PORT: what, and when it arrived (monotonic
seconds, one clock for all processes of a machine).
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Iterator

READ_BYTES = 262_144
HEAD_END = b"\r\n\r\n"
TEXT = 1
"""The opcode of what is said; pings and closings are none of it."""
_EXTENDED_BYTES = {126: 2, 127: 8}
_MASK_BYTES = 4


class Sent:
    """What a client of a WebSocket sends, put together from the bytes as they come."""

    def __init__(self) -> None:
        self._bytes = b""
        self._is_open = False

    def messages(self, data: bytes) -> Iterator[bytes]:
        """The texts that are whole with these bytes."""
        self._bytes += data
        if not self._is_open:
            _, self._is_open, self._bytes = self._upgraded()
        while self._is_open and (frame := self._next()) is not None:
            opcode, payload = frame
            if opcode == TEXT:
                yield payload

    def _upgraded(self) -> tuple[bytes, bool, bytes]:
        head, end, rest = self._bytes.partition(HEAD_END)
        return head, bool(end), rest if end else self._bytes

    def _next(self) -> tuple[int, bytes] | None:
        if len(self._bytes) < 2:
            return None
        opcode = self._bytes[0] & 0x0F
        length, start = self._bytes[1] & 0x7F, 2
        if extended := _EXTENDED_BYTES.get(length, 0):
            start += extended
            length = int.from_bytes(self._bytes[2:start], "big")
        mask = self._bytes[start : start + _MASK_BYTES]
        start += _MASK_BYTES
        if len(self._bytes) < start + length:
            return None
        payload, self._bytes = self._bytes[start : start + length], self._bytes[start + length :]
        return opcode, bytes(byte ^ mask[place % _MASK_BYTES] for place, byte in enumerate(payload))


def main(hub: int) -> None:
    """Relay until killed."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
    while True:
        client, _ = listening.accept()
        with client, socket.create_connection(("127.0.0.1", hub)) as upstream:
            _relay(client, upstream)


def _relay(client: socket.socket, upstream: socket.socket) -> None:
    """One connection, until either end closes it."""
    sent = Sent()
    selector = selectors.DefaultSelector()
    for end, other in ((client, upstream), (upstream, client)):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(end, selectors.EVENT_READ, other)
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            try:
                data, at = key.fileobj.recv(READ_BYTES), time.monotonic()
                key.data.sendall(data)
            except ConnectionError:  # a console or a hub that was killed
                return
            if not data:
                return
            if key.fileobj is client:
                for message in sent.messages(data):
                    _told(message, at)


def _told(message: bytes, at: float) -> None:
    frame = json.loads(message)
    if frame["t"] == "cmd":
        print(json.dumps({"at": at, "do": frame["do"]}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
