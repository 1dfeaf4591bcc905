"""Reads the texts that a fact is to judge out of a call's arguments; it judges none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.policy.facts.interface import FactConfigError, text_setting, texts_setting

TEXTS_MAX = 200
"""Addresses, paths or URLs of one call."""
TEXT_CHARS_MAX = 8_000
"""Of one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The texts of some arguments; `doubt` says why they are not all there is."""

    texts: tuple[str, ...] = ()
    doubt: str = ""


def given(args: Mapping[str, Any], names: tuple[str, ...]) -> Given:
    """The strings in the named arguments, each a string or a list of strings; absent and null ones are left out."""
    texts: list[str] = []
    for name in names:
        value = args.get(name)
        if value is None:
            continue
        values = value if isinstance(value, list | tuple) else [value]
        if len(texts) + len(values) > TEXTS_MAX:
            return Given(texts=tuple(texts), doubt=f"more than {TEXTS_MAX} values")
        for each in values:
            if not isinstance(each, str):
                return Given(texts=tuple(texts), doubt=f"{name} holds something other than text")
            if len(each) > TEXT_CHARS_MAX:
                return Given(texts=tuple(texts), doubt=f"{name} is longer than {TEXT_CHARS_MAX:,} characters")
            texts.append(each)
    return Given(texts=tuple(texts), doubt="" if texts else "nothing is given")


def argument_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The arguments that a fact looks at: `arg` for one, `args` for several.

    Raises:
        FactConfigError: neither or both are set, or of the wrong type.
    """
    if ("arg" in config) == ("args" in config):
        raise FactConfigError("arg", "set either arg, a name, or args, a list of names")
    names = (text_setting(config, "arg"),) if "arg" in config else texts_setting(config, "args")
    if not names:
        raise FactConfigError("args", "name at least one argument")
    return names
