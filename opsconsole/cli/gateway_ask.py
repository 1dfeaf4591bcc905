"""Asks a gateway elsewhere, which a setting names, where models are, and for a run's token; it sets no variable."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opsconsole.domain.address import is_loopback
from opsconsole.domain.ids import key_proof
from opsconsole.domain.text import safe_line
from opsconsole.gateway.gateway_file import GatewayFile
from opsconsole.gateway.run_tokens import RUN_TOKEN_PATH

ASK_SECONDS = 5.0
"""A command waits no longer for its gateway before it starts."""
TRIES_MAX = 4
BETWEEN_SECONDS = 0.25
"""Between two tries, where the gateway says to come again."""
ANSWER_BYTES_MAX = 65_536
COME_AGAIN = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a gateway has said of itself; nothing is known of it where `trouble` says why."""

    place: GatewayFile
    token: str = ""
    trouble: str = ""


def ask_gateway(
    url: str, *, run: str, key: str, token: str | None, sleep: Callable[[float], None] = time.sleep
) -> Asked:
    """The gateway at `url`, asked with an agent's `token` for the token of a run whose key we hold."""
    request = urllib.request.Request(
        url + RUN_TOKEN_PATH,
        data=json.dumps({"run": run, "proof": key_proof(key)}).encode(),
        headers={"Authorization": f"Bearer {token or ''}", "Content-Type": "application/json"},
    )
    said = _said(request, sleep)
    if isinstance(said, str):
        return Asked(place=_place(url, {}), trouble=f"the gateway at {url} gives no run token: {said}")
    return Asked(place=_place(url, said), token=str(said.get("token", "")))


def _said(request: urllib.request.Request, sleep: Callable[[float], None]) -> dict[str, Any] | str:
    """The answer's object, or why there is none."""
    # A proxy of the environment is for gateways elsewhere: it must never see this machine's tokens.
    here = is_loopback(urlsplit(request.full_url).hostname)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if here else None), _NoRedirect)
    for left in reversed(range(TRIES_MAX)):
        try:
            with opener.open(request, timeout=ASK_SECONDS) as answer:
                found = json.loads(answer.read(ANSWER_BYTES_MAX))
            return found if isinstance(found, dict) else "it does not answer like a gateway"
        except urllib.error.HTTPError as refused:
            with refused:
                why = _why(refused)
            if refused.code != COME_AGAIN or not left:
                return why
            sleep(BETWEEN_SECONDS)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            return safe_line(str(reason)) or type(error).__name__
    raise AssertionError("unreachable")


def _why(refused: urllib.error.HTTPError) -> str:
    try:
        message = json.loads(refused.read(ANSWER_BYTES_MAX))["error"]["message"]
    except (OSError, ValueError, KeyError, TypeError):
        message = "it does not answer like a gateway"
    return f"{refused.code}, {safe_line(str(message))}"


def _place(url: str, said: dict[str, Any]) -> GatewayFile:
    upstreams = said.get("upstreams")
    return GatewayFile(
        url=url,
        pid=0,
        hub="",
        upstreams={str(name): str(base) for name, base in upstreams.items()} if isinstance(upstreams, dict) else {},
        configured=_names(said.get("configured")),
        held=_names(said.get("held")),
    )


def _names(given: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in given) if isinstance(given, list) else ()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The agent's token goes to the gateway and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None
