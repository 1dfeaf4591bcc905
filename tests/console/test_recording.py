"""A run pinned as a case with one key: the file, what is said of it, and what happens when there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from opsconsole.console.recording import CaseRecorder, written
from opsconsole.errors import CommandFailed, OpsconsoleError
from tests.console.conftest import OpenConsole

PRINTS = "import os, sys; print('case of', sys.argv[1], os.environ['OPSCONSOLE_HUB'], os.environ['OPSCONSOLE_TOKEN'])"


def recorder(folder: Path, script: str, seconds: float = 60.0) -> CaseRecorder:
    command = (sys.executable, "-c", script)
    return CaseRecorder(url="http://127.0.0.1:1", token="ops_t", folder=folder, command=command, seconds=seconds)


class FakeRecorder:
    """Pins nothing and says what the test wants."""

    def __init__(self, answer: tuple[Path, str] | OpsconsoleError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def record(self, run: str, *, agent: str = "") -> tuple[Path, str]:
        self.asked.append((run, agent))
        if isinstance(self.answer, OpsconsoleError):
            raise self.answer
        return self.answer


async def test_what_the_command_prints_is_the_case_and_the_token_is_no_argument(tmp_path: Path) -> None:
    path, remark = await recorder(tmp_path / "cases", PRINTS).record("run_01KAHANGE07", agent="Hang er")
    assert (path, remark) == (tmp_path / "cases" / "hang-er-ange07.case.toml", "")
    assert path.read_text() == f"case of run_01KAHANGE07 http://127.0.0.1:1 ops_t{os.linesep}"


async def test_a_command_that_fails_leaves_no_file_and_says_why(tmp_path: Path) -> None:
    script = "import sys; print('half a case'); sys.exit('there is no run')"
    with pytest.raises(CommandFailed, match="there is no run"):
        await recorder(tmp_path, script).record("run_1")
    assert os.listdir(tmp_path) == []


async def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no case after"):
        await recorder(tmp_path, "import time; time.sleep(600)", seconds=0.2).record("run_1")


async def test_what_the_command_remarks_is_made_safe(tmp_path: Path) -> None:
    script = r"import sys; print('case'); print('\x1b]0;pwned\x07 only its beginning', file=sys.stderr)"
    _, remark = await recorder(tmp_path, script).record("run_1")
    assert remark == "␛]0;pwned␇ only its beginning"


def test_a_case_never_replaces_another(tmp_path: Path) -> None:
    names = [written(tmp_path, "sre-../../x", "text").name for _ in range(3)]
    assert names == ["sre-x.case.toml", "sre-x-2.case.toml", "sre-x-3.case.toml"]


async def test_one_key_records_the_run_under_the_cursor_and_says_where(console: OpenConsole) -> None:
    pins = FakeRecorder((Path("/srv/cases/hanger-ange07.case.toml"), "only its beginning is pinned"))
    async with console(size=(200, 24)) as seat:
        seat.app.pages._recorder = pins
        await seat.go("hanger")
        await seat.press("C")
        await seat.app.pages.settled()
        assert pins.asked == [("run_01KAHANGE07", "hanger")]
        assert seat.note == f"✔ recorded: {pins.answer[0]} (only its beginning is pinned)"  # type: ignore[index]


async def test_a_case_that_was_not_recorded_is_said_to_be_none(console: OpenConsole) -> None:
    async with console() as seat:
        seat.app.pages._recorder = FakeRecorder(CommandFailed("the case would be too long", code="bad_request"))
        await seat.go("hanger")
        await seat.press("C")
        await seat.app.pages.settled()
        assert seat.note == "not recorded: the case would be too long"


def test_a_folder_of_nobodys_home_is_no_folder() -> None:
    with pytest.raises(OSError, match="nobodyhere"):
        written(Path("~nobodyhere/cases"), "sre", "text")
