"""Names of hosts and mail domains: which are plain enough to be compared, and which belong to a listed domain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from opsconsole.policy.facts.interface import FactConfigError, texts_setting

NAME_CHARS_MAX = 253
_LABEL = r"(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,20}}")
_LAST_OF_NUMBER = re.compile(r"(?:\A|\.)(?:\d+|0x[0-9a-f]*)\Z")
"""A host whose last label is a number is an address to browsers, in one of its many spellings."""


def plain_name(text: str) -> str | None:
    """The name in lower case; None if it is not ASCII, is an IP address in any form or is `xn--` encoded."""
    name = text.lower()
    if not text.isascii() or len(name) > NAME_CHARS_MAX:
        return None
    if _NAME.fullmatch(name) is None or _LAST_OF_NUMBER.search(name) is not None:
        return None
    return name


def belongs(name: str, domains: Iterable[str]) -> bool:
    """Whether a plain name is one of the domains or ends in one after a dot."""
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


def domains_setting(config: Mapping[str, Any], setting: str) -> frozenset[str]:
    """A setting that lists domains.

    Raises:
        FactConfigError: one of them is no plain name.
    """
    plain = [(text, plain_name(text)) for text in texts_setting(config, setting)]
    if wrong := [text for text, name in plain if name is None]:
        raise FactConfigError(setting, f"{wrong[0]!r} is no plain domain name; write it as acme.example")
    return frozenset(name for _, name in plain if name is not None)
