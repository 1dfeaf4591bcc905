"""Tells keys that are meant from letters of words that the operator believes to be typing; it performs no act."""

from __future__ import annotations

from opsconsole.console.action import Action

BURST_SECONDS = 0.15
"""Keys closer together than this are typing, not deciding: acts without a question ignore them."""
QUIET_SECONDS = 0.6
"""How long no key may have come after a refused question, or after words typed where none are taken."""
_LONG_AGO = float("-inf")


class Meant:
    """Remembers which keys came when; times are monotonic seconds."""

    def __init__(self) -> None:
        self.at = _LONG_AGO
        """When the latest key came, whatever it meant."""
        self._key = ""
        self._deaf = False
        self._words_at = _LONG_AGO
        """When the latest letter came of words that nothing takes."""

    def typed(self, key: str, *, now: float) -> None:
        """A key came that was given to what takes words."""
        self._key, self.at = key, now

    def meaningless(self, key: str, *, is_letter: bool, now: float) -> None:
        """A key came that means nothing in this view; a letter may be the first of a word."""
        self._deaf = self._deaf and now - self.at < QUIET_SECONDS
        if is_letter or self._in_words(now):
            self._words_at = now
        self._key, self.at = key, now

    def question_refused(self) -> None:
        """What follows was meant as the answer to a question that was never asked."""
        self._deaf = True

    def why_not(self, action: Action, key: str, *, now: float) -> str:
        """Why a key that means this act does nothing just now; empty where it was meant."""
        since, is_again = now - self.at, key == self._key
        self._key, self.at = key, now
        self._deaf = self._deaf and since < QUIET_SECONDS
        if self._deaf:
            return "keys are ignored: the question before was refused; wait a moment"
        if action.id == "back":
            self._words_at = _LONG_AGO
        in_words = self._in_words(now)
        if in_words and not is_again:  # one key again and again is no word: it is heard soon
            self._words_at = now
        if in_words and (action.sudden or action.asks):
            return f"{action.key_text} ignored: words were being typed, and nothing takes them here; press it alone"
        if action.sudden and since < BURST_SECONDS:
            return f"{action.key_text} ignored: it came in the middle of other keys; press it alone"
        return ""

    def _in_words(self, now: float) -> bool:
        return now - self._words_at < QUIET_SECONDS
