"""Adaptive throttling: the more a provider refuses, the more of the requests are refused here, at once and for nothing.

p = max(0, (requests - K * accepted) / (requests + 1)), over two minutes (Site Reliability Engineering, chapter 21).
"""

from __future__ import annotations

from opsconsole.gateway.flow.windows import Window

WINDOW_SECONDS = 120.0
ACCEPTED_FACTOR = 2.0
"""How many times more than the provider accepts may be asked before anything is refused here."""
REQUESTS_MIN = 10.0
"""Fewer tell nothing."""
REFUSED = frozenset({429, 500, 502, 503, 504, 529})
"""Answers that say: too much. No answer at all (0) says so, too."""


class Throttle:
    """One provider's."""

    def __init__(self) -> None:
        self._requests = Window(WINDOW_SECONDS)
        self._accepted = Window(WINDOW_SECONDS)

    def refused(self, now: float) -> None:
        """One was refused here."""
        self._requests.add(1.0, now)

    def answered(self, status: int, now: float) -> None:
        """What came of one that was let out; those on their way, which may take minutes, do not count."""
        self._requests.add(1.0, now)
        if status and status not in REFUSED:
            self._accepted.add(1.0, now)

    def refusal_share(self, now: float) -> float:
        """The chance with which the next is to be refused here."""
        requests, accepted = self._requests.total(now), self._accepted.total(now)
        if requests < REQUESTS_MIN:
            return 0.0
        return max(0.0, (requests - ACCEPTED_FACTOR * accepted) / (requests + 1.0))
