"""What a gateway's ledger of turns gives to the next process, and that it does not grow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconsole.gateway import ledger as ledgers
from opsconsole.gateway.ledger import SUFFIX, Begun, Left, TurnLedger, larger, left_behind

COUNTS = {"turns": 1, "input_tokens": 100, "output_tokens": 7, "cost_usd": 0.01}


def begun(turn: str, run: str = "run_1", *, asked: bool = True) -> Begun:
    return Begun(turn=turn, run=run, model="m", input_tokens=10, output_tokens=90, usd=0.5, asked=asked)


def died(ledger: TurnLedger) -> None:
    """The kernel lets go of its file."""
    os.close(ledger._file)


def test_a_turn_that_was_under_way_is_left(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.begun(begun("turn_1"))
    died(ledger)
    left, files = left_behind(tmp_path)
    assert (left.open, left.counts, len(files)) == ({"run_1": [begun("turn_1")]}, {}, 1)


def test_a_turn_that_is_over_leaves_the_counts_it_grew(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.begun(begun("turn_1"))
    ledger.counted("run_1", "m", COUNTS)
    ledger.over("turn_1")
    died(ledger)
    left, _ = left_behind(tmp_path)
    assert (left.open, left.counts) == ({}, {"run_1": {"m": COUNTS}})


def test_counts_without_the_end_of_their_turn_are_not_there_so_that_it_is_not_counted_twice(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.begun(begun("turn_1"))
    ledger.counted("run_1", "m", COUNTS)
    died(ledger)
    left, _ = left_behind(tmp_path)
    assert (list(left.open), left.counts) == (["run_1"], {})


def test_a_turn_that_was_proposed_and_then_let_go_is_known_as_the_latter(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    for asked in (False, True):
        ledger.begun(begun("turn_1", asked=asked))
    died(ledger)
    left, _ = left_behind(tmp_path)
    assert left.open == {"run_1": [begun("turn_1")]}


def test_the_file_of_a_process_that_lives_is_not_read(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.begun(begun("turn_1"))
    left, files = left_behind(tmp_path)
    ledger.close()
    assert (left.open, files, list(tmp_path.glob(f"*{SUFFIX}"))) == ({}, [], [])


def test_a_last_line_that_is_half_written_is_passed_over(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.begun(begun("turn_1"))
    os.write(ledger._file, b'{"over":"tur')
    died(ledger)
    left, _ = left_behind(tmp_path)
    assert list(left.open) == ["run_1"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "FILE_BYTES_MAX", 10)


@pytest.mark.usefixtures("small")
def test_what_the_journals_have_goes_and_what_is_newer_or_under_way_stays(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    for turn in ("turn_1", "turn_2"):
        ledger.begun(begun(turn))
    ledger.counted("run_1", "settled", COUNTS)
    ledger.over("turn_1")
    ledger.mark()
    ledger.counted("run_1", "newer", COUNTS)
    ledger.over("turn_3")
    ledger.trim()
    died(ledger)
    left, _ = left_behind(tmp_path)
    assert (left.open, list(left.counts["run_1"])) == ({"run_1": [begun("turn_2")]}, ["newer"])


@pytest.mark.usefixtures("small")
def test_what_a_journal_could_not_take_stays(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.counted("run_1", "m", COUNTS)
    ledger.over("turn_1")
    ledger.mark()
    ledger.untrimmed()
    ledger.trim()
    died(ledger)
    assert left_behind(tmp_path)[0].counts == {"run_1": {"m": COUNTS}}


@pytest.mark.usefixtures("small")
def test_a_thousand_turns_leave_a_short_file(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    for number in range(1_000):
        ledger.begun(begun(f"turn_{number}"))
        ledger.counted("run_1", "m", COUNTS | {"turns": number})
        ledger.over(f"turn_{number}")
        ledger.mark()
        ledger.trim()
    [path] = tmp_path.glob(f"*{SUFFIX}")
    assert path.stat().st_size < 1_000


def full(file: int, data: bytes) -> int:
    raise OSError(28, "No space left on device")


def short(file: int, data: bytes) -> int:
    return WRITE(file, data[:10])


WRITE = os.write


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("write", [full, short])
def test_a_disk_that_is_full_for_a_while_costs_neither_the_record_nor_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[int, bytes], int]
) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.begun(begun("turn_1"))
    monkeypatch.setattr(os, "write", write)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(OSError, match=r"space|part"):
            ledger.trim()
    files = len(os.listdir("/proc/self/fd")) - before
    monkeypatch.setattr(os, "write", WRITE)
    ledger.begun(begun("turn_2"))
    ledger.trim()
    died(ledger)
    left, _ = left_behind(tmp_path)
    assert (files, left.open) == (0, {"run_1": [begun("turn_1"), begun("turn_2")]})


def test_half_of_a_line_takes_no_other_line_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = TurnLedger(tmp_path)
    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="part"):
        ledger.begun(begun("turn_1"))
    monkeypatch.setattr(os, "write", WRITE)
    ledger.begun(begun("turn_2"))
    died(ledger)
    assert left_behind(tmp_path)[0].open == {"run_1": [begun("turn_2")]}


@pytest.mark.usefixtures("small")
def test_what_is_carried_for_a_later_process_outlives_an_end_in_order(tmp_path: Path) -> None:
    carried = Left(open={"run_1": [begun("turn_1")]}, counts={"run_1": {"m": COUNTS}})
    ledger = TurnLedger(tmp_path)
    ledger.carry(carried)
    ledger.begun(begun("turn_2"))
    ledger.over("turn_2")
    ledger.mark()
    ledger.trim()
    ledger.close()
    assert left_behind(tmp_path)[0] == carried


def test_of_two_files_the_larger_reading_counts_whatever_they_are_called(tmp_path: Path) -> None:
    for name, turns in (("1.turns", 2), ("2.turns", 1)):
        line = {"run": "run_1", "model": "m", "counts": COUNTS | {"turns": turns}}
        (tmp_path / name).write_text(json.dumps(line) + "\n")
    assert left_behind(tmp_path)[0].counts == {"run_1": {"m": COUNTS | {"turns": 2}}}


def test_of_two_readings_of_one_counter_the_later_counts() -> None:
    assert larger(COUNTS, COUNTS | {"turns": 2}) == COUNTS | {"turns": 2}
    assert larger({}, COUNTS) == COUNTS


@pytest.mark.usefixtures("small")
def test_a_file_that_is_mostly_of_turns_under_way_is_not_written_anew_until_it_has_doubled(tmp_path: Path) -> None:
    ledger = TurnLedger(tmp_path)
    ledger.begun(begun("turn_1"))
    ledger.trim()
    [path] = tmp_path.glob(f"*{SUFFIX}")
    written = path.stat().st_ino
    ledger.trim()
    not_yet = path.stat().st_ino
    ledger.begun(begun("turn_2"))
    ledger.trim()
    assert (not_yet == written, path.stat().st_ino == written) == (True, False)
