"""Fuzz target: the facts on URLs, addresses, paths, identifiers and schemas are total and allow nothing unclear."""

from __future__ import annotations

import json

from opsconsole.policy.facts.email import EMAIL
from opsconsole.policy.facts.grounding import GROUNDING
from opsconsole.policy.facts.interface import FactConfigError
from opsconsole.policy.facts.memory import Memory
from opsconsole.policy.facts.path import PATH
from opsconsole.policy.facts.schema import SCHEMA
from opsconsole.policy.facts.url import URL

FETCH = URL({"arg": "a", "allow": ["acme.example"]})
MAIL = EMAIL({"arg": "a", "own_domains": ["acme.example"]})
READ = PATH({"arg": "a", "workspace": "/srv/work"})
KNOWN = GROUNDING({})
SEEDS = [
    b"https://user@docs.acme.example:80/a?b#c",
    b"ana@acme.example, x@evil.test",
    b"a/%2e%2e/../.ssh/id_rsa",
    b"credit_card_4421486",
    b'{"type": "object", "properties": {"a": {"$ref": "#", "pattern": "^a+$"}}, "$defs": {"b": {"allOf": [{}]}}}',
]


def fuzz_one(data: bytes) -> None:
    """The same text as an argument, as what the run has shown, and as a schema."""
    text = data.decode(errors="surrogateescape")
    memory = Memory()
    memory.hear(text)
    history = memory.history
    fetched = FETCH({"a": text}, history)
    assert not (fetched["allowed"] and (fetched["unclear"] or fetched["outside"]))
    mailed = MAIL({"a": [text]}, history)
    assert mailed["unclear"] or mailed["addresses"]
    read = READ({"a": text}, history)
    assert read["unclear"] or read["leaves_workspace"] or str(read["paths"]).startswith("['/srv/work")
    assert KNOWN({"a_id": text}, history)["ungrounded"] == []
    _as_schema(text)


def _as_schema(text: str) -> None:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        return
    try:
        fact = SCHEMA({"schema": schema})
    except FactConfigError:
        return
    fact({"a": schema, "b": [schema]}, Memory().history)
