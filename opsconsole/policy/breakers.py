"""Breakers: limits per run, agent, label or fleet; one that trips holds its runs until a person resumes, or for a time.

reserve ─▶ admitted     used + reserved + its own is within every cap
        ─▶ waits        it would fit were the others over
        ─▶ trips        it does not fit what is left
settle, use ─▶ warns at a share of a cap, trips when it is reached
resume ─▶ goes on       caps raised, or the window has room again
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from opsconsole.policy.breaker_runway import Runway, shown_amount
from opsconsole.policy.budget_ledger import BudgetLedger, Cap, Short
from opsconsole.policy.detectors.baseline import Baseline
from opsconsole.policy.detectors.bounded import kept, put
from opsconsole.policy.file.settings import BreakerRule

COUNTED = ("cost_usd", "turns", "tokens", "tool_calls")
PER_MINUTE = "_per_minute"
SAME_TOOL = "same_tool_per_minute"
IN_A_ROW = 3
"""Slow calls, where a rule does not say."""
LATENCY_WINDOW, LATENCY_MIN = 100, 20
DEPENDENCIES_MAX = 500
STREAKS_MAX = 10_000


class Note(StrEnum):
    """What became of a breaker."""

    WARN = "warn"
    TRIP = "trip"
    RESUME = "resume"
    UNPRICED = "unpriced"
    """A model without a price was used under a cap on cost: an alarm, as it would else count as nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose use is counted."""

    run: str
    agent: str
    labels: Mapping[str, str] = field(default_factory=dict)
    started_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What a call takes."""

    cost_usd: float | None = 0.0
    """None: nobody knows its price."""
    turns: int = 0
    tokens: int = 0
    tool_calls: int = 0

    def to_map(self) -> dict[str, float]:
        """By the names of limits; what has no price is left out."""
        return {name: float(value) for name in COUNTED if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell, and of a trip to act on."""

    note: Note
    breaker: str
    account: str
    limit: str
    """The limit's name in the file."""
    text: str
    at: float
    until: float | None = None
    """When a trip ends by itself; None: when a person resumes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a call may go now."""

    admitted: bool
    waits: bool = False
    """It is not admitted yet: it fits once others are over."""
    notices: tuple[Notice, ...] = ()


class StillReached(ValueError):
    """A breaker cannot be resumed: the limit that the message names is still reached."""


class Breakers:
    """All breakers of a policy over the fleet; their windows and trips outlive a restart by `dump` and `load`."""

    def __init__(self, rules: Sequence[BreakerRule]) -> None:
        self._rules = {rule.id: rule for rule in rules}
        self._ledger = BudgetLedger()
        self._subjects: dict[str, Subject] = {}
        self._trips: dict[tuple[str, str], Notice] = {}
        self._warned: set[tuple[str, str, str]] = set()
        self._raised: dict[tuple[str, str, str], float] = {}
        """Breaker, account, limit -> the cap that a person set."""
        self._callers: dict[str, str] = {}
        """Reservation -> run."""
        self._usual: dict[str, Baseline] = {}
        self._streaks: dict[str, int] = {}
        self._known: dict[str, list[tuple[BreakerRule, Cap]]] = {}
        """Run -> its caps without those by tool, worked out once."""

    def replace_rules(self, rules: Sequence[BreakerRule]) -> None:
        """Other rules from now on; what was counted for a breaker of the same id and scope goes on."""
        self._rules = {rule.id: rule for rule in rules}
        self._known.clear()
        self._trips = {key: trip for key, trip in self._trips.items() if key[0] in self._rules}

    def started(self, subject: Subject) -> None:
        """A run exists, or its labels changed."""
        self._subjects[subject.run] = subject
        self._known.pop(subject.run, None)

    def ended(self, run: str, at: float) -> None:
        """A run is over: what was counted of it alone goes; what it had reserved is counted, as nobody says less."""
        for id in [id for id, caller in self._callers.items() if caller == run]:
            self._ledger.settle(id, self._ledger.amounts(id), at)
            del self._callers[id]
        self._known.pop(run, None)
        subject = self._subjects.pop(run, None)
        for rule, account in self._about(subject) if subject else ():
            if rule.scope == "run":
                self._ledger.close(account)
                self._trips.pop((rule.id, account), None)

    def reserve(self, id: str, run: str, amount: Amount, at: float) -> Admission:
        """Ask for room for a call before it is made; `settle` it when it is over."""
        subject = self._subjects[run]
        caps = self._caps(subject)
        holding = self.holding(run)
        if holding:
            return Admission(admitted=False, notices=())
        short = self._ledger.reserve(id, [cap for _, cap in caps], amount.to_map(), at)
        if not short:
            self._callers[id] = run
            return Admission(admitted=True, notices=tuple(self._unpriced(subject, amount, at)))
        if all(one.may_wait for one in short):
            return Admission(admitted=False, waits=True)
        notices = [
            self._trip(rule, one.cap.account, one.cap.name, _too_much(one), at)
            for one in short
            if not one.may_wait
            for rule in (next(rule for rule, cap in caps if cap == one.cap),)
        ]
        return Admission(admitted=False, notices=tuple(notices))

    def settle(self, id: str, used: Amount, at: float) -> list[Notice]:
        """The call is over. Where its price is unknown, what was reserved for it counts."""
        run = self._callers.pop(id, None)
        reserved = self._ledger.amounts(id)
        amounts = used.to_map()
        if used.cost_usd is None and "cost_usd" in reserved:
            amounts["cost_usd"] = reserved["cost_usd"]
        if not self._ledger.settle(id, amounts, at) or run not in self._subjects:
            return []
        return [*self._unpriced(self._subjects[run], used, at), *self._check(self._subjects[run], at)]

    def use(self, run: str, used: Amount, at: float, tool: str = "") -> list[Notice]:
        """Count what was not reserved, such as a tool call."""
        subject = self._subjects[run]
        caps = self._caps(subject, tool)
        self._ledger.use([cap for _, cap in caps], used.to_map(), at)
        return [*self._unpriced(subject, used, at), *self._check(subject, at, tool)]

    def latency(self, run: str, dependency: str, latency_ms: float, at: float) -> list[Notice]:
        """A call of a model or tool took so long."""
        usual = kept(self._usual, dependency, lambda: Baseline(LATENCY_WINDOW), DEPENDENCIES_MAX)
        median = usual.median(LATENCY_MIN)
        usual.add(latency_ms)
        found: list[Notice] = []
        for rule, account in self._about(self._subjects[run]):
            ratio = rule.trip.get("latency_ratio")
            if ratio is None or median is None:
                continue
            streak = f"{account}\0{dependency}"
            times = self._streaks.get(streak, 0) + 1 if latency_ms > ratio * median else 0
            put(self._streaks, streak, times, STREAKS_MAX)
            if times >= rule.trip.get("in_a_row", IN_A_ROW) and (rule.id, account) not in self._trips:
                text = f"{dependency} took over {ratio:g} times its usual {median:,.0f} ms, {times} calls in a row"
                found.append(self._trip(rule, account, "latency_ratio", text, at))
        return found

    def tick(self, at: float) -> list[Notice]:
        """Time has passed: wall clocks trip, and breakers with a time resume unless their limit is still reached."""
        found = [notice for subject in self._subjects.values() for notice in self._wall_clock(subject, at)]
        for (breaker, account), trip in list(self._trips.items()):
            if trip.until is None or at < trip.until:
                continue
            seconds = self._rules[breaker].resume_seconds or 0.0
            if self._still(breaker, account, at):
                self._trips[breaker, account] = replace(trip, until=at + seconds)
            else:
                found.append(self._resume(trip, f"{breaker}: goes on after {seconds:.0f} s", at))
        return found

    def resume(self, breaker: str, account: str, at: float, caps: Mapping[str, float] | None = None) -> Notice:
        """A person lets it go on, with raised caps where they are reached.

        Raises:
            KeyError: it has not tripped.
            StillReached: without a higher cap it would trip at once.
        """
        trip = self._trips[breaker, account]
        before = {name: self._raised.get((breaker, account, name)) for name in caps or {}}
        for name in caps or {}:
            self.set_cap(breaker, account, name, (caps or {})[name])
        if reached := self._still(breaker, account, at):
            for name, value in before.items():
                self._put_back((breaker, account, name), value)
            raise StillReached(reached)
        return self._resume(trip, f"{breaker}: resumed", at)

    def set_cap(self, breaker: str, account: str, limit: str, value: float) -> None:
        """A person sets another cap for one account. Raises: KeyError where the breaker has no such limit."""
        if limit not in self._rules[breaker].trip:
            raise KeyError(limit)
        self._raised[breaker, account, limit] = value
        self._known.clear()

    def holding(self, run: str) -> list[Notice]:
        """The trips that hold a run now."""
        subject = self._subjects[run]
        accounts = self._about(subject) if self._trips else []
        keys = [(rule.id, place) for rule, account in accounts for place in (account, f"{rule.id}/run/{run}")]
        return [self._trips[key] for key in dict.fromkeys(keys) if key in self._trips]

    def runways(self, run: str, at: float) -> list[tuple[str, Runway]]:
        """How long each cap of a run will last, by breaker, the soonest first."""
        ways = [(rule.id, self._runway(cap, at)) for rule, cap in self._caps(self._subjects[run])]
        return sorted(ways, key=lambda way: (way[1].seconds is None, way[1].seconds or 0.0))

    def _runway(self, cap: Cap, at: float) -> Runway:
        used = self._ledger.used(cap.account, cap.what, cap.window, at)
        pace = self._ledger.pace(cap.account, cap.what, at)
        return Runway(what=cap.what, window=cap.window, used=used, limit=cap.limit, per_minute=pace, now=at)

    def _about(self, subject: Subject) -> list[tuple[BreakerRule, str]]:
        """The rules about a run, each with the account that it counts in."""
        return [
            (rule, f"{rule.id}/{rule.scope}/{_name(rule, subject)}")
            for rule in self._rules.values()
            if rule.agent.matches(subject.agent) and _is_labelled(rule.label, subject.labels)
        ]

    def _caps(self, subject: Subject, tool: str = "") -> list[tuple[BreakerRule, Cap]]:
        known = self._known.get(subject.run)
        if known is None or tool:
            about = self._about(subject)
            known = [(rule, cap) for rule, account in about for cap in self._caps_of(rule, account, tool)]
            if not tool:
                self._known[subject.run] = known
        return known

    def _caps_of(self, rule: BreakerRule, account: str, tool: str = "") -> Iterable[Cap]:
        for name, limit in rule.trip.items():
            limit = self._raised.get((rule.id, account, name), limit)
            if name in COUNTED:
                yield Cap(account=account, what=name, window=rule.window, limit=limit, name=name)
            elif name == SAME_TOOL:
                if tool:
                    place = f"{account}/{tool}"
                    yield Cap(account=place, what="tool_calls", window="minute", limit=limit, name=name)
            elif name.endswith(PER_MINUTE):
                what = name.removesuffix(PER_MINUTE)
                yield Cap(account=account, what=what, window="minute", limit=limit, name=name)

    def _check(self, subject: Subject, at: float, tool: str = "") -> list[Notice]:
        found: list[Notice] = []
        for rule, cap in self._caps(subject, tool):
            used = self._ledger.used(cap.account, cap.what, cap.window, at)
            account = cap.account if cap.name != SAME_TOOL else cap.account.removesuffix(f"/{tool}")
            key = (rule.id, cap.account, cap.name)
            if used >= cap.limit:
                if (rule.id, account) not in self._trips:
                    found.append(self._trip(rule, account, cap.name, _reached(cap, used), at))
            elif rule.warn_at is None or used < rule.warn_at * cap.limit:
                self._warned.discard(key)
            elif key not in self._warned:
                self._warned.add(key)
                found.append(_notice(Note.WARN, rule.id, account, cap.name, _reached(cap, used), at))
        return found

    def _wall_clock(self, subject: Subject, at: float) -> Iterable[Notice]:
        for rule, _ in self._about(subject):
            account = f"{rule.id}/run/{subject.run}"
            limit = self._raised.get((rule.id, account, "wall_clock"), rule.trip.get("wall_clock"))
            lasted = at - subject.started_at
            if limit is not None and lasted >= limit and (rule.id, account) not in self._trips:
                text = f"runs for {lasted / 60:,.0f} min of {limit / 60:,.0f} min"
                yield self._trip(rule, account, "wall_clock", text, at)

    def _still(self, breaker: str, account: str, at: float) -> str | None:
        """Which limit of an account is still reached, in words."""
        rule = self._rules[breaker]
        for cap in self._caps_of(rule, account):
            used = self._ledger.used(cap.account, cap.what, cap.window, at)
            if used >= cap.limit:
                return _reached(cap, used)
        trip = self._trips[breaker, account]
        if trip.limit != "wall_clock":
            return None
        subject = self._subjects.get(account.removeprefix(f"{breaker}/run/"))
        limit = self._raised.get((breaker, account, "wall_clock"), rule.trip.get("wall_clock", 0.0))
        return trip.text if subject and at - subject.started_at >= limit else None

    def _unpriced(self, subject: Subject, amount: Amount, at: float) -> Iterable[Notice]:
        if amount.cost_usd is not None:
            return
        keys = [
            (rule.id, account, Note.UNPRICED.value) for rule, account in self._about(subject) if "cost_usd" in rule.trip
        ]
        new = [key for key in keys if key not in self._warned]
        self._warned.update(new)
        if new:
            text = "a model without a known price is used under a cap on cost"
            yield _notice(Note.UNPRICED, new[0][0], new[0][1], "cost_usd", text, at)

    def _trip(self, rule: BreakerRule, account: str, limit: str, text: str, at: float) -> Notice:
        until = None if rule.resume_seconds is None else at + rule.resume_seconds
        notice = _notice(Note.TRIP, rule.id, account, limit, text, at, until)
        self._trips[rule.id, account] = notice
        return notice

    def _resume(self, trip: Notice, text: str, at: float) -> Notice:
        del self._trips[trip.breaker, trip.account]
        for streak in [one for one in self._streaks if one.startswith(f"{trip.account}\0")]:
            del self._streaks[streak]
        return _notice(Note.RESUME, trip.breaker, trip.account, trip.limit, text, at)

    def _put_back(self, key: tuple[str, str, str], value: float | None) -> None:
        self._known.clear()
        if value is None:
            self._raised.pop(key, None)
        else:
            self._raised[key] = value

    def dump(self) -> dict[str, Any]:
        """Windows, reservations, trips and raised caps as JSON values; the runs are told again by `started`."""
        return {
            "ledger": self._ledger.dump(),
            "trips": [asdict(one) for one in self._trips.values()],
            "warned": [list(one) for one in self._warned],
            "raised": [[*key, value] for key, value in self._raised.items()],
            "callers": self._callers,
            "usual": {name: one.values for name, one in self._usual.items()},
            "streaks": self._streaks,
        }

    @classmethod
    def load(cls, rules: Sequence[BreakerRule], state: Mapping[str, Any]) -> Breakers:
        """Put back what `dump` gave. Raises: KeyError, TypeError or ValueError when it is something else."""
        breakers = cls(rules)
        breakers._ledger = BudgetLedger.load(state["ledger"])
        for trip in state["trips"]:
            if trip["breaker"] in breakers._rules:
                notice = Notice(**{**trip, "note": Note(trip["note"])})
                breakers._trips[notice.breaker, notice.account] = notice
        breakers._warned = {(rule, account, limit) for rule, account, limit in state["warned"]}
        breakers._raised = {(rule, account, limit): float(value) for rule, account, limit, value in state["raised"]}
        breakers._callers = {str(id): str(run) for id, run in state["callers"].items()}
        breakers._usual = {name: Baseline(LATENCY_WINDOW, map(float, one)) for name, one in state["usual"].items()}
        breakers._streaks = {str(streak): int(times) for streak, times in state["streaks"].items()}
        return breakers


def _name(rule: BreakerRule, subject: Subject) -> str:
    if rule.scope == "run":
        return subject.run
    if rule.scope == "agent":
        return subject.agent
    return subject.labels.get((rule.label or "").partition("=")[0], "") if rule.scope == "label" else "all"


def _is_labelled(label: str | None, labels: Mapping[str, str]) -> bool:
    name, has_value, value = (label or "").partition("=")
    return not name or (name in labels and (not has_value or labels[name] == value))


def _notice(
    note: Note, breaker: str, account: str, limit: str, text: str, at: float, until: float | None = None
) -> Notice:
    return Notice(note=note, breaker=breaker, account=account, limit=limit, text=text, at=at, until=until)


def _reached(cap: Cap, used: float) -> str:
    within = "" if cap.window == "total" else f" in a {cap.window}"
    return f"{shown_amount(cap.what, used)} of {shown_amount(cap.what, cap.limit)}{within}"


def _too_much(short: Short) -> str:
    left = max(0.0, short.cap.limit - short.used)
    what = short.cap.what
    return f"a turn reserves {shown_amount(what, short.asked)}, {shown_amount(what, left)} is left"
