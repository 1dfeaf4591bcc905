"""Run tokens: what an agent shows in place of a provider's key that the gateway holds; made and read, kept nowhere."""

from __future__ import annotations

import base64
import hashlib
import hmac

from opsconsole.domain.ids import is_id

PREFIX = "opsrun-"
SECRET_FILE = "gateway.secret"
"""In the data directory, readable by its owner only; whoever reads it can mint tokens."""
SECRET_BYTES = 32
_MAC_CHARS = 43


def run_token(secret: bytes, run: str) -> str:
    """The token of a run: it names the run, so that it also attributes requests."""
    return f"{PREFIX}{run}~{_mac(secret, run)}"


def token_run(secret: bytes, token: str) -> str:
    """The run that a token is good for; empty where it is none of ours."""
    run, _, mac = token.removeprefix(PREFIX).rpartition("~")
    good = token.startswith(PREFIX) and hmac.compare_digest(mac.encode(), _mac(secret, run).encode())
    return run if good and is_id(run) else ""


def _mac(secret: bytes, run: str) -> str:
    digest = hmac.new(secret, b"opsconsole run token\n" + run.encode("utf-8", "backslashreplace"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest.digest()).decode()[:_MAC_CHARS]
