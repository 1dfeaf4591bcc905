"""The hub's HTTP side as the console reads it: pages, and errors in words."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from opsconsole.console.api import HubApi
from opsconsole.errors import HubRefused, HubUnreachable


def api(answer: Callable[[httpx.Request], httpx.Response]) -> HubApi:
    return HubApi(url="ws://127.0.0.1:1/hub", token="ops_secret", transport=httpx.MockTransport(answer))


async def test_a_page_of_the_audit_is_asked_for_with_the_token() -> None:
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.headers["Authorization"]))
        return httpx.Response(200, json={"head": 9, "entries": [{"seq": 8}]})

    assert await api(answer).audit(before=9, text="ana") == [{"seq": 8}]
    assert asked == [("http://127.0.0.1:1/hub/v1/audit?newest=1&limit=200&before=9&text=ana", "Bearer ops_secret")]


async def test_older_events_are_asked_for_by_position() -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(str(request.url))
        return httpx.Response(200, json={"events": [{"position": 1}]})

    assert await api(answer).events("run_1", before=7) == [{"position": 1}]
    assert paths == ["http://127.0.0.1:1/hub/v1/runs/run_1/events?tail=1&limit=200&before=7"]


async def test_a_refusal_is_told_in_the_hubs_words_made_safe() -> None:
    body = {"error": {"code": "forbidden", "message": "no\x1b[2J"}}
    with pytest.raises(HubRefused, match="403 forbidden: no␛") as caught:
        await api(lambda _: httpx.Response(403, json=body)).verify()
    assert caught.value.status == 403


async def test_an_answer_of_another_shape_is_no_crash() -> None:
    assert await api(lambda _: httpx.Response(200, json=[1])).audit() == []
    with pytest.raises(HubRefused, match="HTTP 502"):
        await api(lambda _: httpx.Response(502, text="<html>")).audit()


async def test_an_unreachable_hub_is_said_to_be_one() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(HubUnreachable, match="refused"):
        await api(answer).audit()
