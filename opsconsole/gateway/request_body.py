"""A request's body: how large it may be, and how it is decompressed where it came compressed; it is not parsed here."""

from __future__ import annotations

import zlib

BODY_BYTES_MAX = 67_108_864
"""Of one request: a conversation with images of 30 MB in base64, and room."""
LAYERS_MAX = 2
"""Encodings upon one another: each may grow a thousandfold."""
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content encoding -> zlib's window bits."""


class BodyRefused(Exception):
    """The body is not read on; `status` says why in HTTP's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def decoded(body: bytes, encoding: str) -> bytes:
    """The body without its content encoding. Raises: BodyRefused."""
    names = [part.strip().lower() for part in encoding.split(",") if part.strip()]
    if len(names) > LAYERS_MAX:
        raise BodyRefused(415, "content_encoding", f"a body has at most {LAYERS_MAX} content encodings")
    for name in reversed(names):
        if name == "identity":
            continue
        if name not in _WINDOWS:
            known = ", ".join(sorted(_WINDOWS))
            raise BodyRefused(415, "content_encoding", f"content-encoding {name[:40]!r} is not read here, only {known}")
        body = _inflated(body, _WINDOWS[name], name)
    return body


def _inflated(body: bytes, window: int, name: str) -> bytes:
    machine = zlib.decompressobj(window)
    try:
        data = machine.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise BodyRefused(400, "content_encoding", f"the body is not {name}: {error}") from None
    if not machine.eof and len(data) <= BODY_BYTES_MAX:
        raise BodyRefused(400, "content_encoding", f"the body is not whole {name}")
    return _within(data)


def _within(data: bytes) -> bytes:
    if len(data) > BODY_BYTES_MAX:
        raise too_large()
    return data


def too_large() -> BodyRefused:
    """Why a body that is too large is not read."""
    return BodyRefused(413, "request_too_large", f"a request has at most {BODY_BYTES_MAX} bytes")
