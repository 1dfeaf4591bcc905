"""Masks secrets before values are stored, shown or sent; digests and verdicts are made from the unmasked."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any

from pydantic_core import SchemaValidator, core_schema

MASK_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("github", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{22,255})")),
    ("openai", re.compile(r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_\-]{20,200}")),
    ("aws", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("slack", re.compile(r"\bxox[abposr]-[A-Za-z0-9\-]{10,200}")),
    ("google", re.compile(r"\bAIza[A-Za-z0-9_\-]{35}")),
    ("stripe", re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,200}")),
    ("gitlab", re.compile(r"\bglpat-[A-Za-z0-9_\-]{20,100}")),
    ("npm", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("opsconsole", re.compile(r"\bops_[a-z0-9]{4,40}_[A-Za-z0-9_\-]{20,100}")),
    (
        "jwt",
        re.compile(r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,2000}\.[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]{8,1000}"),
    ),
    (
        "pem",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,16384}"
            r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
        ),
    ),
)
_AUTHORIZATION = re.compile(r"(?i)\b((?:bearer|basic)\s+)(?=[^\s\d=]{0,2000}[\d=])([A-Za-z0-9_\-.=+/~]{12,2000})")
"""A credential holds a digit or padding; `basic understanding` does not."""
_USERINFO = re.compile(r"([a-z][a-z0-9+.\-]{1,20}://[^\s/:@]{0,200}:)([^\s/@]{1,500})(@)")
_ASSIGNED = re.compile(
    r"(?i)(?!(?<=\[)secret:[a-z]{1,20}:[0-9a-f]{4}\])"
    r"((?:password|passwd|secret|token(?!s)|api[_\-]?key)[a-z_\-]{0,20}\s{0,3}[=:]\s{0,3})([^\s'\";&,]{6,500})"
)
"""`name=value` in running text, but for what already is a mask."""
_SECRET_KEY = re.compile(
    r"(?i)password|passwd|secret|token(?!s)|api[_\-]?key|authorization|cookie|private[_\-]?key|credential"
)
_HARMLESS_KEY = re.compile(r"(?i)(?:_count|_id|_type)\Z")
"""Keys that only sound secret: counts, ids and kinds."""
_HINT = SchemaValidator(
    core_schema.str_schema(
        pattern="(?i)gh[pousr]_|github_pat|sk-|AKIA|ASIA|xox|AIza|k_live_|k_test_|glpat-|npm_|ops_|eyJ|private|bearer"
        "|basic|passw|secret|token[^s]|api[_-]?key|authorization|cookie|credential|://[^\\s/@]*@"
    )
)
"""Every frame is looked over: this engine takes time linear in the text, a tenth of what `re` takes; a counted repeat
of any length would make it a hundred times slower."""
_ESCAPES = SchemaValidator(core_schema.str_schema(pattern=r"\\u00|\\/"))
"""Ways in which JSON may spell plain characters; nobody needs them, so they earn a closer look."""
_MASK = re.compile(r"\[secret:[a-z]{1,20}:[0-9a-f]{4}\]")
TAIL_CHARS = 4
PASSES_MAX = 8
"""Secrets written without a space between them uncover each other one by one."""

Masker = Callable[[str, str], str]


def masker(key: bytes) -> Masker:
    """`[secret:kind:tail]`: equal secrets stay comparable and nothing is revealed; the tail is an HMAC under `key`."""

    def mask(kind: str, secret: str) -> str:
        tail = hmac.new(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:TAIL_CHARS]
        return f"[secret:{kind}:{tail}]"

    return mask


def may_hold_secret(data: bytes) -> bool:
    """A cheap first look over encoded JSON: False means that `redact` would change nothing in it."""
    text = data.decode(errors="replace")
    return _HINT.isinstance_python(text) or _ESCAPES.isinstance_python(text)


def redact_text(text: str, mask: Masker) -> str:
    """`text` with secrets masked; masks in it stay as they are."""
    if not _HINT.isinstance_python(text if text.isascii() else text.encode(errors="replace").decode()):
        return text
    for _ in range(PASSES_MAX):
        before, text = text, _masked_once(text, mask)
        if text == before:
            break
    return text


def _masked_once(text: str, mask: Masker) -> str:
    for kind, pattern in MASK_KINDS:
        text = pattern.sub(_replacer(kind, mask), text)
    text = _USERINFO.sub(lambda match: _keep_masked(match[1], "url", match[2], mask) + match[3], text)
    text = _AUTHORIZATION.sub(lambda match: _keep_masked(match[1], "authorization", match[2], mask), text)
    return _ASSIGNED.sub(lambda match: _keep_masked(match[1], "value", match[2], mask), text)


def redact(value: Any, mask: Masker) -> tuple[Any, bool]:
    """A JSON value with secrets masked, and whether anything was."""
    masked = _redact(value, mask)
    return masked, masked != value


def _redact(value: Any, mask: Masker) -> Any:
    if isinstance(value, str):
        return redact_text(value, mask)
    if isinstance(value, dict):
        return {key: _redact_item(key, item, mask) for key, item in value.items()}
    if isinstance(value, list):
        return [_redact(item, mask) for item in value]
    return value


def _redact_item(key: str, item: Any, mask: Masker) -> Any:
    if isinstance(item, str) and item and _SECRET_KEY.search(key) and not _HARMLESS_KEY.search(key):
        return _keep_masked("", "value", item, mask)
    return _redact(item, mask)


def _replacer(kind: str, mask: Masker) -> Callable[[re.Match[str]], str]:
    return lambda match: mask(kind, match.group())


def _keep_masked(before: str, kind: str, secret: str, mask: Masker) -> str:
    return before + (secret if _MASK.fullmatch(secret) else mask(kind, secret))
