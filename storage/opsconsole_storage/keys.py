"""The key that signs the audit's checkpoints, in two files beside it; it signs nothing itself."""

import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsconsole_storage.errors import CannotOpen, Tampered
from opsconsole_storage.files import FOR_ALL, write_whole
from opsconsole_storage.notes import Signer, Verifier

PRIVATE_NAME = "audit.key"
PUBLIC_NAME = "audit.pub"


def create_signer(directory: Path) -> Signer:
    """Make the key of a new log, with an origin of its own. The public file comes last: with it the key is complete."""
    key = Ed25519PrivateKey.generate()
    signer = Signer(f"opsconsole.audit/{secrets.token_hex(8)}", key)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(directory / PRIVATE_NAME, private)
    write_whole(directory / PUBLIC_NAME, f"{signer.verifier}\n".encode(), FOR_ALL)
    return signer


def load_signer(directory: Path) -> Signer:
    """The key of an existing log. Raises: Tampered, CannotOpen."""
    verifier = load_verifier(directory)
    try:
        key = serialization.load_pem_private_key((directory / PRIVATE_NAME).read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise CannotOpen(f"the signing key {directory / PRIVATE_NAME} can't be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CannotOpen(f"{directory / PRIVATE_NAME} is not an Ed25519 key")
    signer = Signer(verifier.name, key)
    if str(signer.verifier) != str(verifier):
        raise Tampered(f"{PRIVATE_NAME} and {PUBLIC_NAME} are not a pair")
    return signer


def load_verifier(directory: Path) -> Verifier:
    """The public key of an existing log. Raises: CannotOpen."""
    try:
        return Verifier.parse((directory / PUBLIC_NAME).read_text())
    except (OSError, ValueError) as error:
        raise CannotOpen(f"the public key {directory / PUBLIC_NAME} can't be read: {error}") from error
