"""How a scripted answer's bytes are framed, cut and encoded on their way; it sends nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from tests.support.model_script import Delivery


def framed(frames: Iterable[tuple[str, str]], delivery: Delivery) -> Iterator[bytes]:
    """Server-sent events from (event name, data)."""
    line = delivery.newline
    comment = f": scripted{line}{line}" if delivery.comments else ""
    for name, data in frames:
        event = f"event: {name}{line}" if name else ""
        yield f"{comment}{event}data: {data}{line}{line}".encode()


def cut(frames: Iterable[bytes], delivery: Delivery) -> Iterator[bytes]:
    """The same bytes in other writes."""
    if delivery.cut == "joined":
        return iter([b"".join(frames)])
    if delivery.cut == "bytes":
        return (bytes([byte]) for frame in frames for byte in frame)
    if delivery.cut == "torn":
        return _torn(frames)
    return iter(frames)


def _torn(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The rest of one frame and the first part of the next travel together: no write ends where a frame ends."""
    rest = b""
    for frame in frames:
        middle = _middle(frame)
        yield rest + frame[:middle]
        rest = frame[middle:]
    if rest:
        yield rest


def _middle(frame: bytes) -> int:
    """Inside the first wide character, else halfway."""
    wide = next((at for at, byte in enumerate(frame) if byte >= 0xC0), None)
    return len(frame) // 2 if wide is None else wide + 1


def encoded(writes: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The writes compressed, each flushed so that it can be read at once."""
    return _gzipped(writes) if encoding == "gzip" else _brotli(writes)


def _gzipped(writes: Iterable[bytes]) -> Iterator[bytes]:
    squeeze = zlib.compressobj(wbits=31)
    for data in writes:
        yield squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    yield squeeze.flush()


def _brotli(writes: Iterable[bytes]) -> Iterator[bytes]:
    """Stored blocks only (RFC 7932, 9.2): valid brotli without a compressor."""
    window_bits = 1
    for data in writes:
        for at in range(0, len(data), 65_536):
            block = data[at : at + 65_536]
            head = (len(block) - 1) << 3 | 1 << 19
            yield (head << window_bits).to_bytes(3, "little") + block
            window_bits = 0
    yield b"\x03" if window_bits == 0 else b"\x06"
