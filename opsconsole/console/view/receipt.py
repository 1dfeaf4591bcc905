"""The receipt of a kill as lines: how far it has come, with milliseconds and proof per point; it obtains no proof."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from opsconsole.console.view.amounts import age, milliseconds
from opsconsole.console.view.line import Line, Span, Tone
from opsconsole.console.view.outbox import Entry, Sent
from opsconsole.console.view.status import is_dead
from opsconsole.console.view.unread import as_came
from opsconsole.domain.ids import short_id
from opsconsole.domain.proof import Proof
from opsconsole.domain.run import TERMINAL, RunState
from opsconsole.protocol.rows import RunRow

NAMED_MAX = 50
"""Runs of one kill that are named, those about which least is known first; the others are counted."""
_PROOF_WORDS = {
    Proof.PROCESS: "a supervisor saw the exit and an empty process tree",
    Proof.COOPERATIVE: "the agent ended the run itself; no supervisor checked for processes",
    Proof.LEASE: "its lease ran out while it was cut off",
    Proof.NONE: "nothing proves that it is dead",
}
_PENDING: dict[Sent, tuple[str, Tone]] = {
    Sent.QUEUED: ("QUEUED, NOT SENT: the link is down", "alarm"),
    Sent.SENT: ("sent, waiting for the hub", "warn"),
    Sent.EXPIRED: ("NOT SENT: it waited too long for the link; nothing was stopped", "alarm"),
    Sent.UNKNOWN: ("UNKNOWN: the hub never answered; look at the row", "alarm"),
}


def receipt(
    entry: Entry,
    rows: list[RunRow],
    *,
    kin: Sequence[RunRow] = (),
    remains: Sequence[Line] = (),
    total: int,
    now: float,
    monotonic: float,
) -> list[Line]:
    """The receipt of one kill command.

    `rows` are those of its runs that the board shows, read or not, `total` how many it names, `kin` the runs that died
    with one, `remains` what they left, which stands before the list of runs.
    """
    if entry.status in _PENDING:
        text, tone = _PENDING[entry.status]
        left = f"; expires in {age(entry.until - monotonic)}" if entry.status is Sent.QUEUED else ""
        return [((f"KILL {_named(rows, total)}: {text}{left}", tone),)]
    if entry.status is Sent.REFUSED:
        return [((f"KILL {_named(rows, total)}: REFUSED {entry.code} {entry.message}", "alarm"),)]
    head = _head(entry, rows, total)
    if total == 1 and len(rows) == 1:
        return [head, *_one(rows[0], now), *remains, *[_short(row) for row in kin]]
    return [head, *remains, *[_short(row) for row in _worst_first(rows)], *_more(len(rows))]


def resume_line(row: RunRow) -> list[Line]:
    """How work that was not finished goes on from the last checkpoint, where one was kept; a killed run never does."""
    if row.checkpoint is None or row.state not in TERMINAL - {RunState.COMPLETED}:
        return []
    return [
        ((f"  checkpoint {row.checkpoint}: ", "good"), ("a new run goes on from it, on its machine, by", "plain")),
        ((f"    opsconsole run --resume {row.run} -- COMMAND", "strong"),),
    ]


def _head(entry: Entry, rows: list[RunRow], total: int) -> Line:
    taken = (
        "" if entry.answered_at is None else f"  hub answered in {milliseconds((entry.answered_at - entry.at) * 1_000)}"
    )
    again = "  it was dead already" if entry.hub_status == "already_dead" else ""
    if total == 1:
        return ((f"KILL {_named(rows, total)}", "strong"), (f"{taken}{again}", "dim"))
    came = as_came(rows)
    dead = [row for row in came if is_dead(row)]
    processes = sum(row.kill is not None and row.kill.proof is Proof.PROCESS for row in dead)
    doubtful = sum(row.kill is not None and row.kill.status == "unconfirmed" for row in came)
    spans: list[Span] = [(f"KILL {total:,} runs: {len(dead):,} dead ({processes:,} by process proof)", "strong")]
    if doubtful:
        spans.append((f"  {doubtful:,} UNCONFIRMED", "alarm"))
    return (*spans, (f"  {total - len(dead) - doubtful:,} under way{taken}", "dim"))


def _one(row: RunRow, now: float) -> list[Line]:
    kill = row.kill
    if kill is None:
        if row.state in TERMINAL:
            return [((f"{row.agent} {short_id(row.run)} had ended before: {row.state.value}", "plain"),)]
        return [((f"{row.agent} {short_id(row.run)}: recorded, waiting for the first word of its points", "warn"),)]
    lines: list[Line] = [_verdict(row, now)]
    names = max((len(point.name) for point in kill.points), default=0)
    lines += [
        ((f"  {point.name:<{names}}", "strong"), (f"{milliseconds(point.ms):>10}  {point.outcome}", "plain"))
        for point in kill.points
    ]
    if kill.reason:
        lines.append((("  reason: ", "dim"), (kill.reason, "plain")))
    return lines


def _verdict(row: RunRow, now: float) -> Line:
    kill = row.kill
    assert kill is not None
    who = f"{row.agent} {short_id(row.run)}"
    if kill.status == "unconfirmed":
        return (
            (f"KILL UNCONFIRMED  {who}: no proof of death after {age(now - kill.sent_at)}. It may still run.", "alarm"),
        )
    if kill.status in ("dead", "already_dead"):
        took = "" if kill.total_ms is None else f" in {milliseconds(kill.total_ms)}"
        tone: Tone = "good" if kill.proof is not Proof.NONE else "alarm"
        return ((f"DEAD ({kill.proof.value}){took}  {who}: {_PROOF_WORDS[kill.proof]}", tone),)
    word = "STOPPING" if kill.status == "stopping" else "KILL SENT"
    return ((f"{word}  {who}: no proof yet, {age(now - kill.sent_at)}", "warn"),)


def _short(row: RunRow) -> Line:
    kill = row.kill
    who = f"  {row.agent} {short_id(row.run)}: "
    if kill is None:
        return ((who, "strong"), (row.state.value, "dim"))
    took = "" if kill.total_ms is None else f" in {milliseconds(kill.total_ms)}"
    tone: Tone = "alarm" if kill.status == "unconfirmed" else "plain" if is_dead(row) else "warn"
    points = "".join(f"  {point.name} {milliseconds(point.ms)} {point.outcome}" for point in kill.points)
    return ((who, "strong"), (f"{kill.status} (proof: {kill.proof.value}){took}", tone), (points, "dim"))


def _worst_first(rows: list[RunRow]) -> list[RunRow]:
    """The first NAMED_MAX of them; the others are not even read."""
    ranks = [
        (is_dead(row), row.kill is None or row.kill.status != "unconfirmed", row.key, place)
        for place, row in enumerate(as_came(rows))
    ]
    return [rows[place] for *_, place in heapq.nsmallest(NAMED_MAX, ranks)]


def _more(count: int) -> list[Line]:
    left = count - NAMED_MAX
    return [((f"  … and {left:,} more, none worse off than these", "dim"),)] if left > 0 else []


def _named(rows: list[RunRow], total: int) -> str:
    if total == 1 and rows:
        return f"{rows[0].agent} {short_id(rows[0].run)}"
    return f"{total:,} runs"
