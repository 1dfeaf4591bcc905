"""A request's body: whole, bounded, decompressed, or refused in words."""

from __future__ import annotations

import gzip
import zlib

import pytest

from opsconsole.gateway import request_body
from opsconsole.gateway.request_body import BodyRefused, decoded


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("gzip", gzip.compress(b"{}")), ("deflate", zlib.compress(b"{}"))],
    ids=["gzip", "deflate"],
)
def test_a_compressed_body_is_read(encoding: str, data: bytes) -> None:
    assert decoded(data, encoding) == b"{}"


def test_an_encoding_that_nobody_reads_here_is_refused_by_name() -> None:
    with pytest.raises(BodyRefused, match="'br'") as caught:
        decoded(b"x", "br")
    assert caught.value.status == 415


@pytest.mark.parametrize("data", [b"not gzip", gzip.compress(b"{}" * 1000)[:-4]], ids=["other", "cut"])
def test_a_body_that_is_not_what_it_says_is_refused(data: bytes) -> None:
    with pytest.raises(BodyRefused):
        decoded(data, "gzip")


def test_a_body_that_swells_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_BYTES_MAX", 1_000)
    with pytest.raises(BodyRefused) as caught:
        decoded(gzip.compress(b"0" * 100_000), "gzip")
    assert caught.value.status == 413
