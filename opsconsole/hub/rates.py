"""How often something may happen: token buckets, and facts counted instead of repeated; it waits for nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """So many a second, with what `burst_seconds` would bring saved up. Times are any clock's seconds."""

    per_second: float
    burst_seconds: float
    level: float = 0.0
    """Used and not yet drained."""
    at: float = 0.0

    def take(self, amount: float, now: float) -> float:
        """Use `amount`; gives the seconds by which that was too early, 0.0 when there was room."""
        self.level = max(0.0, self.level - (now - self.at) * self.per_second) + amount
        self.at = now
        return max(0.0, self.level / self.per_second - self.burst_seconds)


@dataclass(slots=True)
class _Window:
    ends_at: float
    more: int = 0


class Collapsed:
    """Lets the first of equal facts through, counts the rest of its window, and gives the count when it ends."""

    def __init__(self, window_seconds: float, keys_max: int) -> None:
        self._window_seconds = window_seconds
        self._keys_max = keys_max
        self._windows: dict[tuple[str, ...], _Window] = {}

    def admit(self, key: tuple[str, ...], now: float) -> bool:
        """Whether to tell this one; a fact with a new key beyond `keys_max` is counted under its first part."""
        if key not in self._windows and len(self._windows) >= self._keys_max:
            key = (key[0],)
        window = self._windows.get(key)
        if window is None:
            self._windows[key] = _Window(now + self._window_seconds)
            return True
        window.more += 1
        return False

    def ended(self, now: float) -> list[tuple[tuple[str, ...], int]]:
        """Keys whose window ended with more than was told, and how many more."""
        over = [key for key, window in self._windows.items() if window.ends_at <= now]
        counts = [(key, self._windows.pop(key).more) for key in over]
        return [(key, more) for key, more in counts if more]
