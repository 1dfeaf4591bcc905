"""A request's body: whole, bounded, decompressed, or refused in words."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from opsconsole.gateway import request_body
from opsconsole.gateway.request_body import BodyRefused, ClientLeft, decoded, read_body


def receiving(*messages: dict[str, Any]) -> Any:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_parts_is_joined() -> None:
    assert await read_body(receiving(part(b"a", True), part(b"b", True), part(b"c"))) == b"abc"


async def test_a_client_that_leaves_amid_its_body_is_no_request() -> None:
    with pytest.raises(ClientLeft):
        await read_body(receiving(part(b"a", True), {"type": "http.disconnect"}))


async def test_a_body_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_BYTES_MAX", 3)
    with pytest.raises(BodyRefused) as caught:
        await read_body(receiving(part(b"ab", True), part(b"cd")))
    assert caught.value.status == 413


@pytest.mark.parametrize(("encoding", "data"), [("gzip", gzip.compress(b"{}")), ("deflate", zlib.compress(b"{}"))])
def test_a_compressed_body_is_read(encoding: str, data: bytes) -> None:
    assert decoded(data, encoding) == b"{}"


def test_an_encoding_that_nobody_reads_here_is_refused_by_name() -> None:
    with pytest.raises(BodyRefused, match="'br'") as caught:
        decoded(b"x", "br")
    assert caught.value.status == 415


@pytest.mark.parametrize("data", [b"not gzip", gzip.compress(b"{}" * 1000)[:-4]])
def test_a_body_that_is_not_what_it_says_is_refused(data: bytes) -> None:
    with pytest.raises(BodyRefused):
        decoded(data, "gzip")


def test_a_body_that_swells_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_BYTES_MAX", 1_000)
    with pytest.raises(BodyRefused) as caught:
        decoded(gzip.compress(b"0" * 100_000), "gzip")
    assert caught.value.status == 413
