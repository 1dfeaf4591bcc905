"""Whose request it is: the run in the path, else in a token or header, else a guess that says it is one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple
from urllib.parse import unquote

from opsconsole.domain.ids import is_id, is_sealed
from opsconsole.domain.light import light_dataclass
from opsconsole.gateway.run_tokens import NOTHING_SHOWN, Shown

AGENT_CHARS_MAX = 200
RUN_HEADER = "x-opsconsole-run"
TOKEN_LABEL = "run_token"
"""Names the token that a person made, on the runs that were begun with it."""
AGENT_HEADER = "x-opsconsole-agent"
CONVERSATION_HEADERS = ("x-claude-code-session-id", "session-id", "session_id", "thread-id")
"""Headers in which known programs name their conversation; the first found is taken."""
_MADE_BY_SDK = re.compile(r"run_[0-9A-HJKMNP-TV-Z]{26}\Z")
_PRODUCT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_KNOWN_CLIENTS = {"claude-cli": "claude-code", "codex_cli_rs": "codex", "codex_exec": "codex"}


class Route(NamedTuple):
    """The gateway's part of a path, and what is the provider's."""

    provider: str
    rest: str
    run: str = ""
    agent: str = ""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose request it is."""

    agent: str
    run: str = ""
    """The run's id where somebody said it."""
    key: str = ""
    """Else what is the same for all requests of a conversation."""
    guessed: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def attached(self) -> bool:
        """Whether somebody else (a supervisor, the SDK) made the run and tells of its end."""
        return is_sealed(self.run) or bool(_MADE_BY_SDK.match(self.run))


class NotAttributed(ValueError):
    """The path names a run that cannot be one."""


def route(path: str) -> Route | None:
    """`/r/{run}/{agent}/{provider}/…` or `/{provider}/…`; None for anything else."""
    parts = path.split("/", 5)
    if len(parts) > 5 and parts[1] == "r":
        return Route(parts[4], "/" + parts[5], unquote(parts[2]), unquote(parts[3]))
    provider, slash, rest = path[1:].partition("/")
    return Route(provider, "/" + rest) if slash and provider != "r" else None


def caller(route: Route, headers: Mapping[str, str], shown: Shown = NOTHING_SHOWN) -> Caller:
    """Whose request it is. `shown`: what a valid run token says; the agent that one names is no other.

    Raises: NotAttributed.
    """
    run = route.run or headers.get(RUN_HEADER, "") or shown.run
    agent = shown.agent or route.agent or headers.get(AGENT_HEADER, "")
    token = {TOKEN_LABEL: shown.token} if shown.token else {}
    if run:
        if not is_id(run):
            raise NotAttributed(f"a run's id is 1 to 128 of letters, digits and _.:-, not {run[:200]!r}")
        return Caller(agent=(agent or client_name(headers))[:AGENT_CHARS_MAX], run=run, labels=token)
    agent = (agent or client_name(headers))[:AGENT_CHARS_MAX]
    for name in CONVERSATION_HEADERS:
        if value := headers.get(name):
            return Caller(agent=agent, key=_key(name, value, *token.values()), labels={"attribution": name} | token)
    secret = headers.get("authorization") or headers.get("x-api-key") or ""
    labels = {"attribution": "guessed", "client": headers.get("user-agent", "")[:200]} | token
    return Caller(agent=agent, key=_key(secret, headers.get("user-agent", "")), guessed=True, labels=labels)


def client_name(headers: Mapping[str, str]) -> str:
    """A name for the program that asks, by what it calls itself."""
    found = _PRODUCT.match(headers.get("user-agent", ""))
    name = found[0].lower() if found else "unknown"
    return _KNOWN_CLIENTS.get(name, name)


def _key(*parts: str) -> str:
    """Tells conversations apart and reveals no secret."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
