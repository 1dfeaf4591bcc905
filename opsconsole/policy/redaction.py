"""Masks secrets before values are stored, shown or sent; digests and verdicts are made from the unmasked."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic_core import SchemaValidator, core_schema

from opsconsole.policy.redaction_kinds import KINDS, Kind

_WORD = r"(?:passw(?:or)?d|passphrase|secret|token(?!s)|api[_\-]?key)"
_ANY_WORD = rf"(?:{_WORD}|authorization|cookie|private[_\-]?key|credential)"
"""Words that only a key, or a name before a quoted value, means as such: prose has cookies too."""
_REST = r"(?![a-z0-9_\-]{0,20}_(?:count|id|type)\b)[a-z0-9_\-]{0,20}"
_IS = r"""\\{0,7}["']?\s{0,3}[=:]{1,2}>?\s{0,3}"""
_OPTION = rf"--(?:[a-z0-9]{{1,20}}[_\-]){{0,3}}{_WORD}{_REST}"
_NO_MASK = r"(?!(?<=\[)secret:[a-z]{1,20}:[0-9a-f]{4}\])"
_QUOTED = r"""(?:"((?:[^"\\\n]|\\.){1,2000})|'((?:[^'\\\n]|\\.){1,2000})|\\{1,7}["']([^"'\\\n]{1,2000}))"""
"""A value in quotes up to its end; in quotes that are themselves escaped, up to the next of any kind."""
_BARE = r"""(?:(-?\d{6,40})(?=[,}\]])|([^\s'";&,]{6,500}))"""
_GIVEN = rf"{_OPTION}\s{{1,3}}(?!-)"
_ASSIGNED = tuple(
    re.compile(rf"(?ai){_NO_MASK}{pattern}")
    for pattern in (rf"(?:{_ANY_WORD}{_REST}{_IS}|{_GIVEN}){_QUOTED}", rf"(?:{_WORD}{_REST}{_IS}|{_GIVEN}){_BARE}")
)
"""`name=value` and `--name value` in running text, but for what already is a mask; the last group is the value."""
_ASSIGNED_BEGINS = (
    *("passw", "passphrase", "secret", "token", "api", "authorization", "cookie", "private", "credential"),
    "--",
)
"""What each of them begins with, in lower case."""
_AUTHORIZATION = re.compile(
    r"(?ai)(?:\b|(?<=\\[nrtbf]))((?:bearer|basic)\s{1,20})(?=[^\s\d=]{0,2000}[\d=])([A-Z0-9_\-.=+/~]{12,2000})"
)
"""A credential holds a digit or padding; `basic understanding` does not."""
_AUTHORIZATION_BEGINS = ("bearer", "basic")
_SCHEME_CHARS_MAX = 21
_SCHEME = re.compile(rf"[a-z][a-z0-9+.\-]{{1,{_SCHEME_CHARS_MAX - 1}}}\Z")
_USERINFO = re.compile(rf"([a-z][a-z0-9+.\-]{{1,{_SCHEME_CHARS_MAX - 1}}}://[^\s/:@]{{0,200}}:)([^\s/@]{{1,500}})(@)")
_SECRET_KEY = re.compile(rf"(?ai){_ANY_WORD}")
_HARMLESS_KEY = re.compile(r"(?ai)(?:_count|_id|_type)\Z")
"""Keys that only sound secret: counts, ids and kinds."""
_SECRET_OPTION = re.compile(rf"(?ai){_OPTION}\Z")
NUMBER_MIN = 1_000
"""Smaller numbers under a secret key are counts."""
_HINT = SchemaValidator(
    core_schema.str_schema(
        pattern="|".join(dict.fromkeys(kind.hint for kind in KINDS))
        + "|(?i)private|bearer|basic|passw|passphrase|secret|token(?-i:[^sS])|api[_-]?key|authorization|cookie|credential|://[^\\s/@]*@"
    )
)
"""Every frame is looked over: this engine takes time linear in the text, a tenth of what `re` takes; a counted repeat
of any length would make it a hundred times slower."""
_ASSIGNED_HINT = SchemaValidator(
    core_schema.str_schema(
        pattern=r"(?i)(?:passw|passphrase|secret|token|api[_-]?key|authorization|cookie|private[_-]?key|credential)"
        r"""[a-z0-9_-]*\\*["']?\s*[=:]|--"""
    )
)
"""Wider than what it stands before: prose has tokens, and only `re` can look around a name."""
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
        tail = hmac.digest(key, secret.encode("utf-8", "surrogatepass"), "sha256").hex()[:TAIL_CHARS]
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
    plain = text if text.isascii() else text.encode(errors="replace").decode()
    for kind in KINDS:
        if kind.first_look.isinstance_python(plain):
            text = kind.pattern.sub(_replacer(kind, mask), text)
    text = _replaced(_USERINFO, _schemes(text), text, lambda match: _masked_password(match, mask))
    text = _replaced(
        _AUTHORIZATION, _begins(_AUTHORIZATION_BEGINS, text), text, lambda match: _masked_token(match, mask)
    )
    for pattern in _ASSIGNED if _ASSIGNED_HINT.isinstance_python(plain) else ():
        text = _replaced(pattern, _begins(_ASSIGNED_BEGINS, text), text, lambda match: _masked_value(match, mask))
    return text


def _replaced(
    pattern: re.Pattern[str], starts: Iterable[int], text: str, replace: Callable[[re.Match[str]], str]
) -> str:
    """As `pattern.sub`, where it can match at `starts` only, which rise: `re` itself would try every character."""
    pieces: list[str] = []
    end = 0
    for start in starts:
        if start >= end and (found := pattern.match(text, start)):
            pieces += (text[end:start], replace(found))
            end = found.end()
    return "".join((*pieces, text[end:])) if pieces else text


def _begins(words: Iterable[str], text: str) -> list[int]:
    """Where one of the words stands, whatever its case."""
    lowered = (text if text.isascii() else text.encode("ascii", "replace").decode()).lower()
    return sorted(start for word in words for start in _places(word, lowered))


def _places(word: str, text: str) -> Iterator[int]:
    start = text.find(word)
    while start >= 0:
        yield start
        start = text.find(word, start + 1)


def _schemes(text: str) -> Iterator[int]:
    """Where the schemes of URLs begin."""
    for sign in _places("://", text):
        if found := _SCHEME.search(text, max(0, sign - _SCHEME_CHARS_MAX), sign):
            yield found.start()


def redact(value: Any, mask: Masker) -> tuple[Any, bool]:
    """A JSON value with secrets masked, and whether anything was."""
    masked = _redact(value, mask)
    return masked, masked != value


def redact_item(key: str, value: Any, mask: Masker) -> Any:
    """What stands under `key`, with secrets masked."""
    return _redact(value, mask, _names_secret(key))


def _redact(value: Any, mask: Masker, is_secret: bool = False) -> Any:
    if isinstance(value, str):
        return _keep_masked("", "value", value, mask) if is_secret and value else redact_text(value, mask)
    if isinstance(value, dict):
        return _redact_items(value, mask, is_secret)
    if isinstance(value, list):
        befores = [None, *value]
        pairs = zip(befores, value, strict=False)
        return [_redact(item, mask, is_secret or _is_given(before, item)) for before, item in pairs]
    if is_secret and type(value) is int and abs(value) >= NUMBER_MIN:
        return mask("value", hex(value))  # the decimal digits of a large number take quadratic time
    return value


def _redact_items(items: dict[str, Any], mask: Masker, is_secret: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in items.items():
        name = redact_text(key, mask)
        value = _redact(item, mask, is_secret or _names_secret(name))
        found[name if name not in found else f"{name} #{len(found)}"] = value
    return found


def _names_secret(key: str) -> bool:
    return _SECRET_KEY.search(_MASK.sub("", key)) is not None and _HARMLESS_KEY.search(key) is None


def _is_given(before: Any, item: Any) -> bool:
    """Whether an item of an argument list is the value of the option before it."""
    has_option = isinstance(before, str) and _SECRET_OPTION.match(before) is not None
    return has_option and isinstance(item, str) and not item.startswith("-")


def _replacer(kind: Kind, mask: Masker) -> Callable[[re.Match[str]], str]:
    if kind.is_one is None:
        return lambda match: mask(kind.name, match.group())
    is_one = kind.is_one
    return lambda match: mask(kind.name, match.group()) if is_one(match.group()) else match.group()


def _masked_password(match: re.Match[str], mask: Masker) -> str:
    return _keep_masked(match[1], "url", match[2], mask) + match[3]


def _masked_token(match: re.Match[str], mask: Masker) -> str:
    return _keep_masked(match[1], "authorization", match[2], mask)


def _masked_value(match: re.Match[str], mask: Masker) -> str:
    secret = match[match.lastindex or 0]
    return _keep_masked(match.group().removesuffix(secret), "value", secret, mask)


def _keep_masked(before: str, kind: str, secret: str, mask: Masker) -> str:
    return before + (secret if _MASK.fullmatch(secret) else mask(kind, secret))
