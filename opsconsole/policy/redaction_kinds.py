"""What secrets look like that their own form gives away: prefixes, card and account numbers; it masks nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import SchemaValidator, core_schema


@dataclass(frozen=True, slots=True)
class Kind:
    """One form of secret: `hint` is what a text must hold to be worth the pattern, in the words of a linear engine."""

    name: str
    hint: str
    pattern: re.Pattern[str]
    first_look: SchemaValidator
    """The hint, compiled for the engine that takes time linear in the text."""
    is_one: Callable[[str], bool] | None = None
    """A check that goes beyond the pattern (a checksum)."""


def _begun(literal: str, boundary: str = r"\b") -> str:
    """A literal of one length where a word begins; also right behind an escape of JSON, as texts that hold JSON do."""
    escapes = rf"(?<=\\[nrtbf]{literal})|(?<=\\u[0-9A-Fa-f]{{4}}{literal})"
    return rf"{literal}(?:(?<={boundary}{literal})|{escapes})"


def _after(others: str) -> str:
    """What a hint may ask for before a word: none of these characters, or an escape; it looks at encoded JSON too."""
    return rf"(?:^|[^{others}]|\\[nrtbf]|\\u[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f])"


def _kind(name: str, hint: str, pattern: str, is_one: Callable[[str], bool] | None = None) -> Kind:
    sought = re.compile(_WORD_BEGINS.sub(lambda literal: _begun(literal[1]), pattern))
    return Kind(name, hint, sought, SchemaValidator(core_schema.str_schema(pattern=hint)), is_one)


_WORD_BEGINS = re.compile(r"\A\\b([A-Za-z0-9_\-]+)")
"""`re` looks for a literal a dozen times faster than for the beginning of a word: the literal goes first, and whether
a word begins there is asked behind it."""


def is_card(text: str) -> bool:
    """Whether 13 to 19 digits, however separated, pass the Luhn check (ISO/IEC 7812-1) and are not one digit over."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24, "FI": 18,
    "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "TR": 26, "AE": 23, "SA": 24, "IL": 23, "UA": 29, "BR": 29,
}  # fmt: skip
"""country -> characters, from the IBAN registry (ISO 13616)."""


def is_iban(text: str) -> bool:
    """Whether an account number has its country's length and passes the mod-97 check (ISO 13616)."""
    plain = text.replace(" ", "").upper()
    if len(plain) != IBAN_LENGTHS.get(plain[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


_ANY = r"[A-Za-z0-9_\-]"
KINDS: tuple[Kind, ...] = (
    _kind("github", "gh[pousr]_", r"\bgh[pousr]_[A-Za-z0-9]{20,255}"),
    _kind("github", "github_pat", r"\bgithub_pat_[A-Za-z0-9_]{22,255}"),
    _kind("anthropic", "sk-ant-", rf"\bsk-ant-{_ANY}{{20,200}}"),
    _kind("openai", "sk-", rf"\bsk-(?:proj-|svcacct-|admin-)?{_ANY}{{20,200}}"),
    _kind("aws", "A[KSBC][IC]A", r"\bA(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}\b"),
    _kind("slack", "xox|xapp-", r"\bx(?:ox[abeposr]|app)-[A-Za-z0-9\-]{10,200}"),
    _kind("slack", "/services/T", r"T(?<=/services/T)[A-Z0-9]{6,20}/B[A-Z0-9]{6,20}/[A-Za-z0-9]{16,40}"),
    _kind("google", "AIza", rf"\bAIza{_ANY}{{35}}"),
    _kind(
        "google",
        "GOCSPX-|ya29\\.",
        _begun("[Gy]") + rf"(?:(?<=G)OCSPX-{_ANY}{{20,60}}|(?<=y)a29\.{_ANY}{{20,500}})",
    ),
    _kind("stripe", "sk_live_|sk_test_", r"\bsk_(?:live|test)_[A-Za-z0-9]{16,200}"),
    _kind("stripe", "pk_live_|pk_test_", r"\bpk_(?:live|test)_[A-Za-z0-9]{16,200}"),
    _kind("stripe", "rk_live_|rk_test_", r"\brk_(?:live|test)_[A-Za-z0-9]{16,200}"),
    _kind("stripe", "whsec_", r"\bwhsec_[A-Za-z0-9]{16,200}"),
    _kind(
        "gitlab",
        "gl(?:pat|ptt|dt|rt|soat|cbt|ft|imt|agent)-",
        rf"\bgl(?:pat|ptt|dt|rt|soat|cbt|ft|imt|agent)-{_ANY}{{16,100}}",
    ),
    _kind("npm", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    _kind("pypi", "pypi-AgE", rf"\bpypi-AgE{_ANY}{{30,500}}"),
    _kind("docker", "dckr_", rf"\bdckr_(?:pat|oat)_{_ANY}{{20,100}}"),
    _kind("huggingface", "hf_", r"\bhf_[A-Za-z0-9]{30,60}\b"),
    _kind("sendgrid", "SG\\.", rf"\bSG\.{_ANY}{{16,32}}\.{_ANY}{{30,60}}"),
    _kind("twilio", "SK[0-9a-f][0-9a-f][0-9a-f][0-9a-f]", r"\bSK[0-9a-f]{32}\b"),
    _kind("shopify", "shp(?:at|ca|pa|ss)_", r"\bshp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}\b"),
    _kind("digitalocean", "do[opr]_v1_", r"\bdo[opr]_v1_[a-f0-9]{40,80}\b"),
    _kind("atlassian", "ATATT3|ATCTT3", rf"\bAT[AC]TT3{_ANY}{{30,300}}=?[A-F0-9]{{0,8}}"),
    _kind("linear", "lin_(?:api|oauth)_", r"\blin_(?:api|oauth)_[A-Za-z0-9]{30,80}\b"),
    _kind("notion", "ntn_", r"\bntn_[A-Za-z0-9]{30,60}\b"),
    _kind("figma", "figd_", rf"\bfigd_{_ANY}{{30,80}}"),
    _kind("databricks", "dapi[0-9a-f]", r"\bdapi[0-9a-f]{32}(?:-\d{1,2})?\b"),
    _kind("vault", "hv[sbr]\\.", rf"\bhv[sbr]\.{_ANY}{{20,300}}"),
    _kind("terraform", "\\.atlasv1\\.", _begun("[A-Za-z0-9]") + rf"[A-Za-z0-9]{{13}}\.atlasv1\.{_ANY}{{40,100}}"),
    _kind("age", "AGE-SECRET-KEY-1", r"\bAGE-SECRET-KEY-1[0-9A-Z]{40,80}\b"),
    _kind("grafana", "gl(?:sa|c)_", r"\bgl(?:sa|c)_[A-Za-z0-9+/=_]{30,300}"),
    _kind("newrelic", "NRAK-", r"\bNRAK-[A-Z0-9]{20,40}\b"),
    _kind("sentry", "sntry[su]_", r"\bsntry[su]_[A-Za-z0-9+/=_]{30,400}"),
    _kind("pulumi", "pul-", r"\bpul-[a-f0-9]{40}\b"),
    _kind("postman", "PMAK-", r"\bPMAK-[a-f0-9]{20,40}-[a-f0-9]{30,40}\b"),
    _kind("rubygems", "rubygems_", r"\brubygems_[a-f0-9]{40,60}\b"),
    _kind("telegram", ":AA", _begun(r"\d") + rf"\d{{7,9}}:AA{_ANY}{{33}}(?!{_ANY})"),
    _kind("azure", "Key=", r"(?<=Key=)[A-Za-z0-9+/]{60,100}={0,2}"),
    _kind("groq", "gsk_", r"\bgsk_[A-Za-z0-9]{40,80}\b"),
    _kind("replicate", "r8_", r"\br8_[A-Za-z0-9]{30,60}\b"),
    _kind("xai", "xai-", r"\bxai-[A-Za-z0-9]{40,100}\b"),
    _kind("xai", "pplx-", r"\bpplx-[A-Za-z0-9]{40,100}\b"),
    _kind("langsmith", "lsv2_", r"\blsv2_(?:pt|sk)_[A-Za-z0-9_]{30,80}\b"),
    _kind("planetscale", "pscale_", rf"\bpscale_(?:tkn|oauth|pw)_{_ANY}{{30,80}}"),
    _kind("doppler", "dp\\.(?:pt|st|ct|sa)\\.", r"\bdp\.(?:pt|st|ct|sa)\.[A-Za-z0-9._\-]{30,80}"),
    _kind("supabase", "sb[pa]?_", r"\bsb(?:p|_secret)_[A-Za-z0-9_\-]{30,80}\b"),
    _kind("airtable", "pat[A-Za-z0-9]", r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b"),
    _kind(
        "square",
        "sq0|EAAA",
        _begun("[sE]") + rf"(?:(?<=s)q0[a-z]{{3}}-{_ANY}{{20,60}}|(?<=E)AAA[A-Za-z0-9+/=_\-]{{50,80}})",
    ),
    _kind("opsconsole", "ops_", r"\bops_[a-z0-9]{4,40}_[A-Za-z0-9_\-]{20,100}"),
    _kind(
        "jwt",
        "eyJ",
        _begun("eyJ", rf"(?<!{_ANY})") + rf"{_ANY}{{8,2000}}\.{_ANY}{{8,4000}}\.{_ANY}{{8,1000}}",
    ),
    _kind(
        "pem",
        "PRIVATE KEY",
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:"
        r"[^\-]{0,16384}(?:-{1,4}[^\-]{1,4096}){0,32}-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|[A-Za-z0-9+/=\s\\]{0,16384})",
    ),
    _kind(
        "card",
        _after("A-Za-z0-9.") + r"[2-6]\d\d\d[ -]?\d\d\d?\d?\d?[ -]?\d\d\d\d?\d?[ -]?\d",
        _begun("[2-6]", r"(?<![\w.\-])")
        + r"(?:\d{3}(?:[ \-]?\d{4}){2}[ \-]?\d{1,7}|(?<=3)[47]\d{2}[ \-]?\d{6}[ \-]?\d{5})(?![\w\-])",
        is_card,
    ),
    _kind(
        "iban",
        _after("A-Za-z0-9") + r"[A-Z][A-Z]\d\d ?[A-Z0-9][A-Z0-9][A-Z0-9][A-Z0-9] ?[A-Z0-9][A-Z0-9][A-Z0-9][A-Z0-9]",
        _begun("[A-Z]", "(?<![A-Za-z0-9])") + r"[A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])",
        is_iban,
    ),
)
"""Tried in this order; what is masked by one is not seen by the next."""
