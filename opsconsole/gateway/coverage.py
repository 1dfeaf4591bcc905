"""Which endpoints pass a gateway: those that can be held, those that need not be; all others are refused by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

TURN, RELAY = "turn", "relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint that passes."""

    kind: str
    """`turn`: answers of a model, held and counted. `relay`: fenced, and passed on as it is."""
    dialect: str = ""
    counts: bool = False
    """Whether the answer to a relayed request tells tokens that were used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncovered:
    """An endpoint that does not, and why."""

    status: int
    code: str
    message: str


_RELAYED = Endpoint(kind=RELAY)
_EXACT: dict[tuple[str, str, str], Endpoint] = {
    ("openai", "POST", "/chat/completions"): Endpoint(kind=TURN, dialect="openai.chat"),
    ("openai", "POST", "/responses"): Endpoint(kind=TURN, dialect="openai.responses"),
    ("openai", "POST", "/embeddings"): Endpoint(kind=RELAY, counts=True),
    ("openai", "GET", "/models"): _RELAYED,
    ("anthropic", "POST", "/messages"): Endpoint(kind=TURN, dialect="anthropic.messages"),
    ("anthropic", "POST", "/messages/count_tokens"): _RELAYED,
    ("anthropic", "GET", "/models"): _RELAYED,
}
TURN_PATHS = {f"/v1{path}": found.dialect for (_, _, path), found in _EXACT.items() if found.kind == TURN}
"""Where answers of models are asked for -> the dialect that is spoken there."""
_UNHELD = "what it answers cannot be held for a person by this gateway"
_REFUSED: dict[tuple[str, str], str] = {
    ("openai", "/batches"): "a batch runs where nobody waits for it",
    ("openai", "/realtime"): _UNHELD,
    ("openai", "/assistants"): _UNHELD,
    ("openai", "/threads"): _UNHELD,
    ("openai", "/responses/"): "an answer is read where it was asked for, not fetched later",
    ("openai", "/conversations"): _UNHELD,
    ("anthropic", "/messages/batches"): "a batch runs where nobody waits for it",
}
"""(provider, beginning of the path) -> why it is refused although it exists."""


def covered(provider: str, method: str, path: str) -> Endpoint | Uncovered:
    """What becomes of a request; `path` is what follows the provider, with or without the API's version."""
    path = versionless(path)
    found = _EXACT.get((provider, method, path))
    if found is not None:
        return found
    if method == "GET" and path.startswith("/models/") and not _leads_elsewhere(path):
        return _RELAYED
    for (refused_by, prefix), why in _REFUSED.items():
        if provider == refused_by and path.startswith(prefix):
            return Uncovered(status=403, code="endpoint_not_covered", message=f"{method} {path} is refused: {why}")
    return Uncovered(status=404, code="not_found", message=f"{method} {path} does not pass the gateway")


def label(path: str) -> str:
    """What a relayed path is counted as: one of a few, whatever a client makes up."""
    return "/models" if versionless(path).startswith("/models") else versionless(path)[:40]


def _leads_elsewhere(path: str) -> bool:
    """Whether a server behind us could take the path for another one."""
    parts = re.split(r"[/\\]", unquote(unquote(path)))
    return any(part.partition(";")[0] in (".", "..") for part in parts) or not path.isascii() or "%25" in path


def versionless(path: str) -> str:
    """The path without `/v1` and without a slash at its end."""
    if path == "/v1" or path.startswith("/v1/"):
        path = path[3:]
    return path.rstrip("/") or "/"
