"""Run tokens: what an agent shows in place of a provider's key that the gateway holds; made and read, kept nowhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

from opsconsole.domain.ids import is_id
from opsconsole.domain.light import light_dataclass

PREFIX = "opsrun-"
ISSUED_PREFIX = "opskey-"
SECRET_FILE = "gateway.secret"
"""In the data directory, readable by its owner only; whoever reads it can mint tokens."""
SECRET_BYTES = 32
RUN_TOKEN_PATH = "/v1/run-token"
"""Of a gateway: where a supervisor that cannot read the secret asks for its run's."""
_MAC_CHARS = 43


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a request's run token says of whose request it is; nothing where it shows none."""

    run: str = ""
    agent: str = ""
    token: str = ""
    """The id of one that a person has made."""


NOTHING_SHOWN = Shown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A token that a person has made for an agent that nobody supervises; for one run, or for all that it begins."""

    id: str
    agent: str = ""
    run: str = ""
    until: float = 0.0
    """Unix seconds; 0 is for ever."""


def run_token(secret: bytes, run: str) -> str:
    """The token of a run: it names the run, so that it also attributes requests."""
    return f"{PREFIX}{run}~{_mac(secret, 'run', run)}"


def token_run(secret: bytes, token: str) -> str:
    """The run that a token is good for; empty where it is none of ours."""
    run = _said(secret, "run", PREFIX, token)
    return run if is_id(run) else ""


def issued_token(secret: bytes, issued: Issued) -> str:
    """The text of a token that a person makes."""
    said = base64.urlsafe_b64encode(json.dumps(asdict(issued), separators=(",", ":")).encode()).decode().rstrip("=")
    return f"{ISSUED_PREFIX}{said}~{_mac(secret, 'issued', said)}"


def token_issued(secret: bytes, token: str) -> Issued | None:
    """What was issued as `token`; None where it is none of ours."""
    said = _said(secret, "issued", ISSUED_PREFIX, token)
    return Issued(**json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))) if said else None


def _said(secret: bytes, kind: str, prefix: str, token: str) -> str:
    """What stands in a token between its prefix and its seal; empty where we have not sealed it."""
    said, _, mac = token.removeprefix(prefix).rpartition("~")
    sealed = token.startswith(prefix) and hmac.compare_digest(
        mac.encode("utf-8", "backslashreplace"), _mac(secret, kind, said).encode()
    )
    return said if sealed else ""


def _mac(secret: bytes, kind: str, said: str) -> str:
    message = f"opsconsole {kind} token\n{said}".encode("utf-8", "backslashreplace")
    return base64.urlsafe_b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()[:_MAC_CHARS]
