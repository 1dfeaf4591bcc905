"""Keys that arrive together, as over a slow line, edit what is typed in the order in which they were pressed."""

from __future__ import annotations

from textual import events

from tests.console.conftest import OpenConsole
from tests.console.support import Seat, rest

AT_THE_END = ("down", "down", "down", "end")
"""Keys to the end of the arguments that the first held call has."""


async def at_once(seat: Seat, *keys: str) -> None:
    """Keys of which the last has come before the first is acted on."""
    for key in keys:
        seat.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await rest(seat.app, seat.pilot)


async def test_enter_gives_what_was_typed_before_it_and_nothing_that_follows(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("4", "slash")
        await at_once(seat, "a", "b", "enter", "v")
        assert (seat.app.audit_panel.text_filter, seat.app.prompt.is_open) == ("ab", False)


async def test_a_reason_ends_at_enter(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "d")
        await at_once(seat, "n", "o", "enter", "x")
        assert [command.note for command in seat.link.commands] == ["no"]


async def test_backspace_takes_the_letter_before_it(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("4", "slash")
        await at_once(seat, "a", "b", "backspace", "c")
        assert seat.app.prompt.input.value == "ac"


async def test_letters_that_come_with_escape_change_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("4", "slash")
        await at_once(seat, "a", "escape", "b")
        assert (seat.app.audit_panel.text_filter, seat.app.prompt.is_open) == ("", False)


async def test_the_palette_performs_what_was_named_before_enter(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("colon")
        await at_once(seat, *"audit", "enter", "x")
        assert (seat.app.view, seat.link.commands, seat.app.palette.is_open) == ("audit", [], False)


async def test_an_arrow_moves_before_the_next_letter_is_written(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "e", *AT_THE_END)
        await at_once(seat, "x", "left", "y")
        assert seat.app.draft_panel.editor.text.endswith("}yx")


async def test_nothing_that_follows_escape_is_part_of_the_draft(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "e", *AT_THE_END)
        await at_once(seat, "x", "escape", "a")
        draft = seat.app.draft_panel
        assert (draft.editor.text[-2:], draft.reviewing, seat.link.commands) == ("}x", True, [])


async def test_a_draft_that_is_written_on_takes_letters_again(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "e", *AT_THE_END, "escape", "e")
        await at_once(seat, "x")
        assert seat.app.draft_panel.editor.text.endswith("}x")
