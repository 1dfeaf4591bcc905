"""How what stands in a file, a variable or a flag is read as a value; each reader raises ValueError or TypeError."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
DEFAULT_PORTS = {"http": 80, "https": 443}
_TRUTHS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_UNLIMITED = frozenset({"unlimited", "none"})


def text(value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("not a text")
    return value.strip()


def token(value: Any) -> str:
    """One line of printable ASCII without spaces."""
    found = text(value)
    if not (found.isascii() and found.isprintable()) or " " in found:
        raise ValueError("not a token")
    return found


def path(value: Any) -> Path:
    """A path, made absolute."""
    return Path(text(value)).expanduser().absolute()


def boolean(value: Any) -> bool:
    """A truth value, or a word for one."""
    if isinstance(value, bool):
        return value
    word = text(value).lower()
    if word not in _TRUTHS:
        raise ValueError("not a truth value")
    return _TRUTHS[word]


def number(value: Any) -> float:
    """A finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number")
    if not 0 <= (found := float(value)) < math.inf:
        raise ValueError("not a number of at least 0")
    return found


def whole(value: Any) -> int:
    """A whole number of at least 0."""
    found = int(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise ValueError("not a whole number of at least 0")
    return found


def between(low: int, high: int) -> Callable[[Any], int]:
    """Whole numbers from `low` to `high`."""

    def parse(value: Any) -> int:
        if not low <= (found := whole(value)) <= high:
            raise ValueError("out of range")
        return found

    return parse


def positive(value: Any) -> float:
    """A finite number above 0."""
    if (found := number(value)) <= 0:
        raise ValueError("not above 0")
    return found


def limit(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What `parse` reads, or a word for no limit, which is None."""
    return lambda value: None if isinstance(value, str) and value.lower() in _UNLIMITED else parse(value)


def texts(separator: str | None, *, fits: str = "") -> Callable[[Any], tuple[str, ...]]:
    """Lists of texts that hold `fits`; in one text they stand between separators (None: white space)."""

    def parse(value: Any) -> tuple[str, ...]:
        found = value.split(separator) if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(one, str) and fits in one for one in found):
            raise ValueError("not a list of texts")
        return tuple(one.strip() for one in found if one.strip())

    return parse


def pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """A table of texts, or one text such as `a=b c=d`."""
    found = dict(part.split("=", 1) for part in value.split()) if isinstance(value, str) else dict(value)
    return tuple((text(name), text(key)) for name, key in found.items())


def one_of(*words: str) -> Callable[[Any], str]:
    """One of these words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError("not one of them")
        return str(value)

    return parse


def hub_url(value: Any) -> str:
    """A hub's address as `http[s]://host[:port][/path]`; ws and wss are accepted too. Raises: ValueError."""
    written = text(value)
    parts: SplitResult = urlsplit(written if "://" in written else f"http://{written}")
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("not a hub's address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    place = host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    return f"{scheme}://{place}{parts.path.rstrip('/')}"
