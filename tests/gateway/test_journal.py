"""What a gateway's journal keeps when its process dies, and what it never writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from opsconsole.domain.command import Do
from opsconsole.gateway.journal import NUMBERS_RESERVED, GatewayJournal
from opsconsole.sdk.journal import CallRecord, journal_path
from opsconsole.sdk.order import Order


def opened(folder: Path) -> GatewayJournal:
    return GatewayJournal(folder, "run_1", point="gateway")


def died(journal: GatewayJournal) -> None:
    """The process ends without a word: what is in memory is gone, and the kernel lets go of its lock."""
    journal._db.close()
    journal._run_lock.release()


def on_disk(folder: Path, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(journal_path(folder, "run_1", "gateway")) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def order(do: Do, number: int) -> bytes:
    return Order(cmd=f"cmd_{number}", cseq=number, do=do).to_json()


def test_what_the_hub_has_soon_is_never_written(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(1, "note", b"one")
    journal.settle()
    journal.acknowledge(1)
    journal.settle()
    assert (on_disk(tmp_path, "events"), journal.bytes) == ([], 0)


def test_what_the_hub_has_not_got_for_a_while_outlives_the_process(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(1, "note", b"one")
    journal.settle()
    journal.settle()
    died(journal)
    assert opened(tmp_path).read(1, 9) == [(1, b"one")]


def test_written_and_fresh_events_are_read_as_one(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(1, "note", b"one")
    journal.settle(all_of_it=True)
    journal.append(2, "note", b"two")
    assert (journal.read(1, 2), journal.next_after(0), journal.next_after(1)) == ([(1, b"one"), (2, b"two")], 1, 2)


def test_what_was_written_goes_once_the_hub_has_it(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in (1, 2):
        journal.append(number, "note", b"word")
    journal.settle(all_of_it=True)
    journal.acknowledge(1)
    journal.settle()
    assert ([row[0] for row in on_disk(tmp_path, "events")], journal.bytes) == ([2], 4)


def test_no_number_is_used_again_after_a_death(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(1, "note", b"lost")
    died(journal)
    later = opened(tmp_path)
    assert (later.last_seq, later.read(1, later.last_seq)) == (1 + NUMBERS_RESERVED, [])


def test_an_orderly_end_leaves_no_hole(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(1, "note", b"kept")
    journal.close()
    later = opened(tmp_path)
    assert (later.last_seq, later.read(1, 9)) == (1, [(1, b"kept")])


@pytest.mark.parametrize("do", [Do.KILL, Do.PAUSE, Do.TAKEOVER])
def test_a_command_is_on_disk_before_it_is_acknowledged(tmp_path: Path, do: Do) -> None:
    journal = opened(tmp_path)
    journal.command("cmd_1", 1, order(do, 1))
    died(journal)
    later = opened(tmp_path)
    assert (later.cseq, later.command("cmd_1", 1, order(do, 1))) == (1, False)


def test_a_verdict_sent_twice_is_one(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    news = [journal.command("cmd_1", 1, order(Do.VERDICT, 1)) for _ in range(2)]
    journal.answer("cmd_1", b"done")
    assert (news, journal.answered("cmd_1"), on_disk(tmp_path, "commands")) == ([True, False], b"done", [])


def test_a_held_call_is_known_after_a_death_and_a_turn_that_is_over_is_not(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    held = CallRecord(call="call_1", status="proposed", digest="d")
    for record in (held, CallRecord(call="turn_1", status="completed", digest="d")):
        journal.note_call(record)
    journal.settle()
    journal.settle()
    died(journal)
    assert opened(tmp_path).calls() == [held]


def test_usage_is_written_the_first_time_round(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.save_usage("m", {"turns": 3})
    journal.settle()
    died(journal)
    assert opened(tmp_path).usage() == {"m": {"turns": 3}}


def test_a_journal_that_is_closed_settles_no_more(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(1, "note", b"one")
    journal.close(remove=True)
    journal.settle()
    assert not journal_path(tmp_path, "run_1", "gateway").exists()


def test_counts_alone_wait_for_the_look_that_is_theirs(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.save_usage("m", {"turns": 1})
    journal.settle(usage=False)
    before = on_disk(tmp_path, "usage")
    journal.settle()
    assert (before, on_disk(tmp_path, "usage")) == ([], [("m", '{"turns": 1}')])


def test_several_events_are_kept_as_one_after_another(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append_all([(1, "note", b"one"), (2, "note", b"two")])
    assert (journal.read(1, 9), journal.last_seq, journal.bytes) == ([(1, b"one"), (2, b"two")], 2, 6)


def test_numbers_of_several_events_are_in_use_before_any_is_told(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append_all([(1, "note", b"lost"), (2, "note", b"lost")])
    died(journal)
    assert opened(tmp_path).last_seq == 2 + NUMBERS_RESERVED
