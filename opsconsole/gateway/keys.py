"""Whose key goes upstream: the agent's own, or one the gateway holds and gives for a run token; it logs neither."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from opsconsole.errors import ConfigError
from opsconsole.gateway.output import Headers
from opsconsole.gateway.providers import Provider
from opsconsole.gateway.run_tokens import PREFIX, SECRET_BYTES, SECRET_FILE, token_run

RUN_TOKEN_HEADER = "x-opsconsole-run-token"
_KEY_HEADERS = ("authorization", "x-api-key")
_TOKEN_HEADERS = (RUN_TOKEN_HEADER, *_KEY_HEADERS)


class KeyRefused(Exception):
    """The gateway holds the key, and the request shows no run token that is good for its run."""


class Keys:
    """What the gateway holds."""

    def __init__(self, held: Mapping[str, str], secret: bytes) -> None:
        self._held, self._secret = held, secret

    def exchanged(
        self, provider: Provider, headers: Mapping[str, str], forwarded: Headers, run: str
    ) -> tuple[str, Headers]:
        """The run that the request's token names (empty: none), and the headers with the key that goes upstream; `run`
        is the one that the request itself names.

        Raises: KeyRefused.
        """
        shown = self._run_of(headers)
        held = self._held.get(provider.name)
        if shown and run and run != shown:
            raise KeyRefused("the run token is another run's")
        if held is None:
            return shown, _without_tokens(forwarded) if shown else forwarded
        if not shown:
            raise KeyRefused(f"this gateway holds the key of {provider.name}: give a run token in its place")
        kept = [(name, value) for name, value in forwarded if name.decode("latin-1") not in _KEY_HEADERS]
        key = f"{provider.key_prefix}{held}"
        return shown, [*kept, (provider.key_header.encode(), key.encode("latin-1"))]

    def _run_of(self, headers: Mapping[str, str]) -> str:
        for name in _TOKEN_HEADERS:
            shown = headers.get(name)
            if shown and PREFIX in shown and (run := token_run(self._secret, shown.removeprefix("Bearer ").strip())):
                return run
        return ""


def _without_tokens(forwarded: Headers) -> Headers:
    return [(name, value) for name, value in forwarded if name.decode("latin-1") not in _KEY_HEADERS]


def secret_of(data_dir: Path) -> bytes:
    """The secret of this data directory's run tokens, made once; readable by its owner only. Raises: ConfigError, where
    the file holds none: with an empty one anybody could make tokens."""
    path = data_dir / SECRET_FILE
    if not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_secret(path)
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise ConfigError(f"{path} holds no secret: remove it, and a new one is made")
    return secret


def _make_secret(path: Path) -> None:
    """Whole or not at all, also where two processes begin at once: the first one's stays."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_bytes(SECRET_BYTES).hex() + "\n")
    try:
        os.link(beside, path)
    except FileExistsError:
        return
    finally:
        beside.unlink()
