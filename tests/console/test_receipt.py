"""The receipt of a kill claims what is proven and nothing else."""

import json
from typing import Any

import pytest
from msgspec import Raw

from opsconsole.console.sample import NOW, run
from opsconsole.console.view.ingest import run_row
from opsconsole.console.view.outbox import Entry, Sent
from opsconsole.console.view.receipt import NAMED_MAX, receipt
from opsconsole.console.view.unread import UnreadRun, read, taken_in
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command
from opsconsole.protocol.rows import RunRow

KILL = {
    "command": "cmd_1",
    "by": "ana",
    "mode": "ladder",
    "reason": "",
    "sent_at": NOW - 16,
    "proof": "none",
    "points": [],
}


def entry(status: Sent = Sent.ACCEPTED, **fields: Any) -> Entry:
    answered = 100.009 if status is Sent.ACCEPTED else None
    command = Command(cmd="cmd_1", do=Do.KILL, run="run_1")
    return Entry(command=command, status=status, at=100.0, until=160.0, answered_at=answered, **fields)


def row(key: str = "run_1", *, state: str = "stopping", **kill: Any) -> RunRow:
    return run_row(run(key, "coder", state=state, kill={**KILL, "status": "sent", **kill}))


def lines(one: Entry, *rows: RunRow, total: int = 1, kin: tuple[RunRow, ...] = ()) -> list[str]:
    shown = receipt(one, list(rows), kin=kin, total=total, now=NOW, monotonic=130.0)
    return ["".join(part for part, _ in line) for line in shown]


def test_a_sent_kill_is_not_called_dead() -> None:
    assert lines(entry(), row()) == [
        "KILL coder 1  hub answered in 9.0 ms",
        "KILL SENT  coder 1: no proof yet, 16s",
    ]


def test_a_dead_run_is_named_with_its_proof_and_every_point_with_its_time() -> None:
    points = [{"name": "hub.fence", "ms": 0.4, "outcome": "fenced"}, {"name": "sdk", "ms": 12.9, "outcome": "ended"}]
    dead = row(state="killed", status="dead", proof="process", points=points, total_ms=41.7)
    assert lines(entry(), dead)[1:] == [
        "DEAD (process) in 42 ms  coder 1: a supervisor saw the exit and an empty process tree",
        "  hub.fence    0.4 ms  fenced",
        "  sdk           13 ms  ended",
    ]


def test_an_unconfirmed_kill_is_loud() -> None:
    shown = receipt(entry(), [row(status="unconfirmed")], total=1, now=NOW, monotonic=130.0)
    assert shown[1] == (("KILL UNCONFIRMED  coder 1: no proof of death after 16s. It may still run.", "alarm"),)


def test_death_without_proof_is_an_alarm() -> None:
    shown = receipt(entry(), [row(state="killed", status="dead")], total=1, now=NOW, monotonic=130.0)
    assert shown[1][0][1] == "alarm"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Sent.QUEUED, "KILL coder 1: QUEUED, NOT SENT: the link is down; expires in 30s"),
        (Sent.SENT, "KILL coder 1: sent, waiting for the hub"),
        (Sent.EXPIRED, "KILL coder 1: NOT SENT: it waited too long for the link; nothing was stopped"),
        (Sent.UNKNOWN, "KILL coder 1: UNKNOWN: the hub never answered; look at the row"),
    ],
)
def test_what_has_not_reached_the_hub_says_so(status: Sent, words: str) -> None:
    assert lines(entry(status), row()) == [words]


def test_a_refused_kill_says_why() -> None:
    assert lines(entry(Sent.REFUSED, code="forbidden", message="observers may not"), row()) == [
        "KILL coder 1: REFUSED forbidden observers may not"
    ]


def test_many_kills_are_summed_up_with_the_doubtful_ones_first() -> None:
    rows = [
        row("run_a", state="killed", status="dead", proof="process", total_ms=5.0),
        row("run_b", status="unconfirmed"),
        row("run_c"),
    ]
    assert lines(entry(), *rows, total=3) == [
        "KILL 3 runs: 1 dead (1 by process proof)  1 UNCONFIRMED  1 under way  hub answered in 9.0 ms",
        "  coder b: unconfirmed (proof: none)",
        "  coder c: sent (proof: none)",
        "  coder a: dead (proof: process) in 5.0 ms",
    ]


def test_a_claimed_end_is_not_summed_up_as_dead() -> None:
    rows = [row("run_a", state="completed", status="unconfirmed"), row("run_b", state="killed", status="stopping")]
    assert lines(entry(), *rows, total=2) == [
        "KILL 2 runs: 0 dead (0 by process proof)  1 UNCONFIRMED  1 under way  hub answered in 9.0 ms",
        "  coder a: unconfirmed (proof: none)",
        "  coder b: stopping (proof: none)",
    ]


def test_the_children_that_a_kill_takes_along_are_listed() -> None:
    child = row("run_2", state="killed", status="dead", proof="cooperative")
    assert lines(entry(), row(), kin=(child,))[-1] == "  coder 2: dead (proof: cooperative)"


def test_a_run_that_had_ended_before_is_not_claimed_as_killed() -> None:
    ended = run_row(run("run_1", "coder", state="completed"))
    assert lines(entry(hub_status="already_dead"), ended) == [
        "KILL coder 1  hub answered in 9.0 ms  it was dead already",
        "coder 1 had ended before: completed",
    ]


def unread_runs(count: int) -> list[RunRow]:
    """Killed runs as they came; every tenth is not proven dead."""
    told = [("killed", {"status": "dead", "proof": "process"}), ("stopping", {"status": "unconfirmed"})]
    rows = [
        run(f"run_{number:03}", "coder", state=state, kill={**KILL, **kill})
        for number in range(count)
        for state, kill in [told[number % 10 == 9]]
    ]
    return [taken_in(Raw(json.dumps(one).encode())) for one in rows]


def test_the_receipt_of_many_runs_says_the_same_of_them_read_or_not() -> None:
    unread = unread_runs(120)
    assert lines(entry(), *unread, total=120) == lines(entry(), *map(read, unread_runs(120)), total=120)


def test_the_receipt_of_many_runs_names_those_it_knows_least_of_and_counts_all() -> None:
    shown = lines(entry(), *unread_runs(120), total=120)
    assert (shown[0], shown[1], len(shown), shown[-1]) == (
        "KILL 120 runs: 108 dead (108 by process proof)  12 UNCONFIRMED  0 under way  hub answered in 9.0 ms",
        "  coder 009: unconfirmed (proof: none)",
        NAMED_MAX + 2,
        "  … and 70 more, none worse off than these",
    )


def test_the_receipt_of_many_runs_reads_only_the_runs_that_it_names() -> None:
    unread = unread_runs(120)
    lines(entry(), *unread, total=120)
    assert sum(isinstance(one, UnreadRun) and one._row is not None for one in unread) == NAMED_MAX
