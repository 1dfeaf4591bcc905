"""Proofs that a third party checks with nothing but the proof and the log's public key; it opens no file."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from opsconsole_storage.contract import Entry
from opsconsole_storage.export import entry_json
from opsconsole_storage.leaves import entry_of
from opsconsole_storage.merkle import consistency_holds, inclusion_holds, leaf_hash
from opsconsole_storage.notes import Verifier

_MALFORMED = (KeyError, TypeError, OverflowError, RecursionError)
"""What a document from anybody may raise beside ValueError: Infinity is a number of JSON as Python reads it."""


def _encode(path: tuple[bytes, ...]) -> list[str]:
    return [base64.b64encode(node).decode() for node in path]


def _decode(path: list[str]) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(node, validate=True) for node in path)


def _document(text: str, expected: str) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != expected:
        raise ValueError(f"not a proof of the format {expected}")
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That one entry stands in the log that `checkpoint` signs; `public_key` is in the form of `audit.pub`."""

    FORMAT: ClassVar[str] = "opsconsole.audit.inclusion/1"

    leaf: bytes
    path: tuple[bytes, ...]
    checkpoint: str
    public_key: str

    def check(self, public_key: str | None = None) -> Entry:
        """The proven entry. Give the key that you trust; without one the proof's own is believed.

        Raises: ValueError when the proof does not hold.
        """
        statement = Verifier.parse(public_key or self.public_key).open(self.checkpoint)
        entry = entry_of(self.leaf)
        if not inclusion_holds(entry.seq - 1, statement.size, leaf_hash(self.leaf), self.path, statement.root):
            raise ValueError(f"entry {entry.seq} is not proven by this path")
        return entry

    def to_json(self) -> str:
        """The proof as a JSON document, with the entry for people; only `leaf` is proven."""
        document: Mapping[str, Any] = {
            "format": self.FORMAT,
            "entry": entry_json(entry_of(self.leaf)),
            "leaf": base64.b64encode(self.leaf).decode(),
            "path": _encode(self.path),
            "checkpoint": self.checkpoint,
            "public_key": self.public_key,
        }
        return json.dumps(document, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "InclusionProof":
        """Read what `to_json` wrote; the entry shown must be the one in the leaf. Raises: ValueError."""
        try:
            document = _document(text, cls.FORMAT)
            proof = cls(
                leaf=base64.b64decode(document["leaf"], validate=True),
                path=_decode(document["path"]),
                checkpoint=str(document["checkpoint"]),
                public_key=str(document["public_key"]),
            )
            is_shown = document["entry"] == entry_json(entry_of(proof.leaf))
        except _MALFORMED as error:
            raise ValueError(f"not a proof: {error!r}") from error
        if not is_shown:
            raise ValueError("the entry shown is not the one that is proven")
        return proof


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """That the log under `checkpoint` starts with the log of `old_size` entries under `old_root`, unchanged."""

    FORMAT: ClassVar[str] = "opsconsole.audit.consistency/1"

    old_size: int
    old_root: bytes
    path: tuple[bytes, ...]
    checkpoint: str
    public_key: str

    def check(self, public_key: str | None = None, old_checkpoint: str | None = None) -> int:
        """The size of the proven log. Give the key and the earlier checkpoint that you trust.

        Raises: ValueError when the proof does not hold.
        """
        verifier = Verifier.parse(public_key or self.public_key)
        statement = verifier.open(self.checkpoint)
        if old_checkpoint is not None:
            old = verifier.open(old_checkpoint)
            if (old.size, old.root) != (self.old_size, self.old_root):
                raise ValueError("the proof starts from another checkpoint")
        if not consistency_holds(self.old_size, statement.size, self.old_root, statement.root, self.path):
            raise ValueError(f"the log of {statement.size} entries is not proven to start with the {self.old_size}")
        return statement.size

    def to_json(self) -> str:
        """The proof as a JSON document."""
        document: Mapping[str, Any] = {
            "format": self.FORMAT,
            "old_size": self.old_size,
            "old_root": base64.b64encode(self.old_root).decode(),
            "path": _encode(self.path),
            "checkpoint": self.checkpoint,
            "public_key": self.public_key,
        }
        return json.dumps(document, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "ConsistencyProof":
        """Read what `to_json` wrote. Raises: ValueError."""
        try:
            document = _document(text, cls.FORMAT)
            return cls(
                old_size=int(document["old_size"]),
                old_root=base64.b64decode(document["old_root"], validate=True),
                path=_decode(document["path"]),
                checkpoint=str(document["checkpoint"]),
                public_key=str(document["public_key"]),
            )
        except _MALFORMED as error:
            raise ValueError(f"not a proof: {error!r}") from error
