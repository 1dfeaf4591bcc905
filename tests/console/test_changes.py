"""What a line is painted again for: every cell that differs, and hardly any other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.view.changes import MERGED_CELLS, changed_cells
from opsconsole.console.view.line import Line, Tone

TONES: tuple[Tone, ...] = ("plain", "dim", "bad")


@st.composite
def twins(draw: st.DrawFn) -> tuple[Line, Line]:
    """Two lines whose spans have the same widths."""
    widths = draw(st.lists(st.integers(0, 30), max_size=8))

    def one() -> Line:
        text = st.text(alphabet="ab", min_size=0, max_size=30)
        return tuple((draw(text).ljust(width)[:width], draw(st.sampled_from(TONES))) for width in widths)

    return one(), one()


def cells(line: Line) -> list[tuple[str, Tone]]:
    return [(mark, tone) for text, tone in line for mark in text]


@given(twins())
def test_what_is_painted_anew_over_the_old_line_makes_the_new_one(lines: tuple[Line, Line]) -> None:
    before, after = lines
    shown, wanted = cells(before), cells(after)
    found = changed_cells(before, after)
    assert found is not None
    for start, width in found:
        shown[start : start + width] = wanted[start : start + width]
    assert shown == wanted


def test_nothing_is_painted_for_a_line_that_is_the_same() -> None:
    assert changed_cells((("a", "plain"), ("b", "dim")), (("a", "plain"), ("b", "dim"))) == []


def test_only_the_column_that_changed_is_painted() -> None:
    before: Line = (("status  ", "good"), (" " * 40, "plain"), ("12s", "dim"))
    assert changed_cells(before, (*before[:2], ("13s", "dim"))) == [(48, 3)]


def test_changes_close_to_each_other_are_one() -> None:
    gap = " " * (MERGED_CELLS - 1)
    assert changed_cells((("1", "dim"), (gap, "dim"), ("1", "dim")), (("2", "dim"), (gap, "dim"), ("2", "dim"))) == [
        (0, MERGED_CELLS + 1)
    ]


def test_a_line_whose_columns_moved_is_painted_whole() -> None:
    assert changed_cells((("a", "plain"), ("b", "dim")), (("aa", "plain"), ("b", "dim"))) is None


def test_a_line_with_another_number_of_columns_is_painted_whole() -> None:
    assert changed_cells((("a", "plain"),), (("a", "plain"), ("b", "dim"))) is None


def test_wide_characters_count_as_the_cells_they_take() -> None:
    assert changed_cells((("漢字", "plain"), ("1", "dim")), (("漢字", "plain"), ("2", "dim"))) == [(4, 1)]
