"""When the operator is called to the console, and the bytes that call; every word is ours, none an agent's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Literal

Way = Literal["off", "bell", "osc9", "osc777"]
"""How: not at all, the terminal's bell, or with the bell a notification as iTerm2 (9) or rxvt (777) take it."""
BELL = "\a"
TITLE = "opsconsole"


@dataclass(slots=True)
class Ringer:
    """Rings once for each new thing; what was there when the link opened is no news."""

    way: Way = "bell"
    quiet: Callable[[int], bool] = lambda minute: False
    """Whether a minute of the day is one of the quiet hours: then only an unconfirmed kill rings."""
    _calls: set[str] | None = None
    _passed: set[str] = field(default_factory=set)
    _unconfirmed: set[str] = field(default_factory=set)
    _waiting: int = -1

    def look(
        self,
        calls: Iterable[str],
        unconfirmed: Iterable[str],
        *,
        passed: Iterable[str] = (),
        now: float,
        zone: tzinfo,
    ) -> str:
        """What to write to the terminal for what waits, was passed on to this operator, and has no proof; hub clock."""
        calls, unconfirmed, passed = set(calls), set(unconfirmed), set(passed)
        new_calls = len(calls - self._calls) if self._calls is not None else 0
        new_kills = len(unconfirmed - self._unconfirmed) if self._calls is not None else 0
        new_passed = len(passed - self._passed) if self._calls is not None else 0
        self._calls, self._unconfirmed, self._passed = calls, unconfirmed, passed
        if self.way == "off":
            return ""
        rung = ""
        here = datetime.fromtimestamp(now, zone)
        if new_kills or ((new_calls or new_passed) and not self.quiet(here.hour * 60 + here.minute)):
            rung = self._ring(_words(new_calls, new_passed, new_kills, len(calls)))
        return self._title(len(calls)) + rung

    def forget(self) -> None:
        """The link is down: what stands there when it is back is no news."""
        self._calls = None

    def _ring(self, text: str) -> str:
        if self.way == "osc9":
            return f"\x1b]9;{TITLE}: {text}\x1b\\{BELL}"
        if self.way == "osc777":
            return f"\x1b]777;notify;{TITLE};{text}\x1b\\{BELL}"
        return BELL

    def _title(self, waiting: int) -> str:
        if waiting == self._waiting:
            return ""
        self._waiting = waiting
        return f"\x1b]2;({waiting}) {TITLE}\x1b\\" if waiting else f"\x1b]2;{TITLE}\x1b\\"


def _words(calls: int, passed: int, kills: int, waiting: int) -> str:
    parts = [f"{kills} kill{'s' if kills > 1 else ''} WITHOUT PROOF"] if kills else []
    parts += [f"{passed} call{'s' if passed > 1 else ''} passed on to you"] if passed else []
    parts += [f"{calls} new call{'s' if calls > 1 else ''} to decide, {waiting} waiting"] if calls else []
    return "; ".join(parts)
