"""Signed checkpoints as text (C2SP signed-note and tlog-checkpoint, Ed25519); it keeps no file."""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from opsconsole_storage.merkle import HASH_BYTES

ED25519 = b"\x01"
KEY_ID_BYTES = 4
NOTE_BYTES_MAX = 1024
"""A note of ours has about 300 bytes; what is longer is not one, and the sidecar's slots have this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a note states: the log `origin` had `size` entries under `root`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The signed text: three lines, each ended by a newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Verifier:
    """A public key with its name, in C2SP form `name+keyid+base64`."""

    def __init__(self, name: str, key: Ed25519PublicKey) -> None:
        self.name = name
        self._key = key
        self._public = ED25519 + key.public_bytes_raw()
        self.key_id = sha256(name.encode() + b"\n" + self._public).digest()[:KEY_ID_BYTES]

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Read `name+keyid+base64`. Raises: ValueError."""
        try:
            name, key_id, encoded = text.strip().split("+", 2)
            public = base64.b64decode(encoded, validate=True)
            if public[:1] != ED25519:
                raise ValueError("not an Ed25519 key")
            verifier = cls(name, Ed25519PublicKey.from_public_bytes(public[1:]))
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"not a public key of a signed note: {error}") from error
        if verifier.key_id.hex() != key_id:
            raise ValueError("the key's id does not belong to its name and bytes")
        return verifier

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._public).decode()}"

    def open(self, note: str) -> Checkpoint:
        """The checkpoint that `note` states and this key signed. Raises: ValueError."""
        text, separator, signatures = note.rpartition("\n\n")
        if not separator or not signatures.endswith("\n") or len(note) > NOTE_BYTES_MAX:
            raise ValueError("not a signed note")
        text += "\n"
        if not any(self._signed(text, line) for line in signatures[:-1].split("\n")):
            raise ValueError(f"no valid signature by {self.name}")
        return self._statement(text)

    def _signed(self, text: str, line: str) -> bool:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "—" or name != self.name:
            return False
        try:
            signature = base64.b64decode(encoded, validate=True)
            if signature[:KEY_ID_BYTES] != self.key_id or base64.b64encode(signature).decode() != encoded:
                return False
            self._key.verify(signature[KEY_ID_BYTES:], text.encode())
        except (binascii.Error, InvalidSignature, ValueError):
            return False
        return True

    def _statement(self, text: str) -> Checkpoint:
        lines = text.splitlines()
        if len(lines) != 3 or not lines[1].isascii() or not lines[1].isdigit():
            raise ValueError("not a checkpoint of a log")
        checkpoint = Checkpoint(origin=lines[0], size=int(lines[1]), root=base64.b64decode(lines[2]))
        if checkpoint.origin != self.name or checkpoint.text() != text or len(checkpoint.root) != HASH_BYTES:
            raise ValueError("not a checkpoint of this log")
        return checkpoint


class Signer:
    """The private key of one log; the log's origin is the key's name."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = Verifier(name, key.public_key())
        self._prefix = f"\n— {name} "

    @property
    def name(self) -> str:
        return self.verifier.name

    def sign(self, size: int, root: bytes) -> str:
        """The signed note for a tree of `size` entries; the same input gives the same bytes."""
        text = Checkpoint(origin=self.name, size=size, root=root).text()
        signature = self.verifier.key_id + self._key.sign(text.encode())
        return f"{text}{self._prefix}{base64.b64encode(signature).decode()}\n"
