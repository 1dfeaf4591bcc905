"""Whose key goes upstream: the agent's own, or one the gateway holds and gives for a run token; it logs neither."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Container, Mapping
from pathlib import Path

from opsconsole.errors import ConfigError
from opsconsole.gateway.output import Headers
from opsconsole.gateway.providers import Provider
from opsconsole.gateway.run_tokens import (
    ISSUED_PREFIX,
    NOTHING_SHOWN,
    PREFIX,
    SECRET_BYTES,
    SECRET_FILE,
    Shown,
    run_token,
    token_issued,
    token_run,
)
from opsconsole.sdk.private_folder import make_private_folder

RUN_TOKEN_HEADER = "x-opsconsole-run-token"
_KEY_HEADERS = ("authorization", "x-api-key")
_PREFIXES = (PREFIX.encode(), ISSUED_PREFIX.encode())
_TOKEN_HEADERS = (RUN_TOKEN_HEADER, *_KEY_HEADERS)


class KeyRefused(Exception):
    """The gateway holds the key, and the request shows no run token that is good for its run; or one that has ended."""


class Keys:
    """What the gateway holds."""

    def __init__(
        self,
        held: Mapping[str, str],
        secret: bytes,
        *,
        revoked: Container[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`revoked`: the ids of tokens that have ended; `clock` gives Unix seconds."""
        self._held, self._secret, self._revoked, self._clock = held, secret, revoked, clock

    def token_for(self, run: str) -> str:
        """The run token of a run: for whoever has shown that it is theirs."""
        return run_token(self._secret, run)

    def exchanged(
        self, provider: Provider, headers: Mapping[str, str], forwarded: Headers, run: str
    ) -> tuple[Shown, Headers]:
        """What the request's token says, and the headers with the key that goes upstream; `run` is the one that the
        request itself names.

        Raises: KeyRefused.
        """
        shown = self._shown(headers)
        held = self._held.get(provider.name)
        if run and run != shown.run and shown is not NOTHING_SHOWN:
            whose = "another run's" if shown.run else "an agent's, for runs that it does not name"
            raise KeyRefused(f"the run token is {whose}")
        if held is None:
            return shown, forwarded if shown is NOTHING_SHOWN else _without_tokens(forwarded)
        if shown is NOTHING_SHOWN:
            raise KeyRefused(f"this gateway holds the key of {provider.name}: give a run token in its place")
        kept = [(name, value) for name, value in forwarded if name.decode("latin-1") not in _KEY_HEADERS]
        key = f"{provider.key_prefix}{held}"
        return shown, [*kept, (provider.key_header.encode(), key.encode("latin-1"))]

    def _shown(self, headers: Mapping[str, str]) -> Shown:
        for name in _TOKEN_HEADERS:
            value = headers.get(name)
            if not value:
                continue
            if PREFIX in value and (run := token_run(self._secret, value.removeprefix("Bearer ").strip())):
                return Shown(run=run)
            if ISSUED_PREFIX in value and (found := self._issued(value.removeprefix("Bearer ").strip())):
                return found
        return NOTHING_SHOWN

    def _issued(self, token: str) -> Shown | None:
        issued = token_issued(self._secret, token)
        if issued is None:
            return None
        if issued.until and self._clock() >= issued.until:
            raise KeyRefused(f"the run token {issued.id} has expired")
        if issued.id in self._revoked:
            raise KeyRefused(f"the run token {issued.id} was revoked")
        return Shown(run=issued.run, agent=issued.agent, token=issued.id)


def _without_tokens(forwarded: Headers) -> Headers:
    """A key of the agent's own, beside which its token stands, goes on."""
    return [
        (name, value)
        for name, value in forwarded
        if name.decode("latin-1") not in _KEY_HEADERS or not any(prefix in value for prefix in _PREFIXES)
    ]


def secret_of(data_dir: Path) -> bytes:
    """The secret of this data directory's run tokens, made once; readable by its owner only. Raises: ConfigError, where
    the file holds none: with an empty one anybody could make tokens."""
    path = data_dir / SECRET_FILE
    if not path.exists():
        make_private_folder(data_dir)
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
