"""The caps that people have set for accounts of breakers, over what the policy file says; they count nothing.

A cap that a person sets holds until the file says something else of its limit. That came later: if it is the stricter
of the two, the cap is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Key = tuple[str, str, str]
"""Breaker, account, limit."""
Limits = Mapping[str, Mapping[str, float]]
"""What the file says, by breaker and limit."""


class SetCaps:
    """The caps of one installation."""

    def __init__(self) -> None:
        self._caps: dict[Key, tuple[float, float]] = {}
        """The cap, and what the file says of that limit."""

    def set(self, key: Key, value: float, *, then: float, written: float) -> None:
        """A person set a cap when the file said `then`; now it says `written`."""
        if then != written and value >= written:
            self._caps.pop(key, None)
        else:
            self._caps[key] = (value, written)

    def rewrite(self, written: Limits) -> None:
        """The file may say other limits from now on; one that it does not say ends no cap."""
        for (breaker, account, name), (value, then) in list(self._caps.items()):
            now = written.get(breaker, {}).get(name, then)
            self.set((breaker, account, name), value, then=then, written=now)

    def limit(self, breaker: str, account: str, name: str, written: float) -> float:
        """What holds, where the file has this limit."""
        return self._caps.get((breaker, account, name), (written, written))[0]

    def forget(self, breaker: str, account: str, names: Iterable[str]) -> None:
        """An account is over."""
        for name in names:
            self._caps.pop((breaker, account, name), None)

    def kept(self, keys: Iterable[Key]) -> dict[Key, tuple[float, float] | None]:
        """What `put_back` puts back."""
        return {key: self._caps.get(key) for key in keys}

    def put_back(self, kept: Mapping[Key, tuple[float, float] | None]) -> None:
        """These as they were."""
        for key, cap in kept.items():
            if cap is None:
                self._caps.pop(key, None)
            else:
                self._caps[key] = cap

    def dump(self) -> list[list[Any]]:
        """As JSON values."""
        return [[*key, *cap] for key, cap in self._caps.items()]

    @classmethod
    def load(cls, state: Iterable[Any], written: Limits) -> SetCaps:
        """Put back what `dump` gave; older records have no limits of the file. Raises: TypeError or ValueError."""
        caps = cls()
        for breaker, account, name, value, *known in state:
            then = known[0] if known else written.get(breaker, {}).get(name, value)
            caps._caps[str(breaker), str(account), str(name)] = (float(value), float(then))
        caps.rewrite(written)
        return caps
