"""Ping-pong: agents that say the same again and again, or hand the work back and forth; shown, never stopped for."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar
from zlib import crc32

from opsconsole.policy.detectors.bounded import kept, put
from opsconsole.policy.detectors.finding import NOTHING, Finding, Severity
from opsconsole.policy.detectors.observation import CallEnded, Handoff, Message, Seen
from opsconsole.policy.file.settings import PingPongSettings

GRAM_WORDS = 4
GRAM = "I"
"""Its type in an array: 32 bits."""
WORDS_MAX = 120
"""Of a message that are compared: two that begin with so many words alike are alike."""
SPEAKERS_MAX = 32
OUTCOMES_MAX = 200
"""Outcomes remembered, by which a new one is known."""


class PingPong:
    """One run's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (Message, Handoff, CallEnded)

    def __init__(self, settings: PingPongSettings) -> None:
        self.settings = settings
        self._said: dict[str, deque[array[int]]] = {}
        """Speaker -> the grams of its last messages, each in one piece: a thousand runs' are read in turn."""
        self._handoffs: deque[tuple[str, str]] = deque()
        """Since the last new outcome of a tool."""
        self._outcomes: dict[int, None] = {}

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at messages and handoffs; a new outcome of a tool is progress."""
        if isinstance(seen, Message):
            return self._message(seen)
        if isinstance(seen, Handoff):
            return self._handoff(seen)
        if isinstance(seen, CallEnded) and seen.outcome.digest not in self._outcomes:
            put(self._outcomes, seen.outcome.digest, None, OUTCOMES_MAX)
            self._handoffs.clear()
        return NOTHING

    def _message(self, seen: Message) -> Sequence[Finding]:
        grams = grams_of(seen.text)
        if not grams:
            return NOTHING
        said = kept(self._said, seen.speaker, deque, SPEAKERS_MAX)
        similarity = self.settings.similarity
        missing = (1 - similarity) / similarity  # of the other's grams at most, where the two are alike
        alike = 1
        for other in said:
            if not grams.isdisjoint(other[: int(missing * len(other)) + 1]) and _are_alike(grams, other, similarity):
                alike += 1
        said.append(array(GRAM, grams))
        while len(said) >= self.settings.window:
            said.popleft()
        if alike < self.settings.minimum:
            return NOTHING
        text = f"{seen.speaker} said nearly the same {alike} times in its last {len(said) + 1} messages"
        evidence = {"rule": "messages", "speaker": seen.speaker, "times": alike}
        return self._found(seen, text, f"said:{seen.speaker}", evidence)

    def _handoff(self, seen: Handoff) -> Sequence[Finding]:
        self._handoffs.append((seen.source, seen.target))
        needed = 2 * self.settings.cycles
        while len(self._handoffs) > needed:
            self._handoffs.popleft()
        back = (seen.target, seen.source)
        if len(self._handoffs) < needed or seen.source == seen.target:
            return NOTHING
        if any(one != (back if number % 2 == 0 else back[::-1]) for number, one in enumerate(self._handoffs)):
            return NOTHING
        between = sorted(back)
        text = f"{between[0]} and {between[1]} handed over {needed} times, and no tool said anything new"
        evidence = {"rule": "handoffs", "between": between, "cycles": self.settings.cycles}
        return self._found(seen, text, f"handoff:{':'.join(between)}", evidence)

    def _found(self, seen: Seen, text: str, what: str, evidence: dict[str, Any]) -> Sequence[Finding]:
        return (
            Finding(
                detector="ping_pong",
                severity=Severity.WARN,
                text=f"ping-pong: {text}",
                key=f"ping_pong:{seen.run}:{what}",
                runs=(seen.run,),
                agents=(seen.agent,),
                evidence=evidence,
            ),
        )

    def dump(self) -> Any:
        """Digests of four words each: no message."""
        said = {speaker: [sorted(grams) for grams in each] for speaker, each in self._said.items()}
        return [said, list(self._handoffs), list(self._outcomes)]

    def load(self, state: Any) -> None:
        """See `Detector`."""
        said, handoffs, outcomes = state
        self._said = {speaker: deque(array(GRAM, map(int, grams)) for grams in each) for speaker, each in said.items()}
        self._handoffs = deque((str(source), str(target)) for source, target in handoffs)
        self._outcomes = {int(one): None for one in outcomes}


def grams_of(text: str) -> frozenset[int]:
    """The runs of four words in the beginning of a message; none where it has fewer.

    Where a script has no spaces, four characters stand for four words.
    """
    data = text[: WORDS_MAX * 10].lower().encode("utf-8", "replace")
    words = data.split()[:WORDS_MAX]
    if len(words) < GRAM_WORDS:
        if data.isascii():
            return frozenset()
        words = [one.encode("utf-8", "replace") for one in text[:WORDS_MAX].lower()]
    return frozenset(map(crc32, map(b" ".join, zip(words, words[1:], words[2:], words[3:], strict=False))))


def _are_alike(one: frozenset[int], other: array[int], similarity: float) -> bool:
    fewer, more = sorted((len(one), len(other)))
    if fewer < similarity * more:
        return False
    both = len(one.intersection(other))
    return both >= similarity * (fewer + more - both)
