"""Unsupported agreement, experimental: a claim of done or agreed that no tool's success since it came up supports.

The evidence for its worth is weak, so it is off until asked for, and never more than a warning. A claim is about the
words of its sentence; what supports it is a successful outcome, or the call that gave it, holding one of them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import put
from opsconsole.policy.detectors.finding import NOTHING, Finding, Severity
from opsconsole.policy.detectors.observation import CallEnded, Message, Seen
from opsconsole.policy.detectors.outcome import OUTCOME_CHARS_MAX, digest_of

TOPICS_MAX = 2_000
"""Words of a run remembered, each by when it last came up and when a success last spoke of it."""
MESSAGE_CHARS_MAX = 4_000
DISAGREEMENTS_KEPT = 10
DISAGREEMENTS_MIN = 3
COLLAPSE_SHARE = 0.8
"""Of disagreements that end in agreement though no tool said anything in between."""
_CLAIM = re.compile(
    r"\b(?:is|are|was|were|has been|have been|all|now|i|we)\s+(?:\w+\s+){0,2}?"
    r"(?:done|verified|confirmed|fixed|resolved|complete[d]?|pass(?:es|ed|ing)?|works?|working|agree[d]?|correct)\b",
    re.IGNORECASE,
)
_AGREES = re.compile(r"\b(?:i agree|agreed|you(?:'re| are) right|that(?:'s| is) correct)\b", re.IGNORECASE)
_DISAGREES = re.compile(r"\b(?:i disagree|i don't agree|that(?:'s| is) (?:wrong|incorrect|not right))\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?\n]+(?=\s|$)")
_WORD = re.compile(r"[A-Za-z0-9_./-]{4,60}")
_NO_TOPIC = frozenset(
    re.findall(
        r"\w+",
        """that this with have been were your from they them then there here will would should could also just now right
        everything already done verified confirmed fixed resolved complete completed pass passes passed passing
        work works working agree agreed correct""",
    )
)


class Agreement:
    """One run's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (Message, CallEnded)

    def __init__(self) -> None:
        self._clock = 0
        """Observations so far."""
        self._raised: dict[str, int] = {}
        """Digest of a word -> when it first came up."""
        self._shown: dict[str, int] = {}
        """Digest of a word -> when a success last spoke of it."""
        self._success = 0
        self._disagreed = 0
        """When the open disagreement began, or 0."""
        self._ends: deque[bool] = deque(maxlen=DISAGREEMENTS_KEPT)
        """Of disagreements that ended: whether nothing new had been shown."""

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at messages, and at calls that succeeded."""
        self._clock += 1
        if isinstance(seen, Message):
            return self._message(seen)
        if isinstance(seen, CallEnded) and seen.ok and not seen.denied_by_console:
            self._success = self._clock
            for word in _topics(f"{seen.tool} {seen.outcome.text[:OUTCOME_CHARS_MAX]}"):
                put(self._shown, word, self._clock, TOPICS_MAX)
        return NOTHING

    def _message(self, seen: Message) -> Sequence[Finding]:
        text = seen.text[:MESSAGE_CHARS_MAX]
        found = list(self._claims(seen, text))
        for word in _topics(text):
            if word not in self._raised:
                put(self._raised, word, self._clock, TOPICS_MAX)
        return found + list(self._collapse(seen, text))

    def _claims(self, seen: Message, text: str) -> Sequence[Finding]:
        if not _CLAIM.search(text):
            return NOTHING
        for sentence in _SENTENCE.split(text):
            topics = _topics(sentence)
            if not topics or not _CLAIM.search(sentence):
                continue
            if any(self._shown.get(word, -1) >= self._raised.get(word, self._clock) for word in topics):
                continue
            quoted = " ".join(sentence.split())[:160]
            what = f"claim:{digest_of(*sorted(topics)):x}"
            return self._found(seen, f"{seen.speaker} states “{quoted}”, and no tool has shown it", what, {})
        return NOTHING

    def _collapse(self, seen: Message, text: str) -> Sequence[Finding]:
        if _DISAGREES.search(text):
            self._disagreed = self._disagreed or self._clock
            return NOTHING
        if not self._disagreed or not _AGREES.search(text):
            return NOTHING
        self._ends.append(self._success < self._disagreed)
        self._disagreed = 0
        share = sum(self._ends) / len(self._ends)
        if len(self._ends) < DISAGREEMENTS_MIN or share < COLLAPSE_SHARE:
            return NOTHING
        text = f"{sum(self._ends)} of {len(self._ends)} disagreements ended in agreement with nothing new shown"
        return self._found(seen, text, "collapse", {"share": round(share, 2), "disagreements": len(self._ends)})

    def _found(self, seen: Message, text: str, what: str, evidence: dict[str, Any]) -> Sequence[Finding]:
        return (
            Finding(
                detector="agreement",
                severity=Severity.WARN,
                text=f"unsupported agreement: {text}",
                key=f"agreement:{seen.run}:{what}",
                runs=(seen.run,),
                agents=(seen.agent,),
                evidence={"speaker": seen.speaker} | evidence,
            ),
        )

    def dump(self) -> Any:
        """Digests of words, and counts."""
        return [
            self._clock,
            self._raised,
            self._shown,
            self._success,
            self._disagreed,
            [int(one) for one in self._ends],
        ]

    def load(self, state: Any) -> None:
        """See `Detector`."""
        clock, raised, shown, success, disagreed, ends = state
        self._raised = {str(word): int(at) for word, at in raised.items()}
        self._shown = {str(word): int(at) for word, at in shown.items()}
        self._clock, self._success, self._disagreed = int(clock), int(success), int(disagreed)
        self._ends = deque(map(bool, ends), maxlen=DISAGREEMENTS_KEPT)


def _topics(text: str) -> set[str]:
    words = {word.strip("./-").lower() for word in _WORD.findall(text)} - _NO_TOPIC
    return {f"{digest_of(word):x}" for word in words if len(word) >= 4}
