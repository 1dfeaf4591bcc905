"""Breakers: limits per run, agent, label or fleet; one that trips holds its runs until a person resumes, or for a time.

reserve ─▶ admitted     used + reserved + its own is within every cap
        ─▶ waits        it would fit were the others over
        ─▶ trips        it does not fit what is left
settle, use ─▶ warns at a share of a cap, trips when it is reached
resume ─▶ goes on       caps raised, or the window has room again
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from opsconsole.policy.breaker_caps import SetCaps
from opsconsole.policy.breaker_latency import Latencies
from opsconsole.policy.breaker_runway import Runway, lasting
from opsconsole.policy.breaker_values import (
    COUNTED,
    Admission,
    Amount,
    Note,
    Notice,
    StillReached,
    Subject,
    is_labelled,
    make_notice,
    name_of,
    told_reached,
    told_short,
)
from opsconsole.policy.budget_ledger import BudgetLedger, Cap, Short
from opsconsole.policy.file.settings import BreakerRule

__all__ = ["Admission", "Amount", "Breakers", "Note", "Notice", "StillReached", "Subject"]

PER_MINUTE = "_per_minute"
SAME_TOOL = "same_tool_per_minute"
TOOLS_MAX = 64
"""Counted by name in one account, as agents choose the names; beyond it tools share one count."""
OTHER_TOOLS = "other tools"


class Breakers:
    """All breakers of a policy over the fleet; their windows and trips outlive a restart by `dump` and `load`."""

    def __init__(self, rules: Sequence[BreakerRule]) -> None:
        self._rules = {rule.id: rule for rule in rules}
        self._ledger = BudgetLedger()
        self._subjects: dict[str, Subject] = {}
        self._trips: dict[tuple[str, str], Notice] = {}
        self._warned: set[tuple[str, str, str]] = set()
        self._set = SetCaps()
        self._callers: dict[str, str] = {}
        """Reservation -> run."""
        self._latencies = Latencies()
        self._known: dict[str, list[tuple[BreakerRule, Cap]]] = {}
        """Run -> its caps without those by tool, worked out once."""
        self._tools: dict[str, set[str]] = {}
        """Account -> the tools that are counted in it by name."""

    def replace_rules(self, rules: Sequence[BreakerRule]) -> None:
        """Other rules from now on; what was counted for a breaker of the same id and scope goes on."""
        self._rules = {rule.id: rule for rule in rules}
        self._set.rewrite({rule.id: rule.trip for rule in rules})
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
            own = f"{rule.id}/run/{run}"
            self._trips.pop((rule.id, own), None)
            self._set.forget(rule.id, own, rule.trip)
            if rule.scope == "run":
                self._close(rule, account)

    def _close(self, rule: BreakerRule, account: str) -> None:
        for place in (account, *(f"{account}/{tool}" for tool in (*self._tools.pop(account, ()), OTHER_TOOLS))):
            self._ledger.close(place)
            for name in (*rule.trip, Note.UNPRICED.value):
                self._warned.discard((rule.id, place, name))

    def forget_idle(self, at: float) -> None:
        """Forget what was counted in windows that are over."""
        self._ledger.forget_idle(at)
        kept_of = {
            account: {tool for tool in tools if self._ledger.has(f"{account}/{tool}")}
            for account, tools in self._tools.items()
        }
        self._tools = {account: tools for account, tools in kept_of.items() if tools}

    def knows(self, run: str) -> bool:
        """Whether the run is told of."""
        return run in self._subjects

    def has_caps(self, run: str) -> bool:
        """Whether anything caps what the run's turns use."""
        return any(cap.what != "tool_calls" for _, cap in self._caps(self._subjects[run]))

    def keep(self, id: str, run: str, amount: Amount, at: float) -> None:
        """Reserve for a call that is under way, whatever the caps say: after a restart."""
        free = [replace(cap, limit=math.inf) for _, cap in self._caps(self._subjects[run])]
        self._ledger.reserve(id, free, amount.to_map(), at)
        self._callers[id] = run

    def let_go(self) -> None:
        """Drop every reservation, counted as nothing: whoever knows what is under way keeps it anew."""
        for id in list(self._callers):
            self._ledger.settle(id, {}, 0.0)
        self._callers.clear()

    def reserve(self, id: str, run: str, amount: Amount, at: float) -> Admission:
        """Ask for room for a call before it is made; `settle` it when it is over."""
        subject = self._subjects[run]
        caps = self._caps(subject)
        if self.holding(run):
            return Admission(admitted=False, notices=())
        short = self._ledger.reserve(id, [cap for _, cap in caps], amount.to_map(), at)
        if not short:
            self._callers[id] = run
            return Admission(admitted=True, notices=tuple(self._unpriced(subject, amount, at)))
        if all(one.may_wait for one in short):
            return Admission(admitted=False, waits=True)
        notices = [
            self._trip(rule, one.cap.account, one.cap.name, told_short(one), at)
            for one in short
            if not one.may_wait
            for rule in (next(rule for rule, cap in caps if cap == one.cap),)
        ]
        return Admission(admitted=False, notices=tuple(notices))

    def must_wait(self, run: str, amount: Amount, at: float) -> bool:
        """Whether `reserve` would say that it waits; nothing is kept."""
        short = [] if self.holding(run) else self.short(run, amount, at)
        return bool(short) and all(one.may_wait for one in short)

    def short(self, run: str, amount: Amount, at: float) -> list[Short]:
        """The caps of a run that have no room for a call; nothing is kept."""
        return self._ledger.short([cap for _, cap in self._caps(self._subjects[run])], amount.to_map(), at)

    def left(self, run: str, at: float) -> dict[str, float]:
        """What the tightest caps of a run leave beside all that is reserved, by what they cap."""
        return self._ledger.left([cap for _, cap in self._caps(self._subjects[run])], at)

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
        self._ledger.use([cap for _, cap in self._caps(subject, tool)], used.to_map(), at)
        return [*self._unpriced(subject, used, at), *self._check(subject, at, tool)]

    def latency(self, run: str, dependency: str, latency_ms: float, at: float) -> list[Notice]:
        """A call of a model or tool took so long."""
        about = {account: rule for rule, account in self._about(self._subjects[run])}
        limits = [(account, rule.trip) for account, rule in about.items()]
        return [
            self._trip(about[account], account, "latency_ratio", text, at)
            for account, text in self._latencies.took(dependency, latency_ms, limits)
            if (about[account].id, account) not in self._trips
        ]

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
        if reached := self.still_held(breaker, account, at, caps or {}):
            raise StillReached(reached)
        for name, value in (caps or {}).items():
            self.set_cap(breaker, account, name, value)
        return self._resume(trip, f"{breaker}: resumed", at)

    def still_held(self, breaker: str, account: str, at: float, caps: Mapping[str, float]) -> str | None:
        """Why `resume` with these caps would be refused, in words, or None; nothing changes."""
        before = self._set.kept((breaker, account, name) for name in caps)
        for name, value in caps.items():
            self.set_cap(breaker, account, name, value)
        try:
            return self._still(breaker, account, at)
        finally:
            self._set.put_back(before)
            self._known.clear()

    def put_trip(self, trip: Notice) -> None:
        """A trip that is on record holds its runs, whatever was counted."""
        if trip.breaker in self._rules:
            self._trips[trip.breaker, trip.account] = trip

    def lift(self, breaker: str, account: str) -> None:
        """A resume that is on record: the trip is over, whatever was counted."""
        self._trips.pop((breaker, account), None)

    def set_cap(self, breaker: str, account: str, limit: str, value: float, written: float | None = None) -> None:
        """A person sets another cap for one account, when the file said `written`; None: what it says now.

        It holds until the file says something stricter of this limit.
        Raises: KeyError where the breaker has no such limit.
        """
        now_written = self._rules[breaker].trip[limit]
        then = now_written if written is None else written
        self._set.set((breaker, account, limit), value, then=then, written=now_written)
        self._known.clear()

    def caps_of(self, breaker: str, account: str) -> dict[str, float]:
        """What caps an account now, by limit; nothing where there is no such breaker."""
        written = self.limits_of(breaker)
        return {name: self._set.limit(breaker, account, name, limit) for name, limit in written.items()}

    def recheck(self, at: float, account: str | None = None) -> list[Notice]:
        """What other caps make of what was used already: of one account, or of all."""
        found: list[Notice] = []
        for subject in self._subjects.values():
            accounts = {cap.account for _, cap in self._caps(subject)}
            if account is None or account in accounts:
                found += self._check(subject, at)
                if account is not None:
                    break
        return found

    def counts_in(self, run: str, account: str) -> bool:
        """Whether what this run uses is counted in an account."""
        return account in (place for _, place in self._about(self._subjects[run]))

    def holding(self, run: str) -> list[Notice]:
        """The trips that hold a run now."""
        subject = self._subjects[run]
        accounts = self._about(subject) if self._trips else []
        keys = [(rule.id, place) for rule, account in accounts for place in (account, f"{rule.id}/run/{run}")]
        return [self._trips[key] for key in dict.fromkeys(keys) if key in self._trips]

    @property
    def trips(self) -> list[Notice]:
        """Every trip that holds something, oldest first."""
        return list(self._trips.values())

    @property
    def rules(self) -> list[BreakerRule]:
        """Those in force."""
        return list(self._rules.values())

    def kills(self, breaker: str) -> bool:
        """Whether what this breaker holds when it trips is to be killed."""
        return (rule := self._rules.get(breaker)) is not None and rule.kills

    def limits_of(self, breaker: str) -> Mapping[str, float]:
        """The limits of a breaker by name, as its rule has them; none where there is no such breaker."""
        return rule.trip if (rule := self._rules.get(breaker)) else {}

    def accounts(self, at: float) -> list[dict[str, Any]]:
        """Every cap of every account that counts a live run: what is used, reserved and left of it."""
        found: dict[tuple[str, str, str], dict[str, Any]] = {}
        for subject in self._subjects.values():
            for rule, cap in self._caps(subject):
                key = (rule.id, cap.account, cap.name)
                if key in found:
                    found[key]["runs"] += 1
                    continue
                way = self._runway(cap, at)
                trip = self._trips.get((rule.id, cap.account))
                found[key] = {
                    "breaker": rule.id,
                    "account": cap.account,
                    "limit": cap.name,
                    "window": cap.window,
                    "used": way.used,
                    "reserved": self._ledger.reserved(cap.account, cap.what),
                    "cap": cap.limit,
                    "per_minute": way.per_minute,
                    "full_in_seconds": way.seconds,
                    "runs": 1,
                    "tripped": trip.text if trip else "",
                }
        return list(found.values())

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
            (rule, f"{rule.id}/{rule.scope}/{name_of(rule, subject)}")
            for rule in self._rules.values()
            if rule.agent.matches(subject.agent) and is_labelled(rule.label, subject.labels)
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
            limit = self._set.limit(rule.id, account, name, limit)
            if name in COUNTED:
                yield Cap(account=account, what=name, window=rule.window, limit=limit, name=name)
            elif name == SAME_TOOL:
                if tool:
                    place = self._place_of(account, tool)
                    yield Cap(account=place, what="tool_calls", window="minute", limit=limit, name=name)
            elif name.endswith(PER_MINUTE):
                what = name.removesuffix(PER_MINUTE)
                yield Cap(account=account, what=what, window="minute", limit=limit, name=name)

    def _place_of(self, account: str, tool: str) -> str:
        tools = self._tools.setdefault(account, set())
        if len(tools) < TOOLS_MAX:
            tools.add(tool)
        return f"{account}/{tool if tool in tools else OTHER_TOOLS}"

    def _check(self, subject: Subject, at: float, tool: str = "") -> list[Notice]:
        found: list[Notice] = []
        for rule, cap in self._caps(subject, tool):
            used = self._ledger.used(cap.account, cap.what, cap.window, at)
            account = cap.account if cap.name != SAME_TOOL else f"{rule.id}/{rule.scope}/{name_of(rule, subject)}"
            key = (rule.id, cap.account, cap.name)
            if used >= cap.limit:
                if (rule.id, account) not in self._trips:
                    found.append(self._trip(rule, account, cap.name, told_reached(cap, used), at))
            elif rule.warn_at is None or used < rule.warn_at * cap.limit:
                self._warned.discard(key)
            elif key not in self._warned:
                self._warned.add(key)
                found.append(make_notice(Note.WARN, rule.id, account, cap.name, told_reached(cap, used), at))
        return found

    def _wall_clock(self, subject: Subject, at: float) -> Iterable[Notice]:
        for rule in (rule for rule, _ in self._about(subject) if "wall_clock" in rule.trip):
            account = f"{rule.id}/run/{subject.run}"
            limit = self._set.limit(rule.id, account, "wall_clock", rule.trip["wall_clock"])
            lasted = at - subject.started_at
            if lasted >= limit and (rule.id, account) not in self._trips:
                text = f"runs for {lasting(lasted)} of {lasting(limit)}"
                yield self._trip(rule, account, "wall_clock", text, at)

    def _still(self, breaker: str, account: str, at: float) -> str | None:
        """Which limit of an account is still reached, in words."""
        rule = self._rules[breaker]
        for cap in self._caps_of(rule, account):
            used = self._ledger.used(cap.account, cap.what, cap.window, at)
            if used >= cap.limit:
                return told_reached(cap, used)
        trip = self._trips[breaker, account]
        if trip.limit != "wall_clock":
            return None
        subject = self._subjects.get(account.removeprefix(f"{breaker}/run/"))
        limit = self.caps_of(breaker, account).get("wall_clock", 0.0)
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
            yield make_notice(Note.UNPRICED, new[0][0], new[0][1], "cost_usd", text, at)

    def _trip(self, rule: BreakerRule, account: str, limit: str, text: str, at: float) -> Notice:
        until = None if rule.resume_seconds is None else at + rule.resume_seconds
        notice = make_notice(Note.TRIP, rule.id, account, limit, text, at, until)
        self._trips[rule.id, account] = notice
        return notice

    def _resume(self, trip: Notice, text: str, at: float) -> Notice:
        del self._trips[trip.breaker, trip.account]
        self._latencies.forget(trip.account)
        return make_notice(Note.RESUME, trip.breaker, trip.account, trip.limit, text, at)

    def dump(self) -> dict[str, Any]:
        """Windows, reservations, trips and raised caps as JSON values; the runs are told again by `started`."""
        return {
            "ledger": self._ledger.dump(),
            "trips": [asdict(one) for one in self._trips.values()],
            "warned": [list(one) for one in self._warned],
            "raised": self._set.dump(),
            "callers": self._callers,
            "tools": {account: sorted(tools) for account, tools in self._tools.items()},
            **self._latencies.dump(),
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
        breakers._set = SetCaps.load(state["raised"], {rule.id: rule.trip for rule in rules})
        breakers._callers = {str(id): str(run) for id, run in state["callers"].items()}
        breakers._latencies = Latencies.load(state)
        breakers._tools = {str(account): set(map(str, tools)) for account, tools in state.get("tools", {}).items()}
        return breakers
