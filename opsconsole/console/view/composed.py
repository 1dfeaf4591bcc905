"""A model's answer composed by an operator: a tool call as text to edit, and back; it sends nothing."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.console.view.edit_text import BadDraft, to_args, to_text
from opsconsole.console.view.offers import Checker, Offer, as_object, offers
from opsconsole.domain.text import safe_line
from opsconsole.protocol.frames import ProposedCall
from opsconsole.protocol.limits import TEXT_BYTES_MAX

NUMBER_CHARS_MAX = 6
"""A number of a tool; nobody is offered a million."""
_STARTS: dict[str, Any] = {"integer": 0, "number": 0, "boolean": False, "array": [], "object": {}, "null": None}


def template(args: dict[str, Any], name: str | None = None) -> str:
    """A draft of a call of a tool that a model call offers (the first, unless named), with a key for each parameter.

    A tool that is offered by its bare name is drafted without any: nothing is known of them.
    """
    offered = offers(args)
    offer = next((one for one in offered if name in (None, one.name)), None)
    properties = as_object(offer.schema.get("properties")) if offer else {}
    starts = {parameter: _start(as_object(about)) for parameter, about in properties.items()}
    return to_text({"name": offer.name if offer else "", "args": starts})


def _start(parameter: dict[str, Any]) -> Any:
    """What a parameter is drafted with: its default, its first choice, or the plainest value of its type."""
    kind, choices = parameter.get("type"), parameter.get("enum")
    plain = _STARTS.get(kind, "") if isinstance(kind, str) else ""
    return parameter.get("default", choices[0] if isinstance(choices, list) and choices else plain)


def chosen(offered: list[Offer], typed: str) -> Offer | None:
    """The tool that was meant: by its name, by its number (from 1), or by the beginning of one name alone."""
    word = typed.strip()
    if word.isdecimal() and len(word) <= NUMBER_CHARS_MAX and 1 <= int(word) <= len(offered):
        return offered[int(word) - 1]
    exact = [offer for offer in offered if offer.name == word]
    begun = [offer for offer in offered if word and offer.name.startswith(word)]
    return exact[0] if exact else begun[0] if len(begun) == 1 else None


def to_call(text: str, *, call_id: str, checker: Checker | None = None) -> ProposedCall:
    """The call that was typed as {"name": …, "args": {…}}, if the checker has nothing against it. Raises: BadDraft."""
    value = to_args(text)
    name, args = value.get("name"), value.get("args", {})
    if not isinstance(name, str) or not name or len(name) > 200:
        raise BadDraft('"name" is the name of a tool')
    if not isinstance(args, dict):
        raise BadDraft('"args" is one JSON object: { … }')
    if unknown := sorted(value.keys() - {"name", "args"}):
        raise BadDraft(f"only name and args are meant here, not {json.dumps(unknown[0])}")
    if checker is not None and (problem := checker.problem(name, args)):
        raise BadDraft(safe_line(problem))
    return ProposedCall(id=call_id, name=name, args=args)


def to_words(text: str) -> str:
    """The text that was typed. Raises: BadDraft when it is empty or too long."""
    if not text.strip():
        raise BadDraft("there is no text yet")
    if len(text) > TEXT_BYTES_MAX:
        raise BadDraft(f"{len(text):,} characters; at most {TEXT_BYTES_MAX:,}")
    return text
