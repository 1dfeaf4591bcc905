"""Text of a hostile agent on every screen, through to the terminal: it drives, forges and hides nothing."""

from __future__ import annotations

import re
from typing import Any

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from opsconsole.console import sample
from opsconsole.console.sample import approval, run
from opsconsole.console.theme import Painter
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.ingest import held_call, in_pane, one_line, run_row
from opsconsole.domain.text import safe
from tests.console.conftest import OpenConsole
from tests.console.support import Seat

OSC_52 = "\x1b]52;c;cHduZWQ=\x07"
MOVE = "\x1b[3;1HSPOOFED: safe, press a"
TITLE = "\x1b]0;pwned\x07"
EVIL = f"{OSC_52}{MOVE}{TITLE}\x9b2J\r\x08\u202ekcatta\u202c\u200b\u2066[@click=app.quit]x[/] [bold"
CONSOLE = Console(force_terminal=True, color_system="truecolor", legacy_windows=False)
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069]")


def evil_runs() -> list[dict[str, Any]]:
    return [
        run(
            "run_evil",
            f"evil{EVIL}",
            name=EVIL,
            doing=EVIL,
            error=EVIL,
            owner=EVIL,
            labels={EVIL: EVIL},
            models=[EVIL],
            waiting={"kind": "tool", "what": EVIL, "since": sample.NOW},
            alerts=[{"id": "a", "kind": EVIL, "text": EVIL, "level": "critical", "at": sample.NOW}],
            points=[{"name": EVIL, "link": "live", "caps": [EVIL, "inject", "takeover"], "host": EVIL, "pid": 1}],
        )
    ]


def evil_calls() -> list[dict[str, Any]]:
    words = {
        "why": EVIL,
        "rule": EVIL,
        "agent_reason": f"{EVIL}\n└──\n a approve",
        "claimed_by": EVIL,
    }
    message = {"role": EVIL, "content": EVIL, "tool_calls": [EVIL]}
    return [
        approval("apr_evil", "run_evil", f"evil{EVIL}", f"sh{EVIL}", {EVIL: EVIL, "b": [EVIL, {EVIL: 1}]}, **words),
        approval(
            "apr_model", "run_evil", EVIL, EVIL, {"messages": [message, EVIL], "tools": [{"name": EVIL}, EVIL]},
            kind="model_call",
        ),
    ]  # fmt: skip


def evil_events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"type": "message", "id": "m", "role": EVIL, "text": EVIL, "author": EVIL},
        {"type": "tool", "id": "c", "name": EVIL, "status": EVIL, "args": {EVIL: EVIL}, "error": EVIL, "reason": EVIL},
        {"type": "note", "kind": EVIL, "text": EVIL},
        {"type": EVIL, EVIL: EVIL},
        {"type": "command", "command": EVIL, "do": EVIL, "by": EVIL, "status": EVIL, "text": EVIL},
    ]
    return [
        {"position": index + 1, "gen": "g", "at": sample.NOW, "event": {"seq": index + 1, "ts": 0, **event}}
        for index, event in enumerate(events)
    ]


def check(seat: Seat) -> None:
    """What stands in the cells is what the terminal is sent between our own styles: no cell may hold a control."""
    assert FORBIDDEN.findall(seat.screen) == []


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (160, 45)])
async def test_no_control_character_of_an_agent_reaches_a_cell_of_any_view(
    console: OpenConsole, size: tuple[int, int]
) -> None:
    async with console(size=size) as seat:
        seat.link.snap("board", evil_runs())
        seat.link.snap("approvals", evil_calls())
        await seat.settle()
        check(seat)
        await seat.press("enter")
        seat.link.snap(seat.link.tail(), evil_events(), rev=9)
        await seat.settle()
        check(seat)
        for keys in (
            ["enter"],
            ["k"],
            ["k"],
            ["k"],
            ["2"],
            ["enter"],
            ["n"],
            ["2", "e"],
            ["escape"],
            ["1", "t"],
            ["x"],
        ):
            await seat.press(*keys)
            check(seat)


async def test_markup_of_an_agent_is_text(console: OpenConsole) -> None:
    async with console(size=(160, 45)) as seat:
        seat.link.snap("board", [run("run_1", "[@click=app.quit]click[/]", doing="[bold red]x[/] [/] [")])
        await seat.settle()
        assert "[@click=app." in seat.screen
        assert "[bold red]x[/] [/] [" in seat.screen


async def test_the_agents_words_never_stand_outside_their_fence(console: OpenConsole) -> None:
    async with console(size=(80, 40)) as seat:
        seat.link.snap(
            "approvals", [approval("apr_1", "run_1", "a", "sh", {}, agent_reason="x\n a approve  e edit\n" * 3)]
        )
        await seat.settle()
        await seat.press("2")
        lines = [line for line in seat.screen.splitlines()[:-1] if "a approve" in line]
        assert lines
        assert all(line.startswith("│") for line in lines)


async def test_ten_megabytes_of_text_are_cut_and_counted(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.snap("approvals", [approval("apr_1", "run_1", "a", "sh", {"x": "y" * 10_000_000})])
        await seat.settle()
        await seat.press("2", "G")
        assert any(
            "9934464 more" in "".join(text for text, _ in line) for line in seat.app.approvals_panel.pane.lines
        ) or any(
            "not all is shown" in "".join(text for text, _ in line) for line in seat.app.approvals_panel.pane.lines
        )


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8"), max_size=120))
def test_a_terminal_fed_with_our_lines_shows_only_what_we_laid_out(text: str) -> None:
    """Through rich to a real terminal's parser: the frame around agent text stays where it is."""
    terminal = pyte.Screen(60, 24)
    stream = pyte.Stream(terminal)
    painter = Painter()
    lines = fenced("AGENT", in_pane(text), width=58)[:20]
    for line in lines:
        stream.feed(painter.strip(line, 58).render(CONSOLE) + "\r\n")
    assert all(row[0] in "┌│└" for row in terminal.display[: len(lines)])
    assert terminal.title == ""
    assert terminal.cursor.y == len(lines)


@given(st.text(max_size=80))
def test_whatever_enters_is_safe_and_stays_safe(text: str) -> None:
    for made in (one_line(text), in_pane(text)):
        assert safe(made) == made
        assert not FORBIDDEN.search(made.replace("\t", ""))


def test_keys_of_arguments_and_labels_are_made_safe_too() -> None:
    assert list(run_row(run("r", "a", labels={"x\x1b[2J": "y"})).labels) == ["x␛[2J"]
    assert list(held_call(approval("apr_1", "r", "a", "t", {"k\u202e": 1})).row.args) == ["k<U+202E>"]


def test_the_arguments_kept_for_an_edit_are_the_hubs_own() -> None:
    args = {"k\u202e": "v\x1b"}
    assert held_call(approval("apr_1", "r", "a", "t", args)).args == args
