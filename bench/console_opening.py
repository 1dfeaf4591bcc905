"""How long it takes to open things on a console under load: an approval, a run of ten thousand events, dialogs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.terminal import Terminal

REST_SECONDS = 0.4
"""Between two keys: closer ones are taken for typing."""
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Opening:
    """A key that opens something, what shows that it was painted, and the keys that lead back to the runs."""

    what: str
    key: str
    painted: re.Pattern[bytes]
    back: tuple[str, ...]


OPENINGS = (
    Opening("an approval", "2", re.compile(rb"ARGUMENTS"), ("1",)),
    Opening("a run of 10,000 events", "\r", re.compile(rb"http_get"), ("1",)),
    Opening("another run", "\r", re.compile(rb"http_get"), ("1", "j")),  # another one every time
    Opening("the palette", ":", re.compile(rb"hat to do"), ("\x1b",)),
    Opening("the question of kill all", "X", re.compile(rb"WOULD STOP"), ("\x1b",)),
    Opening("help", "?", re.compile(rb"most urgent first"), ("\x1b",)),
)


def opened(shown: Terminal, opening: Opening, count: int) -> list[float]:
    """Milliseconds from the key until it was painted, each time."""
    samples = []
    for _ in range(count):
        shown.rest(REST_SECONDS)
        pressed = shown.press(opening.key)
        try:
            samples.append(1_000 * shown.seconds_until(opening.painted, pressed, PATIENCE_SECONDS))
        except TimeoutError:  # a machine that stood still between two keys has made one of them: the worst that can be
            samples.append(1_000 * PATIENCE_SECONDS)
        for key in opening.back:
            shown.rest(REST_SECONDS)
            shown.press(key)
    return samples
