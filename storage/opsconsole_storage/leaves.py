"""How one entry becomes a leaf of the tree: every stored column, in bytes; it hashes nothing."""

import math
import struct

from opsconsole_storage.contract import Entry

_HEAD = struct.Struct(">QdI")
KEY_BYTES_MAX = 4096
"""A key names one thing; what is longer is content."""
BODY_BYTES_MAX = 64 * 1024 * 1024
"""Six times the largest tool argument the hub takes."""


def leaf_bytes(seq: int, key: bytes, at: float, body: bytes) -> bytes:
    """The leaf: seq (8 bytes), at (IEEE 754 double, 8), length of the key (4), key in UTF-8, body; big endian.

    Raises: ValueError for a value of another type, as a damaged row can hold.
    """
    try:
        return _HEAD.pack(seq, at, len(key)) + key + body
    except (struct.error, TypeError) as error:
        raise ValueError(f"entry {seq} has a column of the wrong type") from error


def entry_of(leaf: bytes) -> Entry:
    """The entry that a leaf states. Raises: ValueError."""
    try:
        seq, at, length = _HEAD.unpack_from(leaf)
        key_end = _HEAD.size + length
        if key_end > len(leaf):
            raise ValueError("the key is cut")
        return Entry(seq=seq, key=leaf[_HEAD.size : key_end].decode(), at=at, body=leaf[key_end:])
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"not a leaf: {error}") from error


def storable(key: str, at: float, body: bytes) -> tuple[bytes, float]:
    """The key's bytes and the time in the form that survives the database unchanged.

    Raises: ValueError for a key that is not Unicode text, for a time that is not finite, and for what is too large.
    """
    encoded = key.encode()
    if len(encoded) > KEY_BYTES_MAX or len(body) > BODY_BYTES_MAX:
        raise ValueError(f"key of {len(encoded)} or body of {len(body)} bytes is over the limit")
    if not math.isfinite(at):
        raise ValueError(f"{at} is not a time")
    return encoded, float(at) + 0.0
