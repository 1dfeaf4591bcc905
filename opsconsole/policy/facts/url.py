"""The fact `url`: to which hosts a call would go and which are not on the list; nothing is resolved or fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opsconsole.policy.facts.domains import belongs, domains_setting, plain_name
from opsconsole.policy.facts.given import argument_names, given
from opsconsole.policy.facts.interface import FactMaker, FactValue, History, texts_setting

FIELDS: Mapping[str, type] = MappingProxyType(
    {"hosts": list, "outside": list, "allowed": bool, "unclear": bool, "why": str}
)
"""`allowed` is true only if every URL was understood and leads to a listed host. With `unclear` some URL is not plain:
the hosts of the others are still told. `why` is the first reason for that."""

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20})://(?P<host>[^/?#:@\\\[\]]{1,260})(?::(?P<port>\d{1,5}))?(?:[/?#].*)?"
)
_VISIBLE = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlFact:
    """Judges the URLs in some arguments against a list of domains."""

    args: tuple[str, ...]
    allow: frozenset[str]
    schemes: frozenset[str]

    @property
    def fields(self) -> Mapping[str, type]:
        """What a call gives."""
        return FIELDS

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """The hosts of one call."""
        found = given(args, self.args)
        why = found.doubt
        hosts: dict[str, None] = {}
        for text in found.texts:
            host, doubt = self.host_of(text)
            why = why or doubt
            if host is not None:
                hosts[host] = None
        outside = [host for host in hosts if not belongs(host, self.allow)]
        return {
            "hosts": list(hosts),
            "outside": outside,
            "allowed": not why and not outside,
            "unclear": bool(why),
            "why": why,
        }

    def host_of(self, text: str) -> tuple[str | None, str]:
        """The host of a URL, or None and why it is not plain."""
        match = _URL.fullmatch(text)
        if _VISIBLE.fullmatch(text) is None or "\\" in text:
            return None, "spaces, control characters, backslashes or letters beyond ASCII"
        if match is None:
            return None, "not a plain URL with a host and without user name"
        if match["scheme"].lower() not in self.schemes:
            return None, f"the scheme {match['scheme']}"
        host = plain_name(match["host"])
        if host is None:
            return None, "the host is an address, encoded, or no plain name"
        if "." not in host and host not in self.allow:
            return host, "a host name without a domain"
        return host, ""


def _make(config: Mapping[str, Any]) -> UrlFact:
    schemes = frozenset(each.lower() for each in texts_setting(config, "schemes", ("https", "http")))
    return UrlFact(args=argument_names(config), allow=domains_setting(config, "allow"), schemes=schemes)


URL = FactMaker(fields=FIELDS, settings=frozenset({"arg", "args", "allow", "schemes"}), files=frozenset(), make=_make)
"""`url = { tool, arg = "url", allow = ["acme.example"], schemes = ["https"] }`; a domain allows what is below it."""
