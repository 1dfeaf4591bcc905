"""The fact `email`: to whom a message would go and who of them is outside; nothing is sent or looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opsconsole.policy.facts.domains import belongs, domains_setting, plain_name
from opsconsole.policy.facts.given import argument_names, given
from opsconsole.policy.facts.interface import FactMaker, FactValue, History

ADDRESSES_MAX = 200

FIELDS: Mapping[str, type] = MappingProxyType({"addresses": list, "external": list, "unclear": bool, "why": str})
"""Addresses in lower case, `external` those outside of the own domains. With `unclear` some address is not plain: the
others are still told. `why` is the first reason for that."""

_LOCAL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9_+-])?")
"""What people and systems use; `%`, `!`, quotes and comments route mail elsewhere."""
_SEPARATORS = re.compile(r"[,;]")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailFact:
    """Judges the addresses in some arguments against the team's own domains."""

    args: tuple[str, ...]
    own_domains: frozenset[str]

    @property
    def fields(self) -> Mapping[str, type]:
        """What a call gives."""
        return FIELDS

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """The addresses of one call."""
        found = given(args, self.args)
        why = found.doubt
        domains: dict[str, str] = {}
        for text in found.texts:
            for part in _SEPARATORS.split(text):
                address = plain_address(part)
                if address is None:
                    why = why or "an address that is not plain: name@domain and nothing else"
                elif len(domains) >= ADDRESSES_MAX:
                    why = why or f"more than {ADDRESSES_MAX} addresses"
                else:
                    domains[address] = address.rpartition("@")[2]
        return {
            "addresses": list(domains),
            "external": [each for each, domain in domains.items() if not belongs(domain, self.own_domains)],
            "unclear": bool(why),
            "why": why,
        }


def plain_address(text: str) -> str | None:
    """The address in lower case; None if there is a display name, a quote, a comment, a control character or more."""
    local, at, domain = text.strip(" ").rpartition("@")
    name = plain_name(domain)
    if not at or name is None or "." not in name or _LOCAL.fullmatch(local) is None or ".." in local:
        return None
    return f"{local.lower()}@{name}"


def _make(config: Mapping[str, Any]) -> EmailFact:
    return EmailFact(args=argument_names(config), own_domains=domains_setting(config, "own_domains"))


EMAIL = FactMaker(fields=FIELDS, settings=frozenset({"arg", "args", "own_domains"}), files=frozenset(), make=_make)
"""`email = { tool, args = ["to", "cc", "bcc"], own_domains = ["acme.example"] }`; a domain includes those below."""
