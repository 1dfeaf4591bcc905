"""Who must say yes to a held call, who has, and what the policy found: in words on the console."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from opsconsole.console.sample import NOW, approval
from opsconsole.console.view.agreement import found, must_say_yes, said_yes
from opsconsole.console.view.frame_lines import header
from opsconsole.console.view.held_call import held_call_facts, queue_line
from opsconsole.console.view.ingest import HeldCall, held_call
from opsconsole.console.view.link_lines import banner
from opsconsole.console.view.session import Session
from opsconsole.protocol.frames import Snap, Welcome

PAIR = {"approvers": 2, "groups": ["finance"], "votes": ["dee"]}


def held(**fields: Any) -> HeldCall:
    return held_call(approval("apr_1", "run_1", "payer", "pay", {"amount": 50}, call="call_1", **fields))


def test_where_one_operator_decides_nothing_is_said() -> None:
    row = held().row
    assert (said_yes(row), must_say_yes(row), found(row)) == ("", "", "")


def test_it_is_said_how_many_of_whom_have_said_yes() -> None:
    row = held(**PAIR).row
    assert (said_yes(row), must_say_yes(row)) == ("1 of 2 (dee)", "1 of 2 (dee), from finance")


def test_who_may_not_decide_is_named() -> None:
    assert must_say_yes(held(not_by=["eli"]).row) == "not eli"
    assert must_say_yes(held(**PAIR | {"not_by": ["eli"]}).row) == "1 of 2 (dee), from finance, not eli"


def test_who_changed_the_arguments_is_named() -> None:
    assert must_say_yes(held(**PAIR | {"edited_by": "eli"}).row).endswith("; eli has changed the arguments")


def test_facts_are_told_as_far_as_they_are_true() -> None:
    facts = {"tool": {"mcp": True}, "sql": {"writes": True, "unclear": False, "tables": ["users"], "why": ""}}
    row = held(facts=facts, rule="pay", matched=["pay", "sql"], failed=["odd"]).row
    assert found(row) == "sql: writes, tables (users); also matched: sql; could not be evaluated: odd"


def test_the_queue_and_the_open_call_show_it() -> None:
    call = held(**PAIR)
    line = "".join(text for text, _ in queue_line(call.row, now=NOW, width=120))
    facts = ["".join(text for text, _ in line) for line in held_call_facts(call, None, now=NOW, width=80)]
    assert "1 of 2 (dee)  amount=50" in line
    assert "YES   1 of 2 (dee), from finance" in facts


def test_hostile_names_stay_on_their_line() -> None:
    row = held(approvers=2, groups=["a\nb"], votes=["\x1b[2J"]).row
    assert must_say_yes(row).isprintable()


def with_hub(alerts: list[dict[str, Any]]) -> Session:
    session = Session(wall=NOW, now=0.0, zone=UTC)
    session.opened(Welcome(epoch="e", conn="c", principal="ana", role="operator", beat_seconds=10, time=NOW), now=0.0)
    row = {"key": "hub", "policy": "acme", "policy_hash": "sha256:0123456789", "policy_since": 0.0, "alerts": alerts}
    session.received(Snap(sub="hub", epoch="e", part=0, end=True, rev=1, rows=[row]), now=0.0)
    return session


def test_the_header_names_the_policy_where_there_is_room() -> None:
    session = with_hub([])
    wide, narrow = ("".join(text for text, _ in header(session, now=0.0, width=width)) for width in (120, 40))
    assert ("acme 01234567" in wide, "acme" in narrow) == (True, False)


def test_what_is_amiss_with_the_hub_is_the_banner() -> None:
    alert = {"id": "h", "kind": "policy_rejected", "text": "the policy file is bad", "level": "critical", "at": NOW}
    line = banner(with_hub([alert]), now=0.0, width=80, zone=UTC)
    assert line is not None
    assert "the policy file is bad" in "".join(text for text, _ in line)
    assert banner(with_hub([]), now=0.0, width=80, zone=UTC) is None
