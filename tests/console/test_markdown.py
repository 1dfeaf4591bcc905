"""Markdown drawn simply, whatever an agent writes: nothing wider than its place, nothing that was not written."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsconsole.console.view.line import Line, width_of
from opsconsole.console.view.markdown import markdown
from opsconsole.domain.text import safe

WORDS = st.lists(
    st.sampled_from(
        ["# ", "## x", "```", "~~~ py", "- ", "1. ", "> ", "---", "**b**", "`c`", "\n", "  ", "wörd", "宽", "\t"]
    ),
    max_size=40,
).map("".join)


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_headings_lists_quotations_and_rules_are_drawn() -> None:
    drawn = markdown("# Plan\n- one\n  * two\n3. three\n> said\n---\nplain", width=40)
    assert texts(drawn) == ["▌ Plan", "• one", "  • two", "3. three", "▏ said", "─" * 24, "plain"]


def test_code_is_kept_as_it_was_written_and_an_open_block_goes_to_the_end() -> None:
    drawn = markdown("```sql\nSELECT  **x**\n# no heading", width=40)
    assert texts(drawn) == ["┃ sql", "┃ SELECT  **x**", "┃ # no heading"]


def test_strong_words_and_code_lose_their_marks_and_get_a_look() -> None:
    assert markdown("a **b** `c`", width=40) == [
        (("a", "quote"), (" ", "quote"), ("b", "strong"), (" ", "quote"), ("c", "plain"))
    ]


def test_a_long_item_is_broken_between_words_under_its_beginning() -> None:
    assert texts(markdown("- alpha beta gamma", width=10)) == ["• alpha", "  beta", "  gamma"]


def test_what_looks_like_a_link_is_shown_as_it_was_written() -> None:
    assert texts(markdown("[x](https://e.example) <b>", width=60)) == ["[x](https://e.example) <b>"]


@settings(deadline=None)
@given(st.one_of(WORDS, st.text(max_size=200)), st.integers(4, 60))
@example(text="> # # # # ", width=4)
def test_no_line_is_wider_than_its_place(text: str, width: int) -> None:
    assert all(width_of(line) <= width for line in markdown(safe(text), width=width))


@settings(deadline=None)
@given(WORDS, st.integers(8, 60))
@example(text="```# ## xwörd", width=8)
def test_no_word_is_lost(text: str, width: int) -> None:
    shown = "".join(texts(markdown(safe(text), width=width)))
    assert [shown.count(mark) for mark in ("w", "宽")] == [text.count(mark) for mark in ("w", "宽")]
