"""Text from agents on a terminal: nothing in it drives or deceives, and nothing is lost."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.text import safe, safe_line

INVISIBLE = {
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xE0000, 0xE1000),
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x2028, 0x2029, 0x3164, 0xFEFF, 0xFFA0),
}
ANY_TEXT = st.text(st.characters() | st.sampled_from([chr(point) for point in (*range(0xA0), *sorted(INVISIBLE))]))


def drives_a_terminal(character: str) -> bool:
    """Whether a terminal would obey it or not show it."""
    return (unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n") or ord(character) in INVISIBLE


@given(ANY_TEXT)
def test_nothing_that_drives_or_hides_survives(text: str) -> None:
    assert [character for character in safe(text) if drives_a_terminal(character)] == []


@given(ANY_TEXT)
def test_making_text_safe_twice_changes_nothing_more(text: str) -> None:
    assert safe(safe(text)) == safe(text)


@given(ANY_TEXT)
def test_one_line_stays_one_line(text: str) -> None:
    line = safe_line(text, limit=10_000)
    assert not any(character in line for character in "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def test_every_format_character_is_shown_but_for_those_that_have_a_shape() -> None:
    hidden = [chr(point) for point in range(0x1_0000) if unicodedata.category(chr(point)) == "Cf"]
    untouched = {character for character in hidden if safe(character) == character}
    shaped = {chr(point) for point in (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2)}
    assert untouched <= shaped


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]52;c;ZXZpbA==\x07", "␛]52;c;ZXZpbA==␇"),
        ("\x1b[2J\x1b[31mok", "␛[2J␛[31mok"),
        ("\x9b31m", "<U+009B>31m"),
        ("a\rb", "a␍b"),
        ("rm \u202excod.txt", "rm <U+202E>xcod.txt"),
        ("pay\u200bpal", "pay<U+200B>pal"),
        ("\x7f\x00", "␡␀"),
        ("\ud800", "<U+D800>"),
        ("\U000e0041", "<U+E0041>"),
        ("👍🏽", "👍<U+1F3FD>"),
        ("🇩🇪", "<U+1F1E9><U+1F1EA>"),
    ],
    ids=["clipboard", "colours", "c1", "overwrite", "bidi", "zero width", "delete", "surrogate", "tag", "skin", "flag"],
)
def test_an_attack_is_seen(hostile: str, shown: str) -> None:
    """Escape sequences in agent text write the clipboard or fake a prompt: not here."""
    assert safe(hostile) == shown


def test_plain_text_is_left_alone() -> None:
    text = "naïve café — 日本語 שלום 👍\n\tindented"
    assert safe(text) == text


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u05b0", "\u064b", "\u0e38", "\U0001e944"])
def test_a_tower_of_marks_of_any_script_is_cut_to_a_few_and_says_so(mark: str) -> None:
    assert safe("a" + mark * 50 + "b" + mark) == "a" + mark * 4 + "<46 marks>b" + mark


def test_marks_of_many_scripts_make_no_higher_tower() -> None:
    assert safe("a" + "\u0301\u0489" * 20) == "a" + "\u0301\u0489" * 2 + "<36 marks>"


def test_long_text_says_how_much_is_left_out() -> None:
    assert safe("x" * 12, limit=10) == "xxxxxxxxxx… 2 more"


def test_line_breaks_are_marked_on_a_line() -> None:
    assert safe_line("a\n\n\tb") == "a⏎b"
