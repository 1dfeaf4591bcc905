"""A held call as lines: in the queue, and opened with its exact arguments; controls are never among these lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.agreement import found, must_say_yes, said_yes
from opsconsole.console.view.amounts import age, money, time_of_day
from opsconsole.console.view.call_in_short import call_in_short
from opsconsole.console.view.fence import fenced, fenced_spans, is_cut
from opsconsole.console.view.highlight import argument_spans
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, Span, Tone, cut, fit, fit_line, width_of, wrap_words
from opsconsole.console.view.offers import offers
from opsconsole.console.view.presence import have, names
from opsconsole.console.view.reading import is_whole
from opsconsole.console.view.timeline_lines import pretty
from opsconsole.domain.approval import SETTLED, ApprovalStatus, Delivery
from opsconsole.domain.ids import short_id
from opsconsole.domain.text import PANE_CHARS_MAX, safe, safe_line
from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.protocol.rows import ApprovalRow, RunRow

MESSAGES_MAX = 30
"""Messages of a conversation shown with a held model call: the newest."""
TOOL_LINES_MAX = 12
ARGUMENT_LINES_MAX = 2_000
"""Lines of arguments that are shown: a longer call cannot be approved here, as nobody would have seen all of it."""
CALL_CHARS_MAX = 240
"""Arguments of a call in a conversation that stay on one line."""

_RISKS: dict[Risk, tuple[str, Tone]] = {
    Risk.LOW: ("▲    LOW", "plain"),
    Risk.MEDIUM: ("▲▲   MED", "warn"),
    Risk.HIGH: ("▲▲▲  HIGH", "bad"),
    Risk.CRITICAL: ("▲▲▲▲ CRIT", "alarm"),
}
RUN_FROM_CELLS = 72
"""From this width on, the queue tells the runs of one agent apart."""
_HEADS = ((72, (10, 16, 15)), (60, (5, 12, 14)), (50, (5, 10, 9)), (0, (5, 10, 0)))
"""Least width of the queue -> cells of the risk, of the tool and of the agent; 0: no agent."""
CLAIM_CELLS_MAX = 8
"""Of the name of who looks at a call, in the queue."""
_SETTLED_TONES: dict[ApprovalStatus, Tone] = {ApprovalStatus.REJECTED: "warn", ApprovalStatus.EXPIRED: "warn"}


def queue_line(row: ApprovalRow, *, now: float, width: int, me: str = "") -> Line:
    """One held call in the queue, in exactly `width` cells, for the operator `me`; the risk is always a word."""
    settled = row.status in SETTLED
    risk, tone = _RISKS[row.risk]
    risk_cells, tool_cells, agent_cells = next(cells for least, cells in _HEADS if width >= least)
    agent = f"{row.agent} {short_id(row.run)}" if width >= RUN_FROM_CELLS else row.agent
    end = _fate(row, now, room=width // 3) if settled else f"{age(now - row.requested_at)} ≤{age(row.expires_at - now)}"
    head: list[Span] = [(fit(risk if risk_cells > 5 else risk.split()[1], risk_cells), "dim" if settled else tone)]
    head.append((fit(safe_line(row.tool), tool_cells) + " ", "dim" if settled else "strong"))
    if agent_cells:
        head.append((fit(safe_line(agent), agent_cells) + " ", "dim"))
    if mark := _whose(row, me):
        head.append((mark, "hold" if row.claimed_by != me else "ask"))
    room = width - width_of(head) - len(end) - 1
    head.append((fit(_in_short(row), max(0, room)), "dim" if settled else "plain"))
    urgent = not settled and row.expires_at - now < 60
    last: Tone = _SETTLED_TONES.get(row.status, "dim") if settled else "alarm" if urgent else "ask"
    return fit_line((*head, (f" {end}", last)), width)


def _whose(row: ApprovalRow, me: str) -> str:
    """`→you `: somebody passed it on to this operator; `◉ben `: looked at by somebody, or passed on to them."""
    if row.claimed_by is None or row.status in SETTLED:
        return ""
    mark = "→" if row.passed_by else "◉"
    return f"{mark}{'you' if row.claimed_by == me else cut(safe_line(row.claimed_by), CLAIM_CELLS_MAX)} "


def _in_short(row: ApprovalRow) -> str:
    if row.kind is CallKind.MODEL_CALL:
        messages = row.args.get("messages")
        return f"{len(messages)} messages" if isinstance(messages, list) else "a model call"
    given = call_in_short(row.args)
    return f"{said_yes(row)}  {given}" if row.groups else given


def _fate(row: ApprovalRow, now: float, *, room: int = 200) -> str:
    by = f" {row.decided_by}" if row.decided_by else ""
    travelled = "" if row.delivery is Delivery.NONE else f" {row.delivery.value}"
    ago = f" {age(now - row.decided_at)}" if row.decided_at else ""
    words = (
        f"{row.status.value}{by}{travelled}{ago}",
        f"{row.status.value}{travelled}{ago}",
        f"{row.status.value}{ago}",
    )
    return next((text for text in map(safe_line, words) if len(text) <= room), safe_line(words[-1]))


def what_is_asked(held: HeldCall, *, width: int) -> tuple[list[Line], bool]:
    """What a yes lets run: the exact arguments, or what a model is asked; and whether no argument is left out."""
    row = held.row
    if row.kind is CallKind.MODEL_CALL:
        return conversation(row.args, width=width), True
    lines = arguments(row, width=width)
    is_written = all(isinstance(value, str) or len(pretty(value)) <= PANE_CHARS_MAX for value in row.args.values())
    return lines, is_written and is_whole(held.args, row.args) and not is_cut(lines, lines_max=ARGUMENT_LINES_MAX)


def held_call_words(held: HeldCall, *, width: int, zone: tzinfo) -> list[Line]:
    """What a decision is bound to, the agent's words in a fence of their own, and what became of the call."""
    row = held.row
    asked = f"asked {time_of_day(row.requested_at, zone)}  {row.digest}"
    lines: list[Line] = [
        (("BOUND " if index == 0 else "      ", "dim"), (part, "dim"))
        for index, part in enumerate(wrap_words(asked, width - 6))
    ]
    if row.agent_reason:
        lines += fenced("THE AGENT SAYS (its own words, unchecked)", f"“{row.agent_reason}”", width=width)
    lines += _aftermath(row, width=width)
    return lines


def held_call_facts(
    held: HeldCall, run: RunRow | None, *, now: float, width: int, looking: Sequence[str] = ()
) -> list[Line]:
    """Risk, rule, run, and who else has it open."""
    row = held.row
    risk, tone = _RISKS[row.risk]
    lines: list[Line] = [
        ((f"{' '.join(risk.split())}  ", tone), (safe_line(row.tool), "title"), (f"  {row.kind.value}", "dim"))
    ]
    lines += [
        (("WHY   " if index == 0 else "      ", "dim"), (part, "plain"))
        for index, part in enumerate(wrap_words(f"{safe_line(row.why)} (rule {safe_line(row.rule)})", width - 6))
    ]
    for title, words in (("FOUND ", found(row)), ("YES   ", must_say_yes(row))):
        lines += [
            ((title if index == 0 else "      ", "dim"), (part, "plain"))
            for index, part in enumerate(wrap_words(words, width - 6) if words else ())
        ]
    who = f"{safe_line(row.agent)} {short_id(row.run)}"
    if run is not None:
        who += f"  {run.turns} turns  {money(run.cost_usd, known=run.cost_known)}  up {age(now - run.started_at)}"
        if run.link != "live" and row.status not in SETTLED:
            lines.append(((f"LINK  {run.link}: a decision will be delivered when the run is back", "warn"),))
    lines.append((("RUN   ", "dim"), (who, "plain")))
    if row.claimed_by:
        lines.append(((f"CLAIM {_claim(row)}", "hold"),))
    if looking:
        lines.append(((f"OPEN  {names(looking)} {have(looking)} it open too", "hold"),))
    return lines


def _claim(row: ApprovalRow) -> str:
    whom = safe_line(row.claimed_by or "")
    return f"passed on to {whom} by {safe_line(row.passed_by)}" if row.passed_by else f"{whom} looks at it"


def arguments(row: ApprovalRow, *, width: int) -> list[Line]:
    """The exact arguments in a fence: one line each where they fit, long texts as they would be written."""
    title = "ARGUMENTS, exactly" if not row.masked else "ARGUMENTS, secrets masked (the digest covers the real ones)"
    return fenced_spans(title, _arguments(row.args), width=width, lines_max=ARGUMENT_LINES_MAX)


def _arguments(args: dict[str, Any]) -> Iterator[Span]:
    """One by one: what does not fit into the fence is never looked at."""
    for place, (name, value) in enumerate(args.items()):
        if place:
            yield "\n", "plain"
        yield from argument_spans(safe_line(name), value, pretty)
    if not args:
        yield "(none)", "plain"


def conversation(args: dict[str, Any], *, width: int) -> list[Line]:
    """A model call: the newest messages, then the tools that were offered."""
    lines: list[Line] = []
    messages = args.get("messages")
    shown = messages[-MESSAGES_MAX:] if isinstance(messages, list) else []
    if isinstance(messages, list) and len(messages) > len(shown):
        lines.append(((f"… {len(messages) - len(shown)} earlier messages", "dim"),))
    for message in shown:
        role = safe_line(str(message.get("role", "?"))) if isinstance(message, dict) else "?"
        lines += fenced(f"MESSAGE, {role}", _said(message), width=width)
    words = ", ".join(offer.signature for offer in offers(args)) or "none offered"
    for index, part in enumerate(wrap_words(words, max(10, width - 6))[:TOOL_LINES_MAX]):
        lines.append((("TOOLS " if index == 0 else "      ", "dim"), (part, "plain")))
    return lines


def _said(message: Any) -> str:
    if not isinstance(message, dict):
        return safe(str(message))
    content = message.get("content")
    parts = [content if isinstance(content, str) else pretty(content)] if content else []
    calls = message.get("tool_calls")
    parts += [_call(call) for call in calls] if isinstance(calls, list) else []
    return safe("\n".join(parts) or "(empty)")


def _call(call: Any) -> str:
    """A call of the model on one line where it fits."""
    inner = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        return f"→ {pretty(call)}"
    args: Any = next((inner[key] for key in ("args", "arguments", "input") if key in inner), {})
    text = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
    return f"→ {inner['name']} {text if len(text) <= CALL_CHARS_MAX else pretty(args)}"


def _aftermath(row: ApprovalRow, *, width: int) -> list[Line]:
    if row.status not in SETTLED:
        return []
    by = f" by {safe_line(row.decided_by)}" if row.decided_by else ""
    lines: list[Line] = [((f"■ {row.status.value}{by}; {_DELIVERY[row.delivery]}", "strong"),)]
    if row.note:
        lines.append((("note  ", "dim"), (cut(safe_line(row.note), width - 6), "plain")))
    if row.edited_args is not None:
        lines += fenced("EDITED ARGUMENTS, as sent", pretty(row.edited_args), width=width, tone="plain")
    if row.response:
        lines += fenced("ANSWERED", row.response, width=width)
    if row.result:
        lines += fenced("WHAT BECAME OF IT", row.result, width=width)
    return lines


_DELIVERY = {
    Delivery.NONE: "not recorded yet",
    Delivery.RECORDED: "recorded, not yet delivered",
    Delivery.DELIVERED: "delivered, not yet applied",
    Delivery.APPLIED: "applied",
    Delivery.VOID: "VOID: the agent had moved on",
}


def standing(held: HeldCall | None, *, now: float) -> tuple[str, Tone]:
    """Whether a decision is still possible, in a few words of our own."""
    if held is None:
        return "this call is no longer in the queue", "bad"
    row = held.row
    if row.status is not ApprovalStatus.PENDING:
        return f"settled: {_fate(row, now)}", "warn"
    left = row.expires_at - now
    return f"waits for a decision, expires in {age(left)} (then it is refused)", "ask" if left >= 60 else "alarm"
