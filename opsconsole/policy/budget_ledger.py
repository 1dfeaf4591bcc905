"""What was used and is about to be used, by account: room is reserved before and settled after; it stops nobody.

No cap is overshot by more than what was admitted takes beyond its own reservation: everything reserved counts as if it
were used, in every window, and a reservation is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.policy.breaker_windows import WINDOW_SECONDS, Window

ACCOUNTS_MAX = 50_000
"""Beyond it new accounts share one, which counts too much rather than too little."""
OTHERS = "others"
PACE = "hour"
"""Every account is also counted by the minute for an hour, so that its pace is known."""
PACE_SECONDS = 300.0
TOLERANCE = 1e-9
"""Of sums of floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most so much of something by one account within a window."""

    account: str
    what: str
    """Such as `cost_usd`, `turns`, `tokens`, `tool_calls`."""
    window: str
    """A key of `WINDOW_SECONDS`."""
    limit: float
    name: str = ""
    """What whoever set it calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A cap that has no room for what was asked."""

    cap: Cap
    used: float
    reserved: float
    """By others, who may give some of it back."""
    asked: float

    @property
    def may_wait(self) -> bool:
        """Whether there would be room if the others used nothing."""
        return self.used + self.asked <= self.cap.limit + TOLERANCE

    @property
    def left(self) -> float:
        """What there would be if the others used nothing."""
        return max(0.0, self.cap.limit - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reservation:
    """Room that is kept."""

    accounts: tuple[str, ...]
    amounts: Mapping[str, float]
    windows: tuple[tuple[str, str, str], ...]
    """Account, what, window: where it is booked when it is settled."""
    at: float


class BudgetLedger:
    """Every account; no method waits, so that calls of one process never interleave within one."""

    def __init__(self) -> None:
        self._windows: dict[str, dict[tuple[str, str], Window]] = {}
        self._reserved: dict[str, dict[str, float]] = {}
        self._reservations: dict[str, _Reservation] = {}

    def used(self, account: str, what: str, window: str, at: float) -> float:
        """What is booked within the window."""
        found = self._windows.get(self._known(account), {}).get((what, window))
        return found.sum(at) if found else 0.0

    def reserved(self, account: str, what: str) -> float:
        """What is reserved and not settled."""
        return self._reserved.get(self._known(account), {}).get(what, 0.0)

    def pace(self, account: str, what: str, at: float) -> float:
        """Used a minute, over the last five."""
        found = self._windows.get(self._known(account), {}).get((what, PACE))
        return found.since(at, PACE_SECONDS) * 60 / PACE_SECONDS if found else 0.0

    def reserve(self, id: str, caps: Sequence[Cap], amounts: Mapping[str, float], at: float) -> list[Short]:
        """Keep room in every account of the caps, or in none: then what is short. Twice the same id is once."""
        if id in self._reservations:
            return []
        short = self.short(caps, amounts, at)
        if short:
            return short
        windows = self._places(caps)
        accounts = tuple(dict.fromkeys(account for account, _, _ in windows))
        self._reservations[id] = _Reservation(accounts=accounts, amounts=dict(amounts), windows=windows, at=at)
        for account in accounts:
            held = self._reserved.setdefault(account, {})
            for what, amount in amounts.items():
                held[what] = held.get(what, 0.0) + amount
        return []

    def short(self, caps: Sequence[Cap], amounts: Mapping[str, float], at: float) -> list[Short]:
        """The caps that have no room for so much; nothing is kept."""
        return [
            Short(cap=cap, used=used, reserved=reserved, asked=asked)
            for cap in caps
            if (asked := amounts.get(cap.what, 0.0)) > 0
            for used in (self.used(cap.account, cap.what, cap.window, at),)
            for reserved in (self.reserved(cap.account, cap.what),)
            if used + reserved + asked > cap.limit + TOLERANCE
        ]

    def left(self, caps: Sequence[Cap], at: float) -> dict[str, float]:
        """What the tightest of the caps leaves beside all that is reserved, by what they cap; never below 0."""
        found: dict[str, float] = {}
        for cap in caps:
            taken = self.used(cap.account, cap.what, cap.window, at) + self.reserved(cap.account, cap.what)
            found[cap.what] = max(0.0, min(cap.limit - taken, found.get(cap.what, cap.limit)))
        return found

    def settle(self, id: str, used: Mapping[str, float], at: float) -> bool:
        """Book what was used in place of what was reserved; False where nothing is reserved under that id."""
        reservation = self._release(id)
        if reservation is None:
            return False
        self._book(reservation.windows, used, at)
        return True

    def use(self, caps: Sequence[Cap], used: Mapping[str, float], at: float) -> None:
        """Book what nobody reserved."""
        self._book(self._places(caps), used, at)

    def overdue(self, at: float, seconds: float) -> list[str]:
        """Reservations older than that: whoever made them may have died."""
        return [id for id, one in self._reservations.items() if at - one.at > seconds]

    def amounts(self, id: str) -> Mapping[str, float]:
        """What is reserved under an id."""
        reservation = self._reservations.get(id)
        return reservation.amounts if reservation else {}

    def close(self, account: str) -> None:
        """Forget an account: what it stood for is over. What is reserved in it is settled nowhere else."""
        if account != OTHERS:
            self._windows.pop(account, None)

    def has(self, account: str) -> bool:
        """Whether anything is remembered of an account."""
        return account in self._windows

    def forget_idle(self, at: float) -> None:
        """Forget the accounts in which nothing counts any more, in any window."""
        idle = [
            account
            for account, each in self._windows.items()
            if account not in self._reserved and not any(window.sum(at) for window in each.values())
        ]
        for account in idle:
            del self._windows[account]

    def _places(self, caps: Sequence[Cap]) -> tuple[tuple[str, str, str], ...]:
        places = [(self._opened(cap.account), cap.what, cap.window) for cap in caps]
        paces = [(account, what, PACE) for account, what, _ in places]
        return tuple(dict.fromkeys(places + paces))

    def _book(self, places: Sequence[tuple[str, str, str]], used: Mapping[str, float], at: float) -> None:
        for account, what, window in places:
            amount = used.get(what, 0.0)
            if amount > 0:
                windows = self._windows.setdefault(account, {})
                found = windows.get((what, window))
                if found is None:
                    found = windows[what, window] = Window(WINDOW_SECONDS[window])
                found.add(amount, at)

    def _release(self, id: str) -> _Reservation | None:
        reservation = self._reservations.pop(id, None)
        for account in reservation.accounts if reservation else ():
            held = self._reserved.get(account, {})
            for what, amount in reservation.amounts.items() if reservation else ():
                held[what] = held.get(what, 0.0) - amount
                if held[what] <= TOLERANCE:
                    del held[what]
            if not held:
                self._reserved.pop(account, None)
        return reservation

    def _known(self, account: str) -> str:
        return account if account in self._windows or len(self._windows) < ACCOUNTS_MAX else OTHERS

    def _opened(self, account: str) -> str:
        known = self._known(account)
        self._windows.setdefault(known, {})
        return known

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        windows = [
            [account, what, window, one.dump()]
            for account, each in self._windows.items()
            for (what, window), one in each.items()
        ]
        reservations = [
            [id, list(one.accounts), dict(one.amounts), [list(each) for each in one.windows], one.at]
            for id, one in self._reservations.items()
        ]
        return {"windows": windows, "reservations": reservations}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> BudgetLedger:
        """Put back what `dump` gave.

        Raises: KeyError, TypeError or ValueError when it is something else: what was spent is not to be forgotten.
        """
        ledger = cls()
        for account, what, window, dumped in state["windows"]:
            loaded = Window.load(WINDOW_SECONDS[window], dumped)
            ledger._windows.setdefault(account, {})[what, window] = loaded
        for id, accounts, amounts, places, at in state["reservations"]:
            reservation = _Reservation(
                accounts=tuple(accounts),
                amounts={what: float(amount) for what, amount in amounts.items()},
                windows=tuple((account, what, window) for account, what, window in places),
                at=float(at),
            )
            ledger._reservations[id] = reservation
            for account in reservation.accounts:
                held = ledger._reserved.setdefault(account, {})
                for what, amount in reservation.amounts.items():
                    held[what] = held.get(what, 0.0) + amount
        return ledger
