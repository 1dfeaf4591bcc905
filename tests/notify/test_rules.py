"""What becomes a message, and when it goes out: new things once, in a rate, and nothing left out in silence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.notify.rules import RULES, Message, QuietHours, Throttle, Urgency, message_of
from opsconsole.protocol.audit_words import WORDS

NOON, NIGHT = 12 * 60, 23 * 60


def asked(number: int = 1) -> dict[str, Any]:
    return {
        "kind": "approval.requested",
        "approval": f"apr_{number}",
        "agent": "billing",
        "run": "run_1",
        "tool": "run_sql",
        "args": {"query": "DROP TABLE users"},
        "risk": "high",
        "why": "changes the schema",
    }


def said(about: str, urgency: Urgency = Urgency.NOTICE) -> Message:
    return Message(title="t", body="b", urgency=urgency, about=about)


def test_a_held_call_is_told_with_its_run_its_arguments_and_why() -> None:
    assert message_of(asked()) == Message(
        title="opsconsole: A call waits for a decision",
        body='billing · run_1: held run_sql {"query": "DROP TABLE users"}, risk high: changes the schema',
        urgency=Urgency.NOTICE,
        about="approval.requested apr_1",
    )


def test_a_held_call_says_whose_decision_it_waits_for_and_whose_does_not_count() -> None:
    quorums = [{"approvers": 2, "group": "finance", "people": ["dee", "eli", "fay"]}]
    message = message_of(asked() | {"quorums": quorums, "not_by": ["dee"]})
    assert message is not None
    assert message.body.endswith(": changes the schema (asks 2 of finance, not dee)")


def test_a_policy_that_fails_otherwise_is_another_message() -> None:
    first, second, again = (
        message_of({"kind": "policy.rejected", "problems": [problem]}) for problem in ("line 3", "line 9", "line 3")
    )
    assert first is not None
    assert second is not None
    assert (first.about == second.about, first == again) == (False, True)


@pytest.mark.parametrize("kind", ["breaker.tripped", "limit.tripped"])
def test_what_trips_again_at_a_raised_cap_is_another_message(kind: str) -> None:
    entry = {"kind": kind, "account": "day/agent/bot", "run": "run_1", "breaker": "day"}
    told = [message_of(entry | {"reached": reached}) for reached in ("$2.05 of $2", "$3.07 of $3")]
    assert len({one.about for one in told if one}) == 2


@pytest.mark.parametrize(("severity", "is_told", "is_told_of_all"), [("trip", True, True), ("warn", False, True)])
def test_alerts_are_told_when_they_trip_or_all_of_them_where_wanted(
    severity: str, is_told: bool, is_told_of_all: bool
) -> None:
    entry = {"kind": "alert.raised", "alert": "alr_1", "severity": severity, "text": "stall"}
    told = (message_of(entry) is not None, message_of(entry, warnings=True) is not None)
    assert told == (is_told, is_told_of_all)


@pytest.mark.parametrize("kind", ["login", "run.started", "call.outcome", "token.created", "nonsense"])
def test_what_needs_nobody_is_no_message(kind: str) -> None:
    assert message_of({"kind": kind, "run": "run_1"}) is None


@pytest.mark.parametrize(("status", "is_told"), [("unconfirmed", True), ("dead", False)])
def test_a_kill_is_told_only_while_it_is_not_confirmed(status: str, is_told: bool) -> None:
    assert (message_of({"kind": "kill.outcome", "run": "run_1", "status": status}) is not None) is is_told


def test_an_agent_cannot_drive_a_telephone_with_its_words() -> None:
    message = message_of(asked() | {"agent": "a\x1b]52;c;x\x07", "why": "b\r\n\u202eevil"})
    assert message is not None
    assert all(char.isprintable() for char in message.body)


def test_a_message_is_short_however_long_the_entry() -> None:
    message = message_of(asked() | {"args": {"query": "x" * 100_000}})
    assert message is not None
    assert len(message.body) < 800


def test_the_same_thing_about_the_same_subject_is_said_once() -> None:
    throttle = Throttle(per_minute=10)
    assert throttle.admit([said("a"), said("a"), said("b")], now=0, minute_of_day=NOON) == [said("a"), said("b")]
    assert throttle.admit([said("a")], now=599, minute_of_day=NOON) == []
    assert throttle.admit([said("a")], now=600, minute_of_day=NOON) == [said("a")]


def test_a_flood_is_cut_at_the_rate_and_its_size_is_told_later() -> None:
    throttle = Throttle(per_minute=2)
    assert len(throttle.admit([said(str(number)) for number in range(9)], now=0, minute_of_day=NOON)) == 2
    (later,) = throttle.admit([], now=60, minute_of_day=NOON)
    assert later.body == "7 messages were kept back by the rate or the quiet hours; the console has them all."


def test_quiet_hours_keep_back_everything_but_the_critical() -> None:
    throttle = Throttle(per_minute=10, quiet=QuietHours.parse("22:00-07:00"))
    loud = said("kill", Urgency.CRITICAL)
    assert throttle.admit([said("a"), loud], now=0, minute_of_day=NIGHT) == [loud]
    assert throttle.admit([], now=9 * 3_600, minute_of_day=8 * 60)[0].body.startswith("1 message was kept back")


def test_a_critical_message_passes_a_rate_that_is_used_up() -> None:
    throttle = Throttle(per_minute=1)
    loud = said("kill", Urgency.CRITICAL)
    assert throttle.admit([said("a"), said("b"), loud], now=0, minute_of_day=NOON) == [said("a"), loud]


def test_a_flood_of_critical_messages_is_cut_at_thrice_the_rate_and_told_even_at_night() -> None:
    throttle = Throttle(per_minute=2, quiet=QuietHours.parse("22:00-07:00"))
    flood = [said(str(number), Urgency.CRITICAL) for number in range(100)]
    assert throttle.admit(flood, now=0, minute_of_day=NIGHT) == flood[:6]
    (later,) = throttle.admit([], now=60, minute_of_day=NIGHT)
    assert (later.body, later.urgency) == (
        "94 critical messages were kept back by the rate; the console has them all.",
        Urgency.CRITICAL,
    )


@pytest.mark.parametrize(
    ("hours", "minute", "is_quiet"),
    [("22:00-07:00", 0, True), ("22:00-07:00", 7 * 60, False), ("01:00-02:00", 90, True), ("05:00-05:00", 300, False)],
)
def test_quiet_hours_may_pass_midnight(hours: str, minute: int, is_quiet: bool) -> None:
    assert QuietHours.parse(hours).hold(minute) is is_quiet


@pytest.mark.parametrize("text", ["", "22-7", "25:00-07:00", "22:00", "22:60-07:00", "-1:00-07:00"])
def test_what_is_no_pair_of_times_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time of day"):
        QuietHours.parse(text)


def test_every_kind_that_is_told_has_its_words() -> None:
    assert RULES.keys() <= WORDS.keys()


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abcdef"), st.sampled_from(Urgency)), max_size=60))
def test_whatever_comes_no_minute_has_more_than_the_rate_of_ordinary_messages(
    coming: list[tuple[int, str, Urgency]],
) -> None:
    throttle = Throttle(per_minute=3)
    sent = [
        (at, message.urgency)
        for at, about, urgency in sorted(coming)
        for message in throttle.admit([said(about, urgency)], now=at, minute_of_day=NOON)
    ]
    ordinary = [at for at, urgency in sent if urgency < Urgency.CRITICAL]
    assert all(sum(start <= at < start + 60 for at in ordinary) <= 3 for start in ordinary)


CRITICAL = {
    "approval.escalated",
    "policy.rejected",
    "kill.outcome",
    "call.unpermitted",
    "run.zombie",
    "supervisor.refused",
    "storage.failed",
    "audit.gap",
}
"""What nobody may sleep through."""
NOT_CRITICAL = {
    "approval.requested",
    "approval.reminded",
    "alert.raised",
    "breaker.tripped",
    "limit.tripped",
    "run.given_up",
}


def test_what_is_told_even_in_quiet_hours_is_what_nobody_may_sleep_through() -> None:
    entry = {"run": "run_1", "status": "unconfirmed", "severity": "trip"}
    told = {kind: message_of(entry | {"kind": kind}) for kind in RULES}
    assert {kind for kind, one in told.items() if one and one.urgency is Urgency.CRITICAL} == CRITICAL
    assert {kind for kind, one in told.items() if one and one.urgency < Urgency.CRITICAL} == NOT_CRITICAL


def test_a_call_that_others_are_asked_about_too_is_another_message() -> None:
    entry = {"kind": "approval.escalated", "approval": "apr_1", "run": "run_1"}
    told = [message_of(entry | {"to": group}) for group in ("leads", "board", "leads")]
    assert len({one.about for one in told if one}) == 2


@pytest.mark.parametrize("urgency", [Urgency.NOTICE, Urgency.CRITICAL])
def test_what_was_kept_back_is_told_once_and_counts_like_any_message(urgency: Urgency) -> None:
    throttle = Throttle(per_minute=1)
    throttle.admit([said(str(number), urgency) for number in range(9)], now=0, minute_of_day=NOON)
    assert len(throttle.admit([], now=60, minute_of_day=NOON)) == 1
    assert throttle.admit([], now=200, minute_of_day=NOON) == []


def test_the_confession_takes_the_place_of_a_message() -> None:
    throttle = Throttle(per_minute=1)
    throttle.admit([said("a"), said("b")], now=0, minute_of_day=NOON)
    assert len(throttle.admit([], now=60, minute_of_day=NOON)) == 1
    assert throttle.admit([said("c")], now=61, minute_of_day=NOON) == []


def test_the_subjects_said_longest_ago_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.notify.rules.REMEMBERED_MAX", 2)
    throttle = Throttle(per_minute=100)
    for about in ("a", "b", "c"):
        throttle.admit([said(about)], now=0, minute_of_day=NOON)
    again = [said("c"), said("b"), said("a")]
    assert throttle.admit(again, now=1, minute_of_day=NOON) == [said("a")]
