"""What operators answered in the model's place where the provider remembers a conversation: it has not heard of it.

A later request that continues from such an answer names an id that means nothing upstream. It is sent on as one that
continues from the last answer that upstream does know, with everything since then in its input. Of a conversation kept
at the provider the same is said once more, before what comes next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.gateway.dialect.interface import Request
from opsconsole.gateway.dialect.json_text import listed, mapping, read_object, text, written
from opsconsole.gateway.dialect.responses_request import NAME, items_of

ANSWERS_MAX = 256
"""Of one run; beyond it the oldest is forgotten, and who continues from it hears upstream's error."""
BYTES_MAX = 8_388_608
"""Of all of them."""

Items = Sequence[Mapping[str, Any]]


class Unheard:
    """What one run's provider has not heard."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, tuple[str | None, bytes]] = OrderedDict()
        """An answer's id, or `conversation ` and a conversation's -> the last answer that upstream knows, and all
        since."""
        self._bytes = 0

    def __bool__(self) -> bool:
        """Whether there is anything that some provider has not heard."""
        return bool(self._said)

    def composed(self, request: Request, id: str, items: Items) -> None:
        """An operator answered `request`, as it would have gone upstream, with these items under this id."""
        if request.dialect != NAME:
            return
        said = written([*items_of(request.body), *({**item, "id": None} for item in items)])
        conversation = _conversation(request)
        self._forget(conversation or id)
        self._said[conversation or id] = (request.previous, said)
        self._bytes += len(said)
        while self._said and (len(self._said) > ANSWERS_MAX or self._bytes > BYTES_MAX):
            self._forget(next(iter(self._said)))

    def told(self, request: Request, given: Any) -> dict[str, Any]:
        """What a request has to say instead, whose input is `given`; nothing, where upstream knows what it is about."""
        if not self._said or request.dialect != NAME:
            return {}
        found = self._said.get(_conversation(request) or request.previous or "")
        if found is None:
            return {}
        previous, said = found
        before = listed(read_object(b'{"items":%b}' % said, "items of a history").get("items"))
        told: dict[str, Any] = {"input": [*map(_without_id, before), *items_of({"input": given})]}
        return told if _conversation(request) else {**told, "previous_response_id": previous}

    def heard(self, request: Request) -> None:
        """Upstream has answered a request: what it was told stands in its conversation now."""
        if self._said and (conversation := _conversation(request)):
            self._forget(conversation)

    def _forget(self, key: str) -> None:
        _, said = self._said.pop(key, (None, b""))
        self._bytes -= len(said)


def _conversation(request: Request) -> str:
    given = request.body.get("conversation")
    id = text(mapping(given).get("id")) or text(given)
    return f"conversation {id}" if id else ""


def _without_id(item: Any) -> Any:
    """Upstream has given no such id."""
    return {key: value for key, value in mapping(item).items() if key != "id" or value is not None}
