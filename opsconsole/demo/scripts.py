"""What each agent's model says, as tables: the first rule that fits a conversation gives the reply; it runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opsconsole.demo.conversation import Call, Conversation, Reply, Result

When = Callable[[Conversation], bool]
Say = Callable[[Conversation], Reply]
Rule = tuple[When, Say]

STOP_WORDS = ("stop", "finish", "abort", "wrap up")
"""An operator's message with one of these makes any agent end its task."""

MISSING_ITEM = "/inventory/sku-4711"
"""The shop answers 503 here for ever: what the looping agent asks for."""

QUESTION = "late parcels"
"""What the planner's researcher looks up."""

LIVE_LOG = "logs/checkout.log"
"""The log that checkout writes to: never removed."""

MEMO_WORDS = (
    "weighs the alternatives once more and finds that each depends on an assumption the previous section made;",
    "restates the objective in stronger terms before the argument turns to the second-order effects of the first;",
    "observes that the forecast would improve if the horizon were longer, and therefore extends the horizon;",
    "compares the scenario with itself under another name, which confirms it with remarkable precision;",
)


def answer(conversation: Conversation) -> Reply:
    """The reply to a conversation; the same conversation always gets the same one."""
    heard = " ".join(conversation.unheard)
    if any(word in heard.lower() for word in STOP_WORDS):
        return Reply(text=f"The operator asks me to stop: {_quoted(heard)}. I end the task here.")
    script = SCRIPTS.get(conversation.agent, _FALLBACK)
    reply = next(say(conversation) for when, say in script if when(conversation))
    return replace(reply, text=f"Noted, from the operator: {_quoted(heard)}. {reply.text}") if heard else reply


# What a conversation can look like


def _first(conversation: Conversation) -> bool:
    return not conversation.results


def _always(_: Conversation) -> bool:
    return True


def _after(tool: str, *, denied: bool = False, **args: Any) -> When:
    """The last call was `tool`, was or was not denied, and was asked with at least these arguments."""

    def fits(conversation: Conversation) -> bool:
        last = conversation.last
        return (
            last is not None
            and last.tool == tool
            and last.denied == denied
            and all(last.asked.get(name) == value for name, value in args.items())
        )

    return fits


def _asked(conversation: Conversation, text: str) -> bool:
    """Whether the arguments of the last call contain `text`."""
    return conversation.last is not None and text in str(dict(conversation.last.asked))


def _both(left: When, right: When) -> When:
    return lambda conversation: left(conversation) and right(conversation)


def _mentions(text: str) -> When:
    return lambda conversation: _asked(conversation, text)


def _no_rows(conversation: Conversation) -> bool:
    return conversation.last is not None and not _rows(conversation.last)


# The parts of a reply


def _call(text: str, name: str, **args: Any) -> Reply:
    return Reply(text=text, calls=(Call(name=name, args=args),))


def _always_say(text: str) -> Say:
    return lambda _: Reply(text=text)


def _always_call(text: str, name: str, **args: Any) -> Say:
    return lambda _: _call(text, name, **args)


def _refused(what: str) -> Say:
    return lambda conversation: Reply(text=f"I was not allowed to {what}. {_last_text(conversation)}")


def _last_text(conversation: Conversation) -> str:
    return conversation.last.text if conversation.last else ""


def _rows(result: Result) -> list[Mapping[str, Any]]:
    data = result.data
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _quoted(text: str) -> str:
    return f"“{text.strip()[:200]}”"


# refunds: reads, one write to the table, one to the ledger


def _choose_refund(conversation: Conversation) -> Mapping[str, Any]:
    found = next((result for result in conversation.results if result.asked.get("table") == "refunds"), None)
    rows = _rows(found) if found else []
    return rows[conversation.number % len(rows)] if rows else {}


def _read_order(conversation: Conversation) -> Reply:
    refund = _choose_refund(conversation)
    text = f"Refund {refund.get('id')} claims {refund.get('reason')!r}. I look at its order."
    return _call(text, "read_table", table="orders", where={"id": refund.get("order_id")}, limit=1)


def _pay(conversation: Conversation) -> Reply:
    refund = _choose_refund(conversation)
    order = _rows(conversation.last)[0] if conversation.last and _rows(conversation.last) else {}
    cents = min(int(refund.get("amount_cents") or 0), int(order.get("total_cents") or 0))
    total = _euro(order.get("total_cents"))
    return _call(
        f"Order {order.get('id')} was {total} and is {order.get('status')}: I pay {_euro(cents)}.",
        "sql",
        statement="UPDATE refunds SET status = 'paid', paid_cents = :cents WHERE id = :id AND status = 'pending'",
        parameters={"cents": cents, "id": refund.get("id")},
    )


def _check_payment(conversation: Conversation) -> Reply:
    last = conversation.last
    ran = last.data if last and isinstance(last.data, dict) else {}
    same = last is not None and all(ran.get(key) == last.asked.get(key) for key in ("statement", "parameters"))
    text = (
        "Paid. I check what the table says now." if same else "An operator changed my statement. I check what it did."
    )
    return _call(text, "read_table", table="refunds", where={"id": _choose_refund(conversation).get("id")}, limit=1)


def _book(conversation: Conversation) -> Reply:
    row = _rows(conversation.last)[0] if conversation.last and _rows(conversation.last) else {}
    return _call(
        f"Refund {row.get('id')} is {row.get('status')} with {_euro(row.get('paid_cents'))}. I book it.",
        "sql",
        statement="INSERT INTO ledger (refund_id, cents) VALUES (:id, :cents)",
        parameters={"id": row.get("id"), "cents": row.get("paid_cents")},
    )


def _euro(cents: Any) -> str:
    return f"{int(cents or 0) / 100:.2f} EUR"


REFUNDS: tuple[Rule, ...] = (
    (
        _first,
        _always_call("I look at what waits.", "read_table", table="refunds", where={"status": "pending"}, limit=5),
    ),
    (_both(_after("read_table", table="refunds"), _no_rows), _always_say("No refund waits: nothing to do.")),
    (_both(_after("read_table", table="refunds"), lambda c: len(c.results) == 1), _read_order),
    (_after("read_table", table="orders"), _pay),
    (_both(_after("sql"), _mentions("UPDATE")), _check_payment),
    (_both(_after("sql", denied=True), _mentions("UPDATE")), _refused("pay this refund; it stays pending")),
    (_after("read_table", table="refunds"), _book),
    (_after("sql", denied=True), _refused("book the payment; accounting must do it")),
    (_after("sql"), _always_say("The refund is paid and booked.")),
    (_always, lambda c: Reply(text=f"I cannot go on from here: {_last_text(c)}")),
)

# sre: looks, reads, removes old logs (or packs them when refused), restarts


def _old_logs(conversation: Conversation) -> list[str]:
    """The first few logs that checkout no longer writes to."""
    listed = next((result for result in conversation.results if result.tool == "list_files"), None)
    paths = sorted(str(row.get("path")) for row in _rows(listed)) if listed else []
    return [path for path in paths if path != LIVE_LOG][:4]


def _restart(conversation: Conversation) -> Reply:
    text = "Room again." if conversation.results[-1].tool == "shell" else "There is nothing to remove."
    return _call(f"{text} Checkout needs a restart.", "shell", command="sh bin/restart checkout")


def _remove_logs(conversation: Conversation) -> Reply:
    old = _old_logs(conversation)
    if not old:
        return _restart(conversation)
    text = "The errors are out of disk space. The rotated logs can go."
    return _call(text, "shell", command=f"rm -v -- {' '.join(old)}")


def _pack_logs(conversation: Conversation) -> Reply:
    loose = [path for path in _old_logs(conversation) if not path.endswith(".gz")]
    if not loose:
        return _refused("make room; a person must")(conversation)
    text = f"I may not remove them ({_last_text(conversation)}). Packed, they are a tenth of the size."
    return _call(text, "shell", command=f"gzip -v -- {' '.join(loose)}")


def _report_space(conversation: Conversation) -> Reply:
    kilobytes = sum(int(row.get("kilobytes") or 0) for row in (_rows(conversation.last) if conversation.last else ()))
    return Reply(text=f"Checkout is back; logs take {kilobytes} kB now.")


SRE: tuple[Rule, ...] = (
    (_first, _always_call("Checkout is alerting. How full are the logs?", "list_files", directory="logs")),
    (
        _both(_after("list_files"), lambda c: len(c.results) == 1),
        _always_call("What does checkout complain about?", "grep", pattern="ERROR", path=LIVE_LOG),
    ),
    (_after("grep"), _remove_logs),
    (_both(_after("shell", denied=True), _mentions("rm -v")), _pack_logs),
    (_both(_after("shell", denied=True), _mentions("gzip")), _refused("make room; a person must")),
    (_after("shell", denied=True), _refused("restart checkout; the logs are done")),
    (
        _both(_after("shell"), _mentions("bin/restart")),
        _always_call("Restarted. I look at the logs once more.", "list_files", directory="logs"),
    ),
    (
        _after("shell"),
        _always_call("Room again. Checkout needs a restart.", "shell", command="sh bin/restart checkout"),
    ),
    (_always, _report_space),
)

# planner, researcher, writer


def _hand_to_writer(conversation: Conversation) -> Reply:
    text = "The researcher is done. The writer makes a report of it."
    task = f"Write report {conversation.number} from these findings: {_last_text(conversation)}"
    return _call(text, "delegate", to="writer", task=task)


PLANNER: tuple[Rule, ...] = (
    (
        _first,
        _always_call(
            "First the facts, then the report. The researcher begins.",
            "delegate",
            to="researcher",
            task=f"Find out what customers say about: {QUESTION}",
        ),
    ),
    (_both(_after("delegate"), _mentions("'researcher'")), _hand_to_writer),
    (_after("delegate", denied=True), _refused("hand this on")),
    (_always, lambda c: Reply(text=f"Done. {_last_text(c)}")),
)


def _found(conversation: Conversation) -> Reply:
    titles = [str(row.get("title")) for result in conversation.results for row in _rows(result)]
    return Reply(text=f"{len(titles)} tickets about {QUESTION}: {'; '.join(titles[:5]) or 'none'}.")


RESEARCHER: tuple[Rule, ...] = (
    (_first, _always_call("I search the tickets.", "search", query=QUESTION)),
    (_after("search"), _always_call("Is the carrier's page up?", "http_get_status", path="/carrier/status")),
    (_always, _found),
)


def _publish(conversation: Conversation) -> Reply:
    body = {"title": f"{QUESTION.capitalize()}, report {conversation.number}", "text": conversation.task}
    return _call("It is ready to be published.", "http_post", path="/reports", body=body)


def _published(conversation: Conversation) -> Reply:
    data = conversation.last.data if conversation.last else None
    number = data.get("body", {}).get("id") if isinstance(data, dict) else None
    return Reply(text=f"Published as report {number}." if number else f"The shop said: {_last_text(conversation)}")


WRITER: tuple[Rule, ...] = (
    (
        _first,
        _always_call("An outline: what happened, why, what next.", "think", thought="Lead with the number of tickets."),
    ),
    (_after("think"), _publish),
    (_after("http_post", denied=True), _refused("publish; I keep it as a draft")),
    (_always, _published),
)

# the three that need an operator


def _try_again(conversation: Conversation) -> Reply:
    attempt = conversation.turns + 1
    text = "I look up the stock." if attempt == 1 else f"Still no answer. I try once more, attempt {attempt}."
    return _call(text, "http_get_status", path=MISSING_ITEM)


LOOPER: tuple[Rule, ...] = ((_always, _try_again),)

HANGER: tuple[Rule, ...] = (
    (_first, _always_call("A customer misses an invoice. I read the ticket.", "read_file", path="tickets/1042.txt")),
    (
        _after("read_file"),
        _always_call("It must be in the archive.", "search_files", directory="archive", query="invoice 1042"),
    ),
    (_after("search_files", denied=True), _refused("search the archive")),
    (_always, lambda c: Reply(text=f"The archive says: {_last_text(c)}")),
)


def _memo(conversation: Conversation) -> Reply:
    section = conversation.turns + 1
    paragraph = " ".join(f"Section {section}.{n} {MEMO_WORDS[(section + n) % 4]}" for n in range(1, 61))
    reply = _call(paragraph, "think", thought=f"Section {section} is done. It needs another section.")
    return replace(reply, reasoning_tokens=6_000)


SPENDER: tuple[Rule, ...] = ((_always, _memo),)

SCRIPTS: Mapping[str, tuple[Rule, ...]] = {
    "refunds": REFUNDS,
    "sre": SRE,
    "planner": PLANNER,
    "researcher": RESEARCHER,
    "writer": WRITER,
    "looper": LOOPER,
    "hanger": HANGER,
    "spender": SPENDER,
}
_FALLBACK: tuple[Rule, ...] = ((_always, lambda c: Reply(text=f"I have no script for {c.agent!r}.")),)

FAULTS: Mapping[str, Mapping[int, int]] = {
    "sre": {1: 429},
    "planner": {1: 500},
    "looper": dict.fromkeys(range(5, 500, 10), 429),
}
"""agent -> turns spoken so far -> the status of the first attempt at the next one; the second attempt succeeds."""
