"""What each agent's model says when calls run, are refused, edited or answered, and when an operator speaks."""

from __future__ import annotations

import pytest

from opsconsole.demo.scripts import MISSING_ITEM, SCRIPTS
from tests.demo.dialogue import TURNS_MAX, Dialogue

REFUND = {"id": 3, "order_id": 9, "reason": "wrong colour", "amount_cents": 5000, "status": "pending"}
ORDER = {"id": 9, "total_cents": 4000, "status": "delivered"}
LOGS = [{"path": "logs/checkout.log", "kilobytes": 80}, {"path": "logs/checkout.log.1", "kilobytes": 90}]
DENIED = "Denied by ana: not today"


def shop(name: str, args: object) -> object:
    asked = dict(args)  # type: ignore[call-overload]
    if name == "read_table":
        return [ORDER] if asked["table"] == "orders" else [{**REFUND, "paid_cents": 4000}]
    return {"statement": asked["statement"], "parameters": asked["parameters"], "rows_changed": 1}


def test_refunds_pays_books_and_ends() -> None:
    story = Dialogue("refunds", "Refund batch 1").play(shop)
    assert story == [
        "read_table",
        "read_table",
        "sql",
        "read_table",
        "sql",
        "The refund is paid and booked.",
    ]


def test_refunds_pays_no_more_than_the_order_cost() -> None:
    dialogue = Dialogue("refunds", "Refund batch 1")
    dialogue.next()
    dialogue.result([REFUND])
    dialogue.next()
    dialogue.result([ORDER])
    (call,) = dialogue.next().calls
    assert call.args["parameters"] == {"cents": 4000, "id": 3}


def test_a_refused_payment_is_not_asked_for_again() -> None:
    story = Dialogue("refunds", "Refund batch 1").play(
        lambda name, args: DENIED if name == "sql" else shop(name, args),
    )
    assert story == [
        "read_table",
        "read_table",
        "sql",
        "I was not allowed to pay this refund; it stays pending. Denied by ana: not today",
    ]


def test_an_edited_payment_is_noticed() -> None:
    dialogue = Dialogue("refunds", "Refund batch 1")
    for result in ([REFUND], [ORDER], {"statement": "UPDATE other", "parameters": {}, "rows_changed": 1}):
        dialogue.next()
        dialogue.result(result)
    assert dialogue.next().text == "An operator changed my statement. I check what it did."


def test_an_operators_answer_in_words_does_not_derail_refunds() -> None:
    story = Dialogue("refunds", "Refund batch 1").play(lambda *_: "I paid it by hand.")
    assert story == ["read_table", "No refund waits: nothing to do."]


def test_sre_packs_the_logs_it_may_not_remove() -> None:
    commands = []

    def refuse_removal(name: str, args: object) -> object:
        if name != "shell":
            return LOGS if name == "list_files" else ["399: ERROR"]
        commands.append(dict(args)["command"])  # type: ignore[call-overload]
        return DENIED if commands[-1].startswith("rm ") else {"command": commands[-1], "exit_code": 0}

    story = Dialogue("sre", "Alert 1").play(refuse_removal)
    assert commands == ["rm -v -- logs/checkout.log.1", "gzip -v -- logs/checkout.log.1", "sh bin/restart checkout"]
    assert story[-1] == "Checkout is back; logs take 170 kB now."


def test_sre_restarts_at_once_where_no_old_log_is_left() -> None:
    commands = []

    def only_the_live_log(name: str, args: object) -> object:
        if name == "shell":
            commands.append(dict(args)["command"])  # type: ignore[call-overload]
        return LOGS[:1] if name == "list_files" else ["399: ERROR"]

    Dialogue("sre", "Alert 1").play(only_the_live_log)
    assert commands == ["sh bin/restart checkout"]


def test_the_planner_hands_the_findings_to_the_writer() -> None:
    handed = []
    story = Dialogue("planner", "Report 4").play(lambda _, args: handed.append(dict(args)) or "two tickets")
    assert [args["to"] for args in handed] == ["researcher", "writer"]
    assert handed[1]["task"] == "Write report 4 from these findings: two tickets"
    assert story[-1] == "Done. two tickets"


def test_the_looper_repeats_the_same_failing_call() -> None:
    asked = []
    Dialogue("looper", "Stock question 1").play(lambda _, args: asked.append(dict(args)) or "Error: 503")
    assert asked == [{"path": MISSING_ITEM}] * TURNS_MAX


def test_the_spender_thinks_at_length_and_never_ends() -> None:
    reply = Dialogue("spender", "Strategy memo 1").next()
    assert (len(reply.text) > 5_000, reply.reasoning_tokens) == (True, 6_000)
    assert Dialogue("spender", "Strategy memo 1").play(lambda *_: "noted") == ["think"] * TURNS_MAX


@pytest.mark.parametrize("agent", SCRIPTS)
def test_an_operator_who_says_stop_ends_any_agent(agent: str) -> None:
    dialogue = Dialogue(agent, "Task 1")
    dialogue.next()
    dialogue.result("anything")
    dialogue.say("Please stop now")
    reply = dialogue.next()
    assert (reply.calls, reply.text) == (
        (),
        "The operator asks me to stop: “Please stop now”. I end the task here.",
    )


def test_other_words_of_an_operator_are_acknowledged_once() -> None:
    dialogue = Dialogue("looper", "Stock question 1")
    dialogue.next()
    dialogue.result("Error: 503")
    dialogue.say("try the mirror")
    assert dialogue.next().text.startswith("Noted, from the operator: “try the mirror”. Still no answer.")
    dialogue.result("Error: 503")
    assert dialogue.next().text.startswith("Still no answer.")


@pytest.mark.parametrize("agent", SCRIPTS)
def test_the_same_conversation_always_gets_the_same_reply(agent: str) -> None:
    assert Dialogue(agent, "Task 2").next() == Dialogue(agent, "Task 2").next()
