"""The shift in the console: the digest, notes, exports, and leaving for a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsconsole.console.app import ConsoleApp
from opsconsole.console.panels import shift as shift_panel
from opsconsole.console.view.digest import digest_of
from opsconsole.console.view.line import Line
from opsconsole.domain.command import Do
from tests.console.conftest import OpenConsole


async def test_the_shift_is_summed_up(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await seat.press("7")
        await seat.app.shift.settled()
        await seat.settle()
        assert "since 20" in seat.screen
        assert "How people decided" in seat.screen
        assert "you hold triage" in seat.screen


async def test_another_time_is_asked_for_and_a_wrong_one_refused(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await seat.press("7")
        await seat.press("T")
        await seat.type("next week")
        await seat.press("enter")
        assert "is no time" in seat.note
        assert seat.app.shift_panel.since is None


async def test_a_note_is_a_command_on_the_run_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("coder")
        await seat.press("N")
        await seat.type("came back twice")
        await seat.press("enter")
        [command] = seat.link.commands
        assert (command.do, command.run, command.text) == (Do.ANNOTATE, seat.run("coder"), "came back twice")


async def test_the_entries_shown_are_written_to_a_new_file_and_to_no_old_one(
    console: OpenConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with console() as seat:
        await seat.press("4")
        await seat.app.pages.settled()
        for _ in range(2):
            await seat.press("E")
            await seat.type("shown.jsonl")
            await seat.press("enter")
        entries = [json.loads(line) for line in (tmp_path / "shown.jsonl").read_text().splitlines()]
        assert [entry["seq"] for entry in entries] == [int(key) for key in seat.app.audit_panel.list.keys]
        assert "was not written: File exists" in seat.note


async def test_where_there_is_no_shell_it_is_said(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("ctrl+z")
        assert "no shell" in seat.note


@pytest.mark.parametrize("name", ["~nobodyhere/x", "a\0b", "x" * 5_000], ids=["no such home", "nul", "too long"])
async def test_a_name_that_no_file_can_have_is_said_to_be_none(console: OpenConsole, name: str) -> None:
    async with console() as seat:
        await seat.press("4")
        await seat.app.pages.settled()
        await seat.press("E")
        seat.app.prompt.input.value = name
        await seat.press("enter")
        assert "was not written: " in seat.note


@pytest.mark.parametrize(("view", "key", "instead"), [("4", "E", "opsconsole audit"), ("1", "C", "opsconsole record")])
async def test_in_a_browser_nothing_is_written_on_the_servers_disk(
    console: OpenConsole, monkeypatch: pytest.MonkeyPatch, view: str, key: str, instead: str
) -> None:
    monkeypatch.setattr(ConsoleApp, "is_web", True)
    async with console(size=(120, 24)) as seat:
        await seat.press(view)
        await seat.app.pages.settled()
        await seat.press(key)
        assert seat.note == f"in a browser nothing is written on the server's disk: use {instead}"
        assert not seat.app.prompt.is_open


async def test_a_time_before_all_times_is_the_first(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await seat.press("7", "T")
        await seat.type("99999999h")
        await seat.press("enter")
        await seat.app.shift.settled()
        await seat.settle()
        assert "since 1970-01-01 00:00:00" in seat.screen


async def test_a_shift_is_counted_and_worded_once_however_often_it_is_drawn(
    console: OpenConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def worded(*args: Any, **options: Any) -> list[Line]:
        done.append("worded")
        return shift_lines(*args, **options)

    def counted(*args: Any, **options: Any) -> Any:
        done.append("counted")
        return digest_of(*args, **options)

    shift_lines = shift_panel.shift_lines
    monkeypatch.setattr(shift_panel, "shift_lines", worded)
    monkeypatch.setattr("opsconsole.console.view.shift_lines.digest_of", counted)
    async with console(size=(120, 40)) as seat:
        await seat.press("7")
        await seat.app.shift.settled()
        await seat.settle()
        assert done.count("counted") == 1
        done.clear()
        for _ in range(3):
            seat.app.redraw()
            await seat.settle()
        assert done == []
