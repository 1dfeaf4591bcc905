"""The journal and the numbers over it: contiguous, bounded, one holder, honest about holes."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from opsconsole.errors import ConfigError, JournalDamaged, RunInUse
from opsconsole.sdk.event_frames import event_frame
from opsconsole.sdk.journal import CallRecord, Journal
from opsconsole.sdk.point_run import PointRun


def point_of(journal: Journal) -> PointRun:
    return PointRun(journal, on_order=lambda order: None, wake=lambda urgent: None)


def note(text: str) -> dict[str, Any]:
    return {"type": "note", "level": "info", "text": text}


def frames_of(point: PointRun) -> list[dict[str, Any]]:
    frames = []
    while (data := point.due_events()) is not None:
        frames.append(json.loads(data))
    return frames


def seqs(frame: dict[str, Any]) -> list[int]:
    return [event["seq"] for event in frame["events"]]


def test_a_reopened_journal_goes_on_counting_in_the_same_generation(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    point_of(journal).emit(note("one"))
    gen = journal.gen
    journal.close()
    again = Journal(tmp_path, "run_1")
    assert (again.gen, again.fresh, point_of(again).emit(note("two"))) == (gen, False, 2)


def test_numbers_go_on_after_everything_was_acknowledged_and_removed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    point = point_of(journal)
    point.emit(note("one"))
    frames_of(point)
    point.acknowledged(1, None)
    assert journal.read(1, 10) == []
    journal.close()
    assert point_of(Journal(tmp_path, "run_1")).emit(note("two")) == 2


def test_a_new_journal_is_a_new_generation(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    gen = journal.gen
    journal.close(remove=True)
    assert list(tmp_path.iterdir()) == []
    assert Journal(tmp_path, "run_1").gen != gen


def test_one_process_holds_a_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    with pytest.raises(RunInUse, match="run_1"):
        Journal(tmp_path, "run_1")
    journal.close()
    Journal(tmp_path, "run_1").close()


def test_a_forked_child_does_not_keep_a_run_from_those_after_its_parent(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    reading, writing = os.pipe()
    forked, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.write(told, b"x")
        os.read(reading, 1)
        os._exit(0)
    try:
        os.close(reading)
        os.read(forked, 1)
        journal.close()
        Journal(tmp_path, "run_1").close()
    finally:
        for end in (writing, forked, told):
            os.close(end)
        os.waitpid(child, 0)


def test_two_points_of_one_run_keep_their_own_journals(tmp_path: Path) -> None:
    agent, supervisor = Journal(tmp_path, "run_1"), Journal(tmp_path, "run_1", point="supervisor")
    assert agent.path != supervisor.path


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run_1.db").write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(JournalDamaged):
        Journal(tmp_path, "run_1")
    assert (tmp_path / "run_1.db").read_bytes().startswith(b"not a database")


def test_a_journal_of_another_version_is_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    journal.put("schema", "99")
    journal.close()
    with pytest.raises(JournalDamaged, match="schema 99"):
        Journal(tmp_path, "run_1")


@pytest.mark.parametrize("run", ["../escape", "", "a/b", "x" * 200])
def test_a_run_id_is_no_path(tmp_path: Path, run: str) -> None:
    with pytest.raises(ConfigError):
        Journal(tmp_path, run)


def test_a_full_journal_drops_its_oldest_notes_and_shows_the_hole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1", bytes_max=4_000)
    point = point_of(journal)
    point.emit({"type": "state", "state": "working"})
    for number in range(30):
        point.emit(note(f"{number} " + "x" * 200))
    point.emit({"type": "state", "state": "completed"})
    frames = frames_of(point)
    assert seqs(frames[0]) == [1]
    assert frames[1]["skip"]["first"] == 2
    assert frames[1]["skip"]["why"] == "journal_cap"
    assert seqs(frames[1]) == list(range(frames[1]["skip"]["last"] + 1, 33))
    assert journal.bytes <= 4_000


def test_calls_states_and_usage_are_never_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1", bytes_max=2_000)
    point = point_of(journal)
    for _ in range(20):
        point.emit({"type": "usage", "model": "gpt" + "x" * 100})
    assert len(journal.read(1, 100)) == 20
    assert journal.full is False
    for _ in range(20):
        point.emit({"type": "usage", "model": "gpt" + "x" * 100})
    assert journal.full is True


def test_a_hub_that_asks_for_what_is_gone_is_told_of_the_hole(tmp_path: Path) -> None:
    point = point_of(Journal(tmp_path, "run_1"))
    for number in range(3):
        point.emit(note(str(number)))
    frames_of(point)
    point.acknowledged(2, None)
    point.connected(0)
    (frame,) = frames_of(point)
    assert (frame["skip"]["first"], frame["skip"]["last"], seqs(frame)) == (1, 2, [3])


def test_a_hub_that_misses_events_gets_them_again_from_there(tmp_path: Path) -> None:
    point = point_of(Journal(tmp_path, "run_1"))
    for number in range(4):
        point.emit(note(str(number)))
    assert [seqs(frame) for frame in frames_of(point)] == [[1, 2, 3, 4]]
    point.acknowledged(1, 2)
    assert [seqs(frame) for frame in frames_of(point)] == [[2, 3, 4]]


def test_a_frame_holds_a_bounded_batch(tmp_path: Path) -> None:
    point = point_of(Journal(tmp_path, "run_1"))
    for number in range(250):
        point.emit(note(str(number)))
    assert [len(frame["events"]) for frame in frames_of(point)] == [100, 100, 50]


def test_a_large_event_goes_in_a_frame_of_its_own(tmp_path: Path) -> None:
    rows = [(1, b"x" * 200_000), (2, b"y" * 200_000), (3, b"z")]
    _, last = event_frame("run_1", "gen", 1, rows, hole_end=3)
    assert last == 1


def test_an_event_that_cannot_be_encoded_small_is_shrunk_not_sent_for_ever(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    point_of(journal).emit(note("\x00" * 65_000) | {"data": {"blob": "\x01" * 100_000}})
    ((_, body),) = journal.read(1, 1)
    assert len(body) < 262_144
    assert json.loads(body)["text"].endswith("more bytes left out")


def test_what_the_disk_refuses_has_no_number_and_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, "run_1")
    point = point_of(journal)

    def full(*args: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "append", full)
        assert point.tell(note("lost")) is False
    assert point.tell(note("kept")) is True
    (frame,) = frames_of(point)
    assert [(event["seq"], event["text"]) for event in frame["events"]] == [
        (1, "kept"),
        (2, "1 events could not be journalled and are lost"),
    ]


def test_an_answer_is_sent_until_a_later_event_is_acknowledged(tmp_path: Path) -> None:
    point = point_of(Journal(tmp_path, "run_1"))
    point.emit(note("before"))
    frames_of(point)
    point.journal.command("cmd_1", 1, b"{}")
    point.answer("cmd_1", ok=True, status="applied")
    assert len(point.due_answers()) == 1
    point.acknowledged(1, None)
    point.connected(1)
    assert len(point.due_answers()) == 1
    point.emit(note("after"))
    frames_of(point)
    point.acknowledged(2, None)
    point.connected(2)
    assert point.due_answers() == []


def test_a_call_and_its_event_are_kept_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, "run_1")
    record = CallRecord(call="call_1", status="running", digest="sha256:1")

    def full(record: CallRecord) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal, "note_call", full)
    with pytest.raises(sqlite3.OperationalError):
        point_of(journal).emit(note("running"), call=record)
    assert journal.read(1, 10) == []


def test_a_checkpoint_and_its_number_are_kept_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, "run_1")
    journal.save_checkpoint("ckp_1", b"1")

    def died(name: str, value: str) -> None:
        raise SystemExit

    monkeypatch.setattr(journal, "put", died)
    with pytest.raises(SystemExit):
        journal.save_checkpoint("ckp_2", b"2")
    assert (journal.checkpoint(), journal.checkpoints) == (("ckp_1", b"1"), 1)
