"""Redaction of secrets as people and programs spell them: quoted, as options, nested, as numbers, as keys."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsconsole.policy import redaction, redaction_kinds
from opsconsole.policy.redaction import masker, may_hold_secret, redact, redact_text

MASK = masker(b"key")
OPENAI = "sk-proj-abcdefghijklmnopqrstuvwx"
HIDDEN = "[secret]"


def plainly(text: str) -> str:
    """Every mask as one word, so that a test reads as what an operator sees."""
    return re.sub(r"\[secret:[a-z]{1,20}:[0-9a-f]{4}\]", HIDDEN, text)


def seen(value: Any) -> Any:
    """A value as an operator sees it."""
    return json.loads(plainly(json.dumps(redact(value, MASK)[0])))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"password": "x"}', '{"password": "[secret]"}'),
        (r'"{\"password\": \"x\", \"user\": \"u\"}"', r'"{\"password\": \"[secret]\", \"user\": \"u\"}"'),
        (r'{"password": "a\"b c"}', '{"password": "[secret]"}'),
        ('export DB_PASSWORD="s3cret pass"; ls', 'export DB_PASSWORD="[secret]"; ls'),
        ("password='it is \"mine\"'", "password='[secret]'"),
        ("mysql --password hunter2abc -u root", "mysql --password [secret] -u root"),
        ("tool --db-client-secret 'a b' run", "tool --db-client-secret '[secret]' run"),
        ("curl --api-key abcdef123 --verbose", "curl --api-key [secret] --verbose"),
        ("password2=hunter2abc", "password2=[secret]"),
        ("gpg passphrase: correcthorse", "gpg passphrase: [secret]"),
        ("{'authorization': 'Basic x', 'n': 1}", "{'authorization': '[secret]', 'n': 1}"),
        (":password => 'x'", ":password => '[secret]'"),
        ('{"token": 123456, "n": 1}', '{"token": [secret], "n": 1}'),
    ],
)
def test_a_secret_is_masked_however_it_is_quoted(text: str, masked: str) -> None:
    assert plainly(redact_text(text, MASK)) == masked


@pytest.mark.parametrize(
    "text",
    [
        "set --password --verbose and --token= for none",
        '{"token_type": "bearer", "secret_id": "abcdef", "token_count": 123456}',
        "the one-time-password handling of two-token vendors",
        'password = ""',
        '{"properties": {"password": {"type": "string"}}}',
    ],
)
def test_text_that_only_speaks_of_secrets_is_left_alone(text: str) -> None:
    assert redact_text(text, MASK) == text


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ({"password": ["a", {"of": "b"}]}, {"password": [HIDDEN, {"of": HIDDEN}]}),
        ({"api_key": {"value": "abc", "on": True}}, {"api_key": {"value": HIDDEN, "on": True}}),
        ({"token": 123_456, "secret": -1234}, {"token": HIDDEN, "secret": HIDDEN}),
        ({"passphrase": "open"}, {"passphrase": HIDDEN}),
        ({OPENAI: 1, "plain": 2}, {HIDDEN: 1, "plain": 2}),
        ({OPENAI: "of the other company"}, {HIDDEN: "of the other company"}),
        (
            ["mysql", "--password", "x", "--db-token", "y", "z"],
            ["mysql", "--password", HIDDEN, "--db-token", HIDDEN, "z"],
        ),
    ],
)
def test_a_secret_is_masked_wherever_json_puts_it(value: Any, masked: Any) -> None:
    assert seen(value) == masked


def test_small_numbers_under_a_secret_key_are_counts() -> None:
    assert redact({"token": 3, "secret": 0.75, "password": [999, None]}, MASK)[1] is False


def test_two_keys_that_mask_alike_stay_two() -> None:
    value = {f"password={name}": name for name in ("firstfirst", "secondsecond")}
    masked, _ = redact(value, lambda kind, _secret: f"[secret:{kind}:0000]")
    assert list(masked) == ["password=[secret:value:0000]", "password=[secret:value:0000] #1"]


WORDS = ["password", "Passphrase", "token", "token\u017f", "to\u212aen", "ap\u0131_key", "secret", "credential"]
"""Python takes long s, dotless i and the kelvin sign for s, i and k where case is ignored; others do not."""
MARKS = ["=", ": ", " ", '"', "'", "\\", "\\\\", "/", "--", "-", "_", "\n", "\u00a0", "\x1c", "{", "]", "://", "@"]
NAMES = ["authorization", "private_key", "Bearer ", "_id", "hunter2hunter2", "x", "9", OPENAI, "[secret:url:0a1b]"]
TEXTS = st.lists(st.sampled_from(WORDS + MARKS + NAMES), max_size=10).map("".join)
LEAVES = TEXTS | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=600)
@given(VALUES, st.booleans(), st.integers(min_value=0, max_value=2))
@example({"to\u212aen": "x"}, True, 0)
@example({"ap\u0131_key": "x"}, False, 0)
@example({"token\u017f": "x"}, False, 0)
@example({"pa\u017f\u017fword": "x"}, True, 0)
@example("ap\u0131_key=abcdef1", False, 0)
@example("token\u017f=abcdef1", True, 0)
def test_what_is_masked_never_passes_the_first_look(value: Any, ascii_only: bool, nested: int) -> None:
    for _ in range(nested):
        value = json.dumps(value, ensure_ascii=ascii_only)
    data = json.dumps(value, ensure_ascii=ascii_only).encode(errors="replace")
    assert may_hold_secret(data) or not redact(json.loads(data), MASK)[1]


NAMED = ["passwd", "passphrase", "token", "apikey", "authorization", "cookie", "privatekey", "credential"]


@pytest.mark.parametrize("name", NAMED)
def test_the_first_look_knows_every_name_of_a_secret(name: str) -> None:
    assert may_hold_secret(json.dumps({name: "x"}).encode())


@settings(max_examples=400)
@given(VALUES)
def test_a_masked_value_has_nothing_left_to_mask(value: Any) -> None:
    once, _ = redact(value, MASK)
    assert redact(once, MASK) == (once, False)


HOSTILE = [
    'password="',
    "password='",
    'password=\\"',
    "password\\\\\\",
    "--a-a-a-",
    "--password-",
    "--password  ",
    "token_",
    "secret=>",
    "passphrase : ",
    '"token":',
    "authorization'",
    "\\",
    "password=[secret:",
]


class Counting:
    """A mask that counts the characters it is given."""

    def __init__(self) -> None:
        self.chars = 0

    def __call__(self, kind: str, secret: str) -> str:
        self.chars += len(secret)
        return MASK(kind, secret)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_masked_in_proportion_to_its_length(hostile: str) -> None:
    counting = Counting()
    text = hostile * (300_000 // len(hostile))
    redact_text(text, counting)
    assert counting.chars <= 2 * len(text)


def test_no_pattern_looks_further_than_a_bound_from_where_it_starts() -> None:
    named = [getattr(redaction, name) for name in dir(redaction)]
    patterns = [one for one in named if isinstance(one, re.Pattern)] + [kind.pattern for kind in redaction_kinds.KINDS]
    assert [one.pattern for one in patterns if re.search(r"(?<!\\)[*+]|\{\d+,\}", outside_classes(one.pattern))] == []


def outside_classes(pattern: str) -> str:
    """A pattern without its character classes, in which a repeat is a plain character."""
    return re.sub(r"\[(?:\\.|[^\]\\])+\]", "", pattern)


def test_a_list_of_secrets_is_looked_at_once_each() -> None:
    counting = Counting()
    random.seed(1)
    value = {"password": [[f"secret{random.random()}"] for _ in range(1_000)]}
    redact(value, counting)
    assert counting.chars == sum(len(item[0]) for item in value["password"])


@settings(max_examples=400)
@given(TEXTS)
def test_looking_only_where_a_pattern_may_begin_finds_all_that_it_matches(text: str) -> None:
    begins = redaction._begins(redaction._ASSIGNED_BEGINS, text)
    ways = [(pattern, begins) for pattern in redaction._ASSIGNED]
    ways += [
        (redaction._USERINFO, list(redaction._schemes(text))),
        (redaction._AUTHORIZATION, redaction._begins(redaction._AUTHORIZATION_BEGINS, text)),
    ]
    for pattern, starts in ways:
        assert redaction._replaced(pattern, starts, text, lambda _: HIDDEN) == pattern.sub(HIDDEN, text)


def test_a_kind_is_found_at_the_beginning_of_a_word_only() -> None:
    token = "ghp_abcdefghijklmnopqrstuvwxyz012345"
    told = [plainly(redact_text(text, MASK)) for text in (f"x {token}", f"({token})", f"x{token}", f"_{token}")]
    assert told == [f"x {HIDDEN}", f"({HIDDEN})", f"x{token}", f"_{token}"]


@pytest.mark.parametrize("name", [*NAMED, "private_key", "api_key", "secret", "password"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_value_is_masked_behind_every_name_of_a_secret(name: str, quote: str) -> None:
    masked = plainly(redact_text(f"the {name} = {quote}it is mine{quote}", MASK))
    assert masked == f"the {name} = {quote}{HIDDEN}{quote}"


def test_secrets_written_without_a_space_between_them_uncover_each_other() -> None:
    token = "ghp_abcdefghijklmnopqrstuvwxyz012345"
    text = f"SG.abcdefghijklmnopqrstuv.{'x' * 60}{token}"
    assert plainly(redact_text(text, MASK)) == f"{HIDDEN}{HIDDEN}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=[secret:url:0a1b]hunter2hunter2", f"password={HIDDEN}"),
        ("password=[secret:url:0a1b]", f"password={HIDDEN}"),
        ("redis://:hunter2@host/0", f"redis://:{HIDDEN}@host/0"),
        ("headers:\\nBearer abc123def456ghi", f"headers:\\nBearer {HIDDEN}"),
    ],
)
def test_a_mask_before_a_secret_an_empty_name_and_an_escape_hide_none(text: str, masked: str) -> None:
    assert plainly(redact_text(text, MASK)) == masked
