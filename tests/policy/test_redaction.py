"""Redaction: listed secrets are masked everywhere, harmless text is left alone, and hostile text costs no more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy.redaction import masker, may_hold_secret, redact, redact_text

MASK = masker(b"key")
A32 = "abcdefghijklmnopqrstuvwxyz012345"
SECRETS = {
    "github": f"ghp_{A32}",
    "github fine-grained": f"github_pat_{A32}",
    "openai": f"sk-proj-{A32}",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "slack": "xoxb-123456789012-abcdefghijkl",
    "google": f"AIza{A32}abc",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "gitlab": "glpat-abcdefghij0123456789",
    "npm": f"npm_{A32}6789",
    "opsconsole": f"ops_abcd_{A32}",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "anthropic": f"sk-ant-api03-{A32}",
    "google client": f"GOCSPX-{A32}",
    "slack hook": "/services/T" + "0123ABCD/B0123ABCD/abcdefghijklmnopqrstuvwx",
    "pypi": f"pypi-AgEIcHlwaS5vcmcC{A32}",
    "huggingface": f"hf_{A32}",
    "sendgrid": f"SG.abcdefghijklmnopqrst.{A32}{A32}"[:69],
    "digitalocean": "dop_v1_" + "0123456789abcdef" * 4,
    "databricks": "dapi" + "0123456789abcdef" * 2,
    "vault": f"hvs.{A32}",
    "shopify": "shpat_" + "0123456789abcdef" * 2,
    "grafana": f"glsa_{A32}",
    "telegram": f"123456789:AA{A32}a",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
}
"""The 26 of docs/policy.md, each as it is written in the wild; all made up."""
HARMLESS = [
    "the tokens: 1234567 of 2000000",
    "max_tokens=2000000",
    "a basic understanding of bearer instruments",
    "https://example.test/a:b/c",
    "mail me at someone@example.test",
    "SELECT * FROM passwords_old",
    "the secret of good coffee",
    "order 4111 1111 1111 1112 shipped",
    "1795366138123 ms since the epoch",
    "DE89 3704 0044 0532 0130 01",
]
"""The ten of docs/policy.md that only sound secret."""
WORDS = ["password", "token", "tokens", "secret", "api_key", "basic", "Bearer ", "max_tokens", "hunter2hunter2", "é"]
MARKS = ["=", ":", " ", "\n", '"', "\\", "@", "/", "://", "https://", "user:pass123@host", "[secret:value:abcd]"]
PIECES = st.sampled_from([*SECRETS.values(), *WORDS, *MARKS])
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_listed_secret_is_masked_wherever_it_stands(secret: str) -> None:
    value = {"note": f"use {secret} now", "list": [secret], secret[:3]: {"deep": [f"({secret})"]}}
    masked, changed = redact(value, MASK)
    assert changed
    assert secret not in json.dumps(masked)
    assert json.dumps(masked).count("[secret:") == 3


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://u:p4ssw0rd@db/x", f"postgres://u:{MASK('url', 'p4ssw0rd')}@db/x"),
        ("password=hunter2hunter2;", f"password={MASK('value', 'hunter2hunter2')};"),
        ("api-key: abcdef123456", "api-key: [secret:value:"),
        ("Authorization: Bearer abc123def456ghi", "Authorization: Bearer [secret:authorization:"),
    ],
)
def test_secrets_in_running_text_are_masked_and_the_rest_stays(text: str, masked: str) -> None:
    assert redact_text(text, MASK).startswith(masked)


@pytest.mark.parametrize("key", ["password", "DB_PASSWORD", "apiKey", "api_key", "client_secret", "Cookie", "token"])
def test_the_value_of_a_secret_key_is_masked(key: str) -> None:
    masked, _ = redact({key: "x"}, MASK)
    assert masked[key].startswith("[secret:value:")


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert redact_text(text, MASK) == text


@pytest.mark.parametrize("key", ["max_tokens", "input_tokens", "token_count", "secret_id", "token_type"])
def test_keys_that_only_sound_secret_keep_their_values(key: str) -> None:
    assert redact({key: "plain"}, MASK) == ({key: "plain"}, False)


def test_equal_secrets_have_equal_masks_and_other_keys_other_masks() -> None:
    assert MASK("x", "a") == masker(b"key")("x", "a")
    assert len({MASK("x", "a"), MASK("x", "b"), masker(b"other")("x", "a")}) == 3


def test_numbers_and_flags_are_left_alone() -> None:
    value = {"password": None, "token": 3, "secret": True, "rest": [1.5]}
    assert redact(value, MASK) == (value, False)


@given(VALUES)
def test_masking_twice_changes_nothing_more(value: Any) -> None:
    once, _ = redact(value, MASK)
    assert redact(once, MASK) == (once, False)


@settings(max_examples=400)
@given(VALUES, st.booleans())
def test_the_first_look_never_misses_what_would_be_masked(value: Any, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode(errors="replace")
    if redact(json.loads(data), MASK)[1]:
        assert may_hold_secret(data)


@pytest.mark.parametrize("spelled", ["pass\\u0077ord=hunter2hunter2", "https:\\/\\/u:secretpw@h\\/"])
def test_the_first_look_is_not_fooled_by_the_spelling_of_json(spelled: str) -> None:
    assert may_hold_secret(f'{{"note":"{spelled}"}}'.encode())


def test_a_usage_report_does_not_look_like_a_secret() -> None:
    assert not may_hold_secret(b'{"type":"usage","model":"gpt","input_tokens":10,"output_tokens":4,"turns":1}')


@pytest.mark.parametrize(
    "hostile",
    ["eyJa-", "a-", "password", "://a:", "-----BEGIN PRIVATE KEY-----", "basic ", "sk-", "x://", "token   ", "bearer "],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(hostile: str) -> None:
    """Counted in work, not in seconds: the text is large enough for a quadratic pattern to run into the time limit."""
    text = hostile * (400_000 // len(hostile)) + " token="
    assert isinstance(redact_text(text, MASK), str)
