"""What the path of a request means: its provider, its endpoint, its run; it knows no header, body or answer."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.gateway.attribution import Route, route
from opsconsole.gateway.coverage import Endpoint, Uncovered, covered
from opsconsole.gateway.providers import PROVIDERS, Provider

KEPT_MAX = 2_000
KEPT_CHARS_MAX = 300
"""Of a path that is remembered; clients write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a request goes."""

    route: Route
    provider: Provider
    endpoint: Endpoint | Uncovered


class Destinations:
    """Agents ask for the same few paths again and again: what one means is worked out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Destination] = {}

    def find(self, method: str, path: str) -> Destination | None:
        """Where it goes; None for a path that is no provider's."""
        known = self._known.get((method, path))
        if known is not None:
            return known
        found = route(path)
        if found is None or found.provider not in PROVIDERS:
            return None
        provider = PROVIDERS[found.provider]
        made = Destination(route=found, provider=provider, endpoint=covered(provider.name, method, found.rest))
        if len(path) <= KEPT_CHARS_MAX:
            if len(self._known) >= KEPT_MAX:
                self._known.clear()
            self._known[method, path] = made
        return made
