"""The hub's HTTP side, for what is paged rather than watched: audit and older events; it changes nothing there."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from opsconsole.domain.text import safe_line
from opsconsole.errors import HubError, HubRefused, HubUnreachable

TIMEOUT_SECONDS = 10.0
VERIFY_SECONDS_MAX = 300.0
"""A verification reads the whole log."""
PAGE = 200
"""Entries or events of one page."""
FORWARD_PAGE = 1_000
"""Events of one page where all of them are wanted."""


class HubApi:
    """One hub, read with one token."""

    def __init__(self, *, url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=http_url(url),
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            verify=urlsplit(url).scheme in ("https", "wss"),  # certificates are not loaded for a hub that shows none
            trust_env=False,
        )

    async def audit(self, *, before: int | None = None, text: str = "") -> list[dict[str, Any]]:
        """The newest entries, or those before a sequence number, oldest first. Raises: HubError."""
        query: dict[str, Any] = {"newest": 1, "limit": PAGE}
        if before is not None:
            query["before"] = before
        if text:
            query["text"] = text
        return _list(await self._get("/v1/audit", query), "entries")

    async def audit_after(self, after: int, *, text: str = "") -> tuple[list[dict[str, Any]], int]:
        """The entries after a sequence number, oldest first, and how far the hub looked. Raises: HubError."""
        query: dict[str, Any] = {"after": after, "limit": PAGE} | ({"text": text} if text else {})
        body = await self._get("/v1/audit", query)
        reached = body.get("looked_to")
        return _list(body, "entries"), reached if isinstance(reached, int) else after

    async def audit_head(self) -> int:
        """The number of the newest entry. Raises: HubError."""
        head = (await self._get("/v1/audit", {"newest": 1, "limit": 1})).get("head")
        return head if isinstance(head, int) else 0

    async def events(self, run: str, *, before: int | None) -> list[dict[str, Any]]:
        """The events of a run before a position, oldest first. Raises: HubError."""
        query: dict[str, Any] = {"tail": 1, "limit": PAGE}
        if before is not None:
            query["before"] = before
        return _list(await self._get(f"/v1/runs/{quote(run, safe='')}/events", query), "events")

    async def events_after(self, run: str, after: int) -> tuple[list[dict[str, Any]], int]:
        """The events of a run after a position, oldest first, and where to go on. Raises: HubError."""
        body = await self._get(f"/v1/runs/{quote(run, safe='')}/events", {"after": after, "limit": FORWARD_PAGE})
        reached = body.get("next")
        return _list(body, "events"), reached if isinstance(reached, int) else after

    async def verify(self) -> dict[str, Any]:
        """What the hub finds when it verifies its audit log. Raises: HubError."""
        return await self._get("/v1/audit/verify", {}, timeout=VERIFY_SECONDS_MAX)

    async def consistency(self, since: int) -> str:
        """The hub's proof that its audit starts with its first `since` entries, as JSON. Raises: HubError."""
        return json.dumps(await self._get("/v1/audit/consistency", {"since": since}))

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _get(self, path: str, query: dict[str, Any], *, timeout: float = TIMEOUT_SECONDS) -> dict[str, Any]:
        try:
            response = await self._client.get(path, params=query, timeout=timeout)
        except httpx.TimeoutException:
            raise HubUnreachable(f"no answer within {timeout:.0f} s") from None
        except httpx.HTTPError as error:
            raise HubUnreachable(safe_line(str(error) or type(error).__name__)) from None
        if response.status_code != 200:
            raise HubRefused(_problem(response), status=response.status_code)
        try:
            body = response.json()
        except ValueError:
            raise HubError("the hub's answer is not JSON") from None
        return body if isinstance(body, dict) else {}


def http_url(url: str) -> str:
    """The HTTP address of a hub given by any of its addresses."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _list(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = body.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _problem(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return safe_line(f"{response.status_code} {error['code']}: {error['message']}")
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
