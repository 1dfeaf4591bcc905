"""Who may come in: bearer tokens, checked in constant time against hashes; it judges roles of no command.

A token is `ops_<id>_<secret>`: the id finds it, the secret (256 random bits, so a plain hash keeps it) proves it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opsconsole.domain.command import Role
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.records import Records, TokenRow

ID_BYTES = 5
SECRET_BYTES = 32
NAME_CHARS_MAX = 100
TOKENS_MAX = 10_000
"""Tokens that were ever made; each is a line of the audit and of memory."""
_TOKEN = re.compile(r"ops_([a-z0-9]{4,40})_([A-Za-z0-9_\-]{20,100})\Z")
_NO_HASH = hashlib.sha256(b"no such token").digest()

BOOTSTRAP: dict[str, Role] = {
    "operator.token": Role.OPERATOR,
    "admin.token": Role.ADMIN,
    "agent.token": Role.AGENT,
    "gateway.token": Role.GATEWAY,
}
"""File in the data directory -> the role of the token in it: how people and agents of this machine get in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token just made: the only moment at which its text exists in the hub."""

    row: TokenRow
    text: str


class Accounts:
    """All tokens, in memory as in hub.db."""

    def __init__(self, records: Records, rows: list[TokenRow], clock: Callable[[], float]) -> None:
        """Use `open`."""
        self._records = records
        self._rows = {row.id: row for row in rows}
        self._clock = clock

    @classmethod
    async def open(cls, records: Records, clock: Callable[[], float]) -> Accounts:
        """Read what hub.db holds."""
        return cls(records, await records.tokens(), clock)

    def authenticate(self, text: str, *, origin: str, client: str) -> Principal | None:
        """The holder of a token, or None when it is unknown, wrong, expired or revoked."""
        match = _TOKEN.match(text)
        row = self._rows.get(match[1]) if match else None
        given = hashlib.sha256(match[2].encode() if match else b"").digest()
        genuine = hmac.compare_digest(given, row.secret_hash if row else _NO_HASH)
        if row is None or not genuine or not self.is_valid(row.id):
            return None
        return Principal(
            name=row.name,
            role=Role(row.role),
            token_id=row.id,
            origin=origin,
            client=client,
            agent_prefix=row.agent_prefix,
        )

    def is_valid(self, token_id: str) -> bool:
        """Whether a token may still be used: known, not revoked, not expired."""
        row = self._rows.get(token_id)
        if row is None or row.revoked_at is not None:
            return False
        return row.expires_at is None or self._clock() < row.expires_at

    def expires_at(self, token_id: str) -> float | None:
        """When a token ends by itself, hub clock."""
        row = self._rows.get(token_id)
        return row.expires_at if row else None

    def find(self, token_id: str) -> TokenRow | None:
        """One token's row."""
        return self._rows.get(token_id)

    def listing(self) -> list[dict[str, Any]]:
        """All tokens without their hashes, oldest first."""
        return [describe(row) for row in self._rows.values()]

    def names(self, roles: Collection[Role]) -> list[str]:
        """Whose tokens of these roles may still be used, in alphabetical order."""
        return sorted({row.name for row in self._rows.values() if row.role in roles and self.is_valid(row.id)})

    @property
    def is_full(self) -> bool:
        """Whether no more tokens may be made."""
        return len(self._rows) >= TOKENS_MAX

    def mint(
        self, name: str, role: Role, *, by: str, ttl_seconds: float | None = None, agent_prefix: str | None = None
    ) -> NewToken:
        """A new token that nobody may use before `keep`."""
        now = self._clock()
        secret = secrets.token_urlsafe(SECRET_BYTES)
        row = TokenRow(
            id=base64.b32encode(secrets.token_bytes(ID_BYTES)).decode().lower().rstrip("="),
            name=name,
            role=str(role),
            secret_hash=hashlib.sha256(secret.encode()).digest(),
            created_at=now,
            created_by=by,
            expires_at=None if ttl_seconds is None else now + ttl_seconds,
            agent_prefix=agent_prefix,
        )
        return NewToken(row=row, text=f"ops_{row.id}_{secret}")

    async def keep(self, token: NewToken) -> None:
        """Let a minted token be used. Raises: sqlite3.Error."""
        await self._records.put_token(token.row)
        self._rows[token.row.id] = token.row

    async def revoke(self, token_id: str) -> None:
        """End a token now, in memory before on disk: what stops does not wait. Raises: KeyError, sqlite3.Error."""
        row = replace(self._rows[token_id], revoked_at=self._clock())
        self._rows[token_id] = row
        await self._records.put_token(row)

    async def bootstrap(self, directory: Path) -> list[tuple[str, str]]:
        """Make the token files that are missing or no longer valid: (file name, token id) of each.

        Deleting a file and starting the hub again replaces its token: the old one is revoked.
        """
        made = []
        for name, role in BOOTSTRAP.items():
            path = directory / name
            if self._is_good(path, role):
                path.chmod(0o600)
                continue
            owner = f"{name.removesuffix('.token')}@bootstrap"
            for row in [row for row in self._rows.values() if row.name == owner and row.revoked_at is None]:
                await self.revoke(row.id)
            token = self.mint(owner, role, by="hub")
            await self.keep(token)
            write_private(path, f"{token.text}\n")
            made.append((name, token.row.id))
        return made

    def _is_good(self, path: Path, role: Role) -> bool:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return False
        holder = self.authenticate(text, origin="", client="")
        return holder is not None and holder.role is role


def describe(row: TokenRow) -> dict[str, Any]:
    """A token for people: all but its hash."""
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "agent_prefix": row.agent_prefix,
    }


def write_private(path: Path, text: str) -> None:
    """Replace a file at once by one that only its owner can read. Raises: OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
