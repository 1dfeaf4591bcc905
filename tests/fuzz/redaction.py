"""Fuzz target: masking secrets never fails, is done once it is done, and leaves no listed secret in sight."""

from __future__ import annotations

from opsconsole.policy.redaction import masker, may_hold_secret, redact, redact_text
from opsconsole.policy.redaction_kinds import KINDS

MASK = masker(b"key")
SEEDS = [
    b"password=hunter2hunter2 ghp_abcdefghijklmnopqrstuvwxyz012345",
    b'{"api_key": "sk-ant-api03-abcdefghijklmnopqrstuvwxyz"}',
    b"postgres://u:p4ssw0rd@db/x 4111 1111 1111 1111 DE89 3704 0044 0532 0130 00",
    b"Authorization: Bearer abc123def456ghi --token 'x y z'",
]


def fuzz_one(data: bytes) -> None:
    """Any text, also as a key and inside a list."""
    text = data.decode(errors="replace")
    masked = redact_text(text, MASK)
    assert redact_text(masked, MASK) == masked
    redact({text: [text, {"x": text}]}, MASK)
    if masked != text:
        assert may_hold_secret(text.encode(errors="replace"))
    plain = [kind for kind in KINDS if kind.is_one is None and kind.pattern.search(masked)]
    assert not plain, plain[0].name
