"""Every kind of secret that its form gives away: found in texts, in JSON inside of texts, and by the first look."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsconsole.policy.redaction import masker, may_hold_secret, redact, redact_text
from opsconsole.policy.redaction_kinds import IBAN_LENGTHS, KINDS, is_card, is_iban

MASK = masker(b"key")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
HEX = "0123456789abcdef"
LONG = LETTERS + "0123456789" + LETTERS.upper()
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
PGP = "\n".join(
    [
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "Version: GnuPG v2.0.22 (GNU/Linux)",
        *[BODY + str(line) for line in range(90)],
        "-----END PGP PRIVATE KEY BLOCK-----",
    ]
)
EXAMPLES = {
    "github": [f"gh{kind}_{LETTERS}" for kind in "pousr"] + [f"github_pat_{LETTERS}"],
    "anthropic": [f"sk-ant-{LETTERS}"],
    "openai": [f"sk-{LETTERS}", f"sk-proj-{LETTERS}", f"sk-svcacct-{LETTERS}", f"sk-admin-{LETTERS}"],
    "aws": [f"A{kind}IOSFODNN7EXAMPLE" for kind in ("KIA", "SIA", "BIA", "CCA")],
    "slack": [f"xox{kind}-1234567890" for kind in "abeposr"]
    + ["xapp-1234567890", f"/services/T0123ABCD/B0123ABCD/{LETTERS}"],
    "google": [f"AIza{LONG[:35]}", f"GOCSPX-{LETTERS}", f"ya29.{LETTERS}"],
    "stripe": [f"{kind}_{mode}_{LETTERS}" for kind in ("sk", "pk", "rk") for mode in ("live", "test")]
    + [f"whsec_{LETTERS}"],
    "gitlab": [f"gl{k}-{LETTERS}" for k in ("pat", "ptt", "dt", "rt", "soat", "cbt", "ft", "imt", "agent")],
    "npm": [f"npm_{LONG[:36]}"],
    "pypi": [f"pypi-AgE{LONG}"],
    "docker": [f"dckr_pat_{LETTERS}", f"dckr_oat_{LETTERS}"],
    "huggingface": [f"hf_{LONG[:34]}"],
    "sendgrid": [f"SG.{LETTERS[:22]}.{LONG[:43]}"],
    "twilio": [f"SK{HEX * 2}"],
    "shopify": [f"shp{kind}_{HEX * 2}" for kind in ("at", "ca", "pa", "ss")],
    "digitalocean": [f"do{kind}_v1_{HEX * 4}" for kind in "opr"],
    "atlassian": [f"ATATT3{LONG}=ABCDEF01", f"ATCTT3{LONG}"],
    "linear": [f"lin_api_{LONG[:40]}", f"lin_oauth_{LONG[:40]}"],
    "notion": [f"ntn_{LONG[:46]}"],
    "figma": [f"figd_{LONG[:40]}"],
    "databricks": [f"dapi{HEX * 2}", f"dapi{HEX * 2}-2"],
    "vault": [f"hv{kind}.{LETTERS}" for kind in "sbr"],
    "terraform": [f"{LETTERS[:14]}.atlasv1.{LONG}"],
    "age": [f"AGE-SECRET-KEY-1{LONG.upper()[:58]}"],
    "grafana": [f"glsa_{LONG[:40]}", f"glc_{LONG[:40]}="],
    "newrelic": [f"NRAK-{LETTERS.upper()}1"],
    "sentry": [f"sntrys_{LONG[:40]}", f"sntryu_{LONG[:40]}"],
    "pulumi": [f"pul-{HEX * 2}01234567"],
    "postman": [f"PMAK-{HEX}01234567-{HEX * 2}01"],
    "rubygems": [f"rubygems_{HEX * 3}"],
    "telegram": [f"123456789:AA{LONG[:33]}"],
    "groq": [f"gsk_{LONG[:52]}"],
    "replicate": [f"r8_{LONG[:37]}"],
    "xai": [f"xai-{LONG}", f"pplx-{LONG[:48]}"],
    "langsmith": [f"lsv2_pt_{LONG[:42]}", f"lsv2_sk_{LONG[:42]}"],
    "planetscale": [f"pscale_{kind}_{LONG[:40]}" for kind in ("tkn", "oauth", "pw")],
    "doppler": [f"dp.{kind}.{LONG[:43]}" for kind in ("pt", "st", "ct", "sa")],
    "supabase": [f"sbp_{HEX * 2}01234567", f"sb_secret_{LONG[:31]}"],
    "airtable": [f"pat{LETTERS[:14]}.{HEX * 4}"],
    "square": [f"sq0atp-{LETTERS[:22]}", f"EAAA{LONG}ab"],
    "opsconsole": [f"ops_abcd_{LETTERS}"],
    "jwt": [f"eyJhbGciOiJ9.{LETTERS}.{LETTERS}"],
    "pem": [
        f"-----BEGIN {kind}PRIVATE KEY{block}-----\n{head}{BODY}\n{BODY}\n-----END {kind}PRIVATE KEY{block}-----"
        for kind, block, head in (
            ("", "", ""),
            ("RSA ", "", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123456789ABCDEF\n\n"),
            ("PGP ", " BLOCK", "Version: GnuPG v2.0.22 (GNU/Linux)\nComment: it is-mine\n\n"),
        )
    ]
    + [f"-----BEGIN PRIVATE KEY-----\n{BODY}\n{BODY}"]
    + [PGP],
    "card": ["4111 1111 1111 1111", "5500000000000004", "3782 822463 10005", "6011-0009-9013-9424", "4222222222222"],
    "iban": ["DE89370400440532013000", "RO49 AAAA 1B31 0075 9384 0000", "RO83BTRLRONCRT0ABCDEFGHI"],
}  # fmt: skip
"""kind -> how it may look; all made up. A key of Azure is known by the name before it, and tried by itself."""
TELLING = 12
"""So many characters of one must not be read; their beginnings only say what they are."""
ALL = [(name, secret) for name, secrets in EXAMPLES.items() for secret in secrets]
BEFORE = st.sampled_from(["", " ", "\n", "\t", "(", '"', "/", "\\n", "\\r\\n", "“", "：", "\x1b", "\n\n", "= "])
"""What may stand before a secret: escapes of JSON too, as in the results of tools that answer with it."""


def shown(value: Any, secret: str) -> list[str]:
    """Long parts of the secret that can still be read."""
    text = json.dumps(redact(value, MASK)[0], ensure_ascii=False)
    lines = [line for line in secret.split("\n") if "PRIVATE KEY" not in line]
    return [part for line in lines for part in (line, line[-TELLING:]) if part and part in text]


def test_every_kind_has_an_example() -> None:
    assert {kind.name for kind in KINDS} - {"azure"} == EXAMPLES.keys()
    assert [kind.pattern.pattern for kind in KINDS if not any(kind.pattern.search(one) for _, one in NAMED)] == []


NAMED = [*ALL, ("azure", f"AccountKey={'A' * 86}==")]


@pytest.mark.parametrize(("name", "secret"), NAMED, ids=[f"{name}-{n}" for n, (name, _) in enumerate(NAMED)])
def test_each_of_them_is_masked_by_its_name_and_what_surrounds_it_stays(name: str, secret: str) -> None:
    masked = redact_text(f"use {secret}, now", MASK)
    assert f"[secret:{name}:" in masked
    assert (masked.startswith("use "), masked.endswith("now")) == (True, True)
    assert shown(f"use {secret}, now", secret) == []


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("before", ["\n", "\t", "\r\n", "“", ": "], ids=["line", "tab", "crlf", "quote", "space"])
def test_a_secret_in_json_inside_of_a_text_is_masked_behind_whatever_escape(before: str, depth: int) -> None:
    for _, secret in NAMED:
        value = f"key{before}{secret}"
        for _ in range(depth):
            value = json.dumps({"of": value})
        assert shown(value, secret) == []


def luhn(digits: str) -> str:
    """The digits and the one that makes them a card number."""
    return next(digits + last for last in "0123456789" if is_card(digits + last) or len(set(digits + last)) < 2)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A card number in its groups."""
    separator = st.sampled_from(["", " ", "-"])
    sizes = draw(st.sampled_from([(4, 4, 4, size) for size in range(1, 8)] + [(4, 6, 5)]))
    begin = draw(st.sampled_from(["34", "37"] if len(sizes) == 3 else ["20", "34", "41", "55", "69"]))
    number = luhn(begin + draw(st.text("0123456789", min_size=sum(sizes) - 3, max_size=sum(sizes) - 3)))
    grouped, start = number[: sizes[0]], sizes[0]
    for size in sizes[1:]:
        grouped, start = grouped + draw(separator) + number[start : start + size], start + size
    return grouped


@st.composite
def ibans(draw: st.DrawFn) -> str:
    """An account number of some country, with its digits of check, in groups of four or less."""
    country, length = draw(st.sampled_from(sorted(IBAN_LENGTHS.items())))
    account = draw(st.text("0123456789ABCXYZ", min_size=length - 4, max_size=length - 4))
    rest = int("".join(str(int(char, 36)) for char in f"{account}{country}00")) % 97
    number = f"{country}{98 - rest:02}{account}"
    groups = [number[start : start + 4] for start in range(0, length, 4)]
    return "".join(group + draw(st.sampled_from(["", " "])) for group in groups).strip()


@settings(max_examples=500)
@given(BEFORE, cards() | ibans(), st.sampled_from(["", " ", ",", "\n", '"']), st.booleans(), st.integers(0, 2))
@example("", "RO49 AAAA 1B31 0075 9384 0000", "", True, 0)
@example("", "SA03 80AB CDEF 6080 1016 7519", "", True, 0)
@example("\n", "4111 1111 1111 1111", "", False, 1)
def test_a_number_of_a_card_or_an_account_is_masked_and_no_first_look_passes_over_it(
    before: str, number: str, after: str, ascii_only: bool, nested: int
) -> None:
    value = before + number + after
    for _ in range(nested):
        value = json.dumps(value, ensure_ascii=ascii_only)
    is_one = is_card(number) or is_iban(number)
    assert (number in redact_text(value, MASK)) is not is_one
    assert may_hold_secret(json.dumps([value], ensure_ascii=ascii_only).encode()) or not is_one


@settings(max_examples=300)
@given(st.text("AB12 cZ-_.\\nu0\n", max_size=6), cards() | ibans(), st.sampled_from(["", " ", "x", "1"]))
def test_what_a_kind_matches_never_lacks_its_hint(before: str, number: str, after: str) -> None:
    text = before + number + after
    for kind in KINDS:
        if kind.pattern.search(text):
            assert kind.first_look.isinstance_python(text)
            assert kind.first_look.isinstance_python(json.dumps(text))


@pytest.mark.parametrize(("name", "secret"), NAMED, ids=[f"{name}-{n}" for n, (name, _) in enumerate(NAMED)])
def test_each_of_them_passes_its_hint_and_the_first_look(name: str, secret: str) -> None:
    found = [kind for kind in KINDS if kind.name == name and kind.pattern.search(secret)]
    assert found
    assert all(kind.first_look.isinstance_python(json.dumps(secret)) for kind in found)
    assert may_hold_secret(json.dumps([secret]).encode())


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI\n-----END PUBLIC KEY-----",
        "order 0.4111111111111111 or v4.4111111111111111",
        "turn_01M83GMZ13B89SD43649H875RJ",
        "C:\\tools\\ruby\\gems",
        "X12345678901234567890",
    ],
)
def test_what_only_resembles_them_is_left_alone(text: str) -> None:
    assert redact_text(text, MASK) == text
