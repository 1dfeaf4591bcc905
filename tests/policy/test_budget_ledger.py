"""The ledger under any interleaving: no cap is overshot by more than what was admitted takes beyond its reservation."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy import budget_ledger
from opsconsole.policy.breaker_windows import WINDOW_SECONDS, Window
from opsconsole.policy.budget_ledger import BudgetLedger, Cap, Short

RUN = Cap(account="run", what="cost_usd", window="total", limit=5.0)
DAY = Cap(account="day", what="cost_usd", window="day", limit=8.0)


def test_fifty_at_once_do_not_find_the_money_that_one_will_spend() -> None:
    ledger = BudgetLedger()
    admitted = [id for id in map(str, range(50)) if not ledger.reserve(id, [RUN], {"cost_usd": 1.0}, 0.0)]
    assert admitted == ["0", "1", "2", "3", "4"]
    assert ledger.reserved("run", "cost_usd") == 5.0


def test_what_is_not_used_is_given_back() -> None:
    ledger = BudgetLedger()
    ledger.reserve("a", [RUN], {"cost_usd": 5.0}, 0.0)
    short = ledger.reserve("b", [RUN], {"cost_usd": 2.0}, 0.0)
    assert short == [Short(cap=RUN, used=0.0, reserved=5.0, asked=2.0)]
    assert short[0].may_wait
    assert ledger.settle("a", {"cost_usd": 1.0}, 1.0)
    assert ledger.reserve("b", [RUN], {"cost_usd": 2.0}, 1.0) == []


def test_room_is_kept_in_every_account_or_in_none() -> None:
    ledger = BudgetLedger()
    ledger.use([DAY], {"cost_usd": 7.5}, 0.0)
    assert [one.cap for one in ledger.reserve("a", [RUN, DAY], {"cost_usd": 1.0}, 0.0)] == [DAY]
    assert ledger.reserved("run", "cost_usd") == 0.0


def test_the_same_reservation_twice_is_one_and_settles_once() -> None:
    ledger = BudgetLedger()
    for _ in range(2):
        assert ledger.reserve("a", [RUN], {"cost_usd": 4.0}, 0.0) == []
    assert [ledger.settle("a", {"cost_usd": 4.0}, 0.0) for _ in range(2)] == [True, False]
    assert ledger.used("run", "cost_usd", "total", 0.0) == 4.0


def test_old_reservations_can_be_found() -> None:
    ledger = BudgetLedger()
    ledger.reserve("a", [RUN], {"cost_usd": 1.0}, 0.0)
    assert (ledger.overdue(60.0, 60.0), ledger.overdue(61.0, 60.0)) == ([], ["a"])


def test_the_pace_is_that_of_the_last_five_minutes() -> None:
    ledger = BudgetLedger()
    for minute in range(30):
        ledger.use([RUN], {"cost_usd": 1.0 if minute < 20 else 0.1}, minute * 60.0 + 1)
    assert ledger.pace("run", "cost_usd", 30 * 60.0 - 1) == pytest.approx(0.1)


AMOUNTS = st.floats(0.01, 3.0)
STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "over", "use", "restart"]), st.integers(0, 9), AMOUNTS),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_no_interleaving_overshoots_a_cap(steps: list[tuple[str, int, float]]) -> None:
    ledger, open_now, beyond, spent = BudgetLedger(), {}, 0.0, 0.0
    for number, (step, which, amount) in enumerate(steps):
        id, at = str(which), float(number)
        if step == "reserve" and id not in open_now:
            if not ledger.reserve(id, [RUN, DAY], {"cost_usd": amount}, at):
                open_now[id] = amount
        elif step in ("settle", "over") and id in open_now:
            reserved = open_now.pop(id)
            used = reserved * min(1.0, amount / 3) if step == "settle" else reserved + amount
            beyond += max(0.0, used - reserved)
            ledger.settle(id, {"cost_usd": used}, at)
            spent += used
        elif step == "restart":
            ledger = BudgetLedger.load(json.loads(json.dumps(ledger.dump())))
        assert ledger.used("run", "cost_usd", "total", at) == pytest.approx(spent)
        assert ledger.reserved("run", "cost_usd") == pytest.approx(sum(open_now.values()), abs=1e-6)
        assert spent + sum(open_now.values()) <= RUN.limit + beyond + 1e-6


def test_what_is_left_is_what_the_tightest_cap_leaves_of_each_thing_beside_what_is_reserved() -> None:
    ledger, tokens = BudgetLedger(), Cap(account="day", what="tokens", window="day", limit=100.0)
    ledger.use([DAY], {"cost_usd": 5.5}, 0.0)
    ledger.reserve("a", [RUN, DAY, tokens], {"cost_usd": 1.0, "tokens": 30.0}, 0.0)
    assert ledger.left([RUN, DAY, tokens], 0.0) == {"cost_usd": 1.5, "tokens": 70.0}


def test_nothing_is_left_of_a_cap_that_is_passed() -> None:
    ledger = BudgetLedger()
    ledger.use([RUN], {"cost_usd": 7.0}, 0.0)
    assert ledger.left([DAY, RUN], 0.0) == {"cost_usd": 0.0}


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_who_takes_no_more_than_is_left_always_finds_room_and_overshoots_no_cap(
    steps: list[tuple[str, int, float]],
) -> None:
    ledger, open_now, spent = BudgetLedger(), {}, 0.0
    for number, (step, which, amount) in enumerate(steps):
        id, at = str(which), float(number)
        if step == "reserve" and id not in open_now:
            open_now[id] = min(amount, ledger.left([RUN, DAY], at)["cost_usd"])
            assert ledger.reserve(id, [RUN, DAY], {"cost_usd": open_now[id]}, at) == []
        elif id in open_now:
            used = open_now.pop(id) * min(1.0, amount / 3)
            ledger.settle(id, {"cost_usd": used}, at)
            spent += used
        assert spent + sum(open_now.values()) <= min(RUN.limit, DAY.limit) + 1e-6


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 10)), max_size=60), st.sampled_from(["minute", "hour"]))
@settings(max_examples=150, deadline=None)
def test_a_window_never_holds_less_than_the_truth_nor_more_than_a_bucket_of_it(steps, name: str) -> None:
    seconds, at, added = WINDOW_SECONDS[name], 1_000_000.0, []
    window = Window(seconds)
    for pause, amount in steps:
        at += pause * seconds / 3_600
        window.add(amount, at)
        added.append((at, amount))
        total = window.sum(at)
        assert total >= math.fsum(amount for when, amount in added if when > at - seconds) - 1e-6
        assert total <= math.fsum(amount for when, amount in added if when > at - seconds * 62 / 60) + 1e-6


def test_a_window_comes_back_from_json() -> None:
    window = Window(60.0)
    for at in range(100):
        window.add(1.0, float(at))
    again = Window.load(60.0, json.loads(json.dumps(window.dump())))
    assert [again.sum(at) for at in (99.0, 120.0, 200.0)] == [window.sum(at) for at in (99.0, 120.0, 200.0)]


def test_a_ledger_that_cannot_be_read_is_no_empty_one() -> None:
    with pytest.raises(KeyError):
        BudgetLedger.load({})


def test_only_accounts_in_which_nothing_counts_are_forgotten() -> None:
    ledger = BudgetLedger()
    for account, window in (("total", "total"), ("minute", "minute"), ("reserved", "minute")):
        cap = Cap(account=account, what="cost_usd", window=window, limit=9.0)
        ledger.use([cap], {"cost_usd": 1.0}, 0.0)
        if account == "reserved":
            ledger.reserve("a", [cap], {"cost_usd": 1.0}, 0.0)
    ledger.forget_idle(2 * WINDOW_SECONDS["hour"])
    assert [ledger.has(account) for account in ("total", "minute", "reserved")] == [True, False, True]


def test_accounts_beyond_the_bound_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_ledger, "ACCOUNTS_MAX", 1)
    ledger = BudgetLedger()
    for account in "abc":
        ledger.use([replace(RUN, account=account)], {"cost_usd": 1.0}, 0.0)
    assert [ledger.used(account, "cost_usd", "total", 0.0) for account in "abc"] == [1.0, 2.0, 2.0]
