"""A run's timeline and audit become a scenario: who said what, what the model answered, what the gate said."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.tool_call import CallStatus
from opsconsole.policy.interface import Decision
from opsconsole.scenario.case import STEPS_MAX, TEXT_CHARS_MAX, AnswerCall, Message, Scenario, ToolCall, Turn
from opsconsole.scenario.recording import recorded
from tests.scenario.rows import (
    BEGAN,
    RUN,
    allowed,
    answered,
    asked,
    begun,
    decided,
    ended,
    held,
    over,
    price,
    proposed,
    refused,
    timeline,
    used,
    user,
)


def told(*events: dict[str, Any], audit: tuple[dict[str, Any], ...] = ()) -> Scenario:
    return recorded(RUN, timeline(*events), audit, price)


def test_a_run_is_pinned_with_its_words_answers_calls_and_verdicts() -> None:
    scenario = told(
        begun(name="Refund 1042", labels={"team": "shop"}),
        asked("turn_1", user("Refund order 1042")),
        answered("turn_1", "I look it up."),
        used(1),
        proposed("call_1", "read_table", table="orders"),
        ended("call_1", "running"),
        ended("call_1", result="order 1042", duration_ms=12.5),
        over(),
        audit=(allowed("call_1", "read_table"),),
    )
    assert (scenario.name, scenario.agent, dict(scenario.labels)) == ("Refund 1042", "refunds", {"team": "shop"})
    assert (scenario.run, scenario.started_at, scenario.state) == (RUN, BEGAN, "completed")
    assert scenario.policy == "sha256:then"
    look = AnswerCall(id="call_1", tool="read_table", args={"table": "orders"})
    assert scenario.steps == (
        Message(at=1.0, role="user", text="Refund order 1042"),
        Turn(
            at=1.0,
            model="gpt-4o",
            text="I look it up.",
            calls=(look,),
            input_tokens=1_000,
            output_tokens=100,
            cost_usd=0.011,
        ),
        ToolCall(
            at=4.0,
            id="call_1",
            tool="read_table",
            args={"table": "orders"},
            decision=Decision.ALLOW,
            rule="default:read-only",
            status=CallStatus.COMPLETED,
            result="order 1042",
            duration_ms=12.5,
        ),
    )


def test_the_answer_holds_calls_that_never_came_before_the_gate() -> None:
    calls = [
        {"id": f"c{n}", "function": {"name": name, "arguments": '{"n": 1}'}} for n, name in enumerate(("think", "pay"))
    ]
    again = (user("go"), {"role": "assistant", "content": None, "tool_calls": calls}, user("and?"))
    scenario = told(asked("t1", user("go")), answered("t1"), proposed("x1", "pay", n=1), asked("t2", *again))
    first = scenario.turns[0]
    assert first.calls == (
        AnswerCall(id="c0", tool="think", args={"n": 1}),
        AnswerCall(id="c1", tool="pay", args={"n": 1}),
    )


def test_a_call_that_no_later_request_repeats_is_the_answers_too() -> None:
    again = (user("go"), {"role": "assistant", "content": "words only"})
    scenario = told(asked("t1", user("go")), answered("t1"), proposed("x1", "pay", n=1), asked("t2", *again))
    assert scenario.turns[0].calls == (AnswerCall(id="x1", tool="pay", args={"n": 1}),)


def test_what_anthropic_calls_content_is_understood() -> None:
    blocks = [{"type": "text", "text": "well"}, {"type": "tool_use", "id": "tu1", "name": "pay", "input": {"n": 2}}]
    said = {"role": "user", "content": [{"type": "text", "text": "go"}]}
    scenario = told(asked("t1", said), answered("t1"), asked("t2", said, {"role": "assistant", "content": blocks}))
    assert scenario.task == "go"
    assert scenario.turns[0].calls == (AnswerCall(id="tu1", tool="pay", args={"n": 2}),)


def test_a_message_is_told_once_however_often_requests_repeat_it() -> None:
    scenario = told(
        asked("t1", user("go")),
        answered("t1", "well"),
        {"type": "message", "id": "m1", "role": "assistant", "text": "well"},
        asked("t2", user("go"), {"role": "assistant", "content": "well"}, user("and now?")),
    )
    assert [type(step).__name__ for step in scenario.steps] == ["Message", "Turn", "Message", "Turn"]
    assert [step.text for step in scenario.steps if isinstance(step, Message)] == ["go", "and now?"]


def test_a_growing_message_is_whole_in_the_end() -> None:
    grown = [{"type": "message", "id": "m1", "role": "user", "append": part} for part in ("Re", "fund")]
    assert told(*grown).task == "Refund"


def test_words_beside_a_wordless_answer_are_the_answers() -> None:
    scenario = told(asked("t1"), answered("t1"), {"type": "message", "id": "m1", "role": "assistant", "text": "done"})
    assert [step.text for step in scenario.turns] == ["done"]
    assert len(scenario.steps) == 1


def test_a_turn_costs_what_its_readings_add() -> None:
    scenario = told(asked("t1"), answered("t1"), used(1), asked("t2"), answered("t2"), used(3))
    assert [(turn.input_tokens, turn.cost_usd) for turn in scenario.turns] == [(1_000, 0.011), (2_000, 0.022)]


def test_an_author_who_knows_a_price_is_believed_where_we_know_none() -> None:
    events = (asked("t1"), used(1, cost_usd=0.5), asked("t2"), used(2, cost_usd=0.75))
    scenario = recorded(RUN, timeline(*events), (), lambda *_: None)
    assert [turn.cost_usd for turn in scenario.turns] == [0.5, 0.25]


def test_what_a_gateway_priced_goes_before_the_list() -> None:
    priced = {"priced_by": "genai-prices 0.0.1"}
    events = (asked("t1"), used(1, cost_usd=0.5, **priced), asked("t2"), used(2, cost_usd=0.75, **priced))
    assert [turn.cost_usd for turn in told(*events).turns] == [0.5, 0.25]
    without = (asked("t1"), used(1, cost_usd=0.5), asked("t2"), used(2, cost_usd=0.75))
    assert [turn.cost_usd for turn in told(*without).turns] == [0.011, 0.011]


def test_a_price_that_nobody_knows_is_not_nothing() -> None:
    scenario = recorded(RUN, timeline(asked("t1"), used(1)), (), lambda *_: None)
    assert scenario.turns[0].cost_usd is None


def test_what_a_person_decided_stands_beside_what_the_policy_said() -> None:
    audit = (held("c1", "pay"), decided("c1", "pay", "reject"))
    (call,) = told(proposed("c1", "pay", n=1), ended("c1", "denied", error="no"), audit=audit).calls
    assert (call.decision, call.rule, call.answer, call.status) == ("ask", "default:ask", "reject", CallStatus.DENIED)


def test_a_refusal_of_the_gate_is_not_the_policys() -> None:
    (call,) = told(proposed("c1", "pay", n=1), audit=(refused("c1", "pay", rule="gate:fenced"),)).calls
    assert call.decision is None


def test_facts_that_were_kept_are_kept() -> None:
    facts = {"sql": {"writes": True}}
    (call,) = told(proposed("c1", "run_sql", query="x"), audit=(refused("c1", "run_sql", facts=facts),)).calls
    assert (call.decision, call.facts) == (Decision.DENY, facts)


def test_a_call_that_a_grant_let_through_was_asked_about() -> None:
    (call,) = told(proposed("c1", "pay", n=1), audit=(allowed("c1", "pay", rule="grant:g1"),)).calls
    assert (call.decision, call.rule, call.answer) == (Decision.ASK, "grant:g1", "grant")


def test_what_the_server_said_of_its_tool_is_kept() -> None:
    hints = {"readOnlyHint": True}
    audit = (allowed("c1", "get_page", server="docs", annotations=hints),)
    (call,) = told(proposed("c1", "get_page"), audit=audit).calls
    assert (call.server, call.annotations) == ("docs", hints)


def test_masked_arguments_are_known_as_such() -> None:
    (call,) = told(proposed("c1", "login", password="[secret:value:7f3a]")).calls
    assert call.masked


def test_a_late_report_does_not_change_the_arguments_that_were_proposed() -> None:
    events = (proposed("c1", "pay", n=1), {**ended("c1", "running"), "args": {"n": 2}})
    (call,) = told(*events).calls
    assert call.args == {"n": 1}


def test_a_handoff_is_no_call_of_the_model() -> None:
    handoff = {"type": "tool", "id": "h1", "name": "handoff", "kind": "handoff", "status": "proposed", "target": "b"}
    scenario = told(asked("t1"), answered("t1"), handoff)
    assert scenario.turns[0].calls == ()
    assert scenario.calls[0].target == "b"


def test_a_long_result_is_cut_and_says_so() -> None:
    (call,) = told(proposed("c1", "cat"), ended("c1", result="x" * (TEXT_CHARS_MAX + 7))).calls
    assert (len(call.result), call.left_out) == (TEXT_CHARS_MAX, 7)


def test_a_long_run_is_pinned_up_to_the_limit_and_says_so() -> None:
    scenario = told(*(proposed(f"c{n}", "pay", n=n) for n in range(STEPS_MAX + 3)))
    assert (len(scenario.steps), scenario.steps_left_out) == (STEPS_MAX, 3)


def test_events_of_a_newer_agent_are_passed_over() -> None:
    assert told({"type": "hologram", "id": "x"}, {"type": "tool", "id": "c1"}, proposed("c1", "pay")).calls


def test_a_message_that_its_own_event_tells_late_is_no_second() -> None:
    event = {"type": "message", "id": "m1", "role": "user", "text": "go"}
    assert [type(step).__name__ for step in told(asked("t1", user("go")), event).steps] == ["Message", "Turn"]
    assert [type(step).__name__ for step in told(event, asked("t1", user("go"))).steps] == ["Message", "Turn"]


def test_the_words_of_a_turn_that_is_told_of_late_are_its_own() -> None:
    late = {"type": "tool", "id": "t2", "name": "gpt-4o", "kind": "model_call", "status": "completed", "args": {}}
    words = {"type": "message", "id": "m2", "role": "assistant", "append": "second"}
    scenario = told(asked("t1"), answered("t1"), proposed("c1", "pay"), ended("c1", result="ok"), words, late)
    assert [(type(step).__name__, getattr(step, "text", "")) for step in scenario.steps] == [
        ("Turn", ""),
        ("ToolCall", ""),
        ("Turn", "second"),
    ]


def test_the_first_verdict_on_a_call_is_the_policys() -> None:
    audit = (held("c1", "pay"), refused("c1", "pay", rule="late"))
    (call,) = told(proposed("c1", "pay", n=1), audit=audit).calls
    assert (call.decision, call.rule) == (Decision.ASK, "default:ask")


def test_what_was_told_of_a_tool_with_its_first_call_holds_for_its_later_ones() -> None:
    schema = {"type": "object"}
    scenario = told(
        begun(),
        proposed("call_1", "look") | {"input_schema": schema},
        proposed("call_2", "look"),
        proposed("call_3", "ghost") | {"offered": False},
        proposed("call_4", "ghost"),
        over(),
    )
    assert [(call.schema, call.made_up) for call in scenario.calls] == [
        *[(schema, False)] * 2,
        *[({}, True)] * 2,
    ]
