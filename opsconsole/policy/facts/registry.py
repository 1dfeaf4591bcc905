"""The kinds of facts that a policy file may ask for, by the name under which its rules read them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from opsconsole.policy.facts import email, grounding, path, schema, shell, sql, url
from opsconsole.policy.facts.interface import FactMaker

FACTS: Mapping[str, FactMaker] = MappingProxyType(
    {
        "sql": sql.SQL,
        "shell": shell.MAKER,
        "schema": schema.SCHEMA,
        "grounding": grounding.GROUNDING,
        "url": url.URL,
        "email": email.EMAIL,
        "path": path.PATH,
    }
)
