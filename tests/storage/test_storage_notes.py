"""Signed notes against C2SP's published example, and every way in which a note can be wrong."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsconsole_storage.notes import Checkpoint, Signer, Verifier

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = Signer("log.example/one", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ROOT = bytes(32)
NOTE = SIGNER.sign(7, ROOT)


def test_the_published_signature_is_valid() -> None:
    with pytest.raises(ValueError, match="not a checkpoint of a log"):
        Verifier.parse(GO_KEY).open(f"{GO_TEXT}\n{GO_SIGNATURE}")


def test_the_published_signature_does_not_fit_another_text() -> None:
    with pytest.raises(ValueError, match="no valid signature"):
        Verifier.parse(GO_KEY).open(f"{GO_TEXT.upper()}\n{GO_SIGNATURE}")


def test_a_note_states_origin_size_and_root() -> None:
    assert SIGNER.verifier.open(NOTE) == Checkpoint(origin="log.example/one", size=7, root=ROOT)


def test_a_note_has_the_lines_of_a_checkpoint() -> None:
    assert NOTE.split("\n")[:5] == ["log.example/one", "7", base64.b64encode(ROOT).decode(), "", NOTE.split("\n")[4]]


def test_the_same_statement_gives_the_same_bytes() -> None:
    assert SIGNER.sign(7, ROOT) == NOTE


def test_no_character_of_a_note_can_be_changed() -> None:
    for position, character in enumerate(NOTE):
        with pytest.raises(ValueError):
            SIGNER.verifier.open(NOTE[:position] + chr(ord(character) ^ 1) + NOTE[position + 1 :])


def test_no_note_can_be_cut() -> None:
    for length in range(len(NOTE)):
        with pytest.raises(ValueError):
            SIGNER.verifier.open(NOTE[:length])


def test_a_note_of_another_key_is_not_valid() -> None:
    other = Signer("log.example/one", Ed25519PrivateKey.generate())
    with pytest.raises(ValueError, match="no valid signature"):
        SIGNER.verifier.open(other.sign(7, ROOT))


def test_a_witness_may_add_its_signature() -> None:
    witness = "— witness.example " + base64.b64encode(bytes(68)).decode() + "\n"
    assert SIGNER.verifier.open(NOTE + witness).size == 7


def test_a_public_key_reads_back_from_its_text() -> None:
    assert str(Verifier.parse(str(SIGNER.verifier))) == str(SIGNER.verifier)


@pytest.mark.parametrize("text", ["", "a", "a+b", "a+00000000+AQ==", GO_KEY.replace("Peter", "Paul"), GO_KEY[:-4]])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"public key|key's id"):
        Verifier.parse(text)
