"""Chunks that differ in their words only: what one of them says is known without reading it as JSON; it knows no API.

Most of a stream is one JSON text again and again with another string in one place. Where all before and behind that
string is byte for byte what was read before, and the string holds neither quote nor backslash nor control character,
JSON leaves no other reading.
"""

from __future__ import annotations


class SameWords:
    """What stands around the words of the last chunk that was read."""

    def __init__(self) -> None:
        self._before = self._behind = b""

    def learn(self, data: bytes, key: bytes, words: str) -> None:
        """`data` holds JSON that was read, without escapes in its names, and `words` is what its `key` has."""
        self._before = self._behind = b""
        if data.count(b'"' + key + b'"') != 1:
            return
        before, _, rest = data.partition(b'"' + key + b'"')
        colon = rest[: len(rest) - len(rest.lstrip(b": "))]
        encoded = words.encode("utf-8", "replace")
        start = len(before) + len(key) + 2 + len(colon) + 1
        if rest[len(colon) : len(colon) + 1] == b'"' and data[start:].startswith(encoded + b'"'):
            self._before, self._behind = data[:start], data[start + len(encoded) :]

    def read(self, data: bytes) -> str | None:
        """The words, where nothing else differs; None where the chunk must be read."""
        before, behind = self._before, self._behind
        if not before or not data.startswith(before) or not data.endswith(behind):
            return None
        end = len(data) - len(behind)
        words = data[len(before) : end]
        if end <= len(before) or b'"' in words or b"\\" in words:
            return None
        try:
            said = words.decode()
        except UnicodeDecodeError:
            return None
        return said if said.isprintable() else None
