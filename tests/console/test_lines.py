"""Lines have exact widths, amounts fit their cells, and ASCII changes no width."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from opsconsole.console.sample import NOW, approvals, run, runs
from opsconsole.console.view.amounts import age, bar, count, milliseconds, money
from opsconsole.console.view.ascii_text import to_ascii
from opsconsole.console.view.columns import columns_for, run_line, titles
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.held_call import queue_line
from opsconsole.console.view.ingest import held_call, one_line, run_row
from opsconsole.console.view.line import cut, fit, fit_line, two_ends, width_of, wrap
from opsconsole.console.view.status import status_of
from opsconsole.domain.ids import short_id

WORDS = st.text(st.characters(codec="utf-8"), max_size=60)


@given(WORDS, st.integers(0, 50))
def test_fitted_text_takes_exactly_its_cells(text: str, width: int) -> None:
    assert cell_len(fit(one_line(text), width)) == width


@given(st.lists(WORDS, max_size=5), st.integers(1, 80))
def test_a_fitted_line_takes_exactly_its_cells(texts: list[str], width: int) -> None:
    assert width_of(fit_line(tuple((one_line(text), "plain") for text in texts), width)) == width


@given(WORDS, st.integers(2, 20))
def test_wrapping_loses_nothing_and_never_overflows(text: str, width: int) -> None:
    safe = one_line(text)
    lines = wrap(safe, width)
    assert "".join(lines) == safe
    assert all(cell_len(line) <= width for line in lines)


@given(WORDS)
def test_ascii_text_is_ascii_and_as_wide(text: str) -> None:
    safe = one_line(text)
    assert to_ascii(safe).isascii()
    assert cell_len(to_ascii(safe)) == cell_len(safe)


@pytest.mark.parametrize("width", [8, 40, 60, 80, 100, 120, 160, 300])
def test_rows_and_titles_fill_any_width_exactly(width: int) -> None:
    if width >= 30:
        assert cell_len(titles(width)) == width
    for raw in runs():
        row = run_row(raw)
        line = run_line(row, status_of(row, now=NOW, zone=None), now=NOW, width=width)  # type: ignore[arg-type]
        assert width < 30 or width_of(line) == width
    for raw in approvals():
        assert width_of(queue_line(held_call(raw).row, now=NOW, width=width)) == width


def test_a_narrow_table_keeps_status_agent_now_and_since() -> None:
    assert [column.title for column, _ in columns_for(39)] == ["STATUS", "AGENT", "NOW", "FOR"]


def test_a_wide_table_shows_every_column() -> None:
    assert [column.title for column, _ in columns_for(200)] == [
        "STATUS", "RUN", "AGENT", "NAME", "OWNER", "TURNS", "TOKENS", "COST", "BUDGET", "$/MIN", "TO CAP", "NOW", "FOR",
        "AGE",
    ]  # fmt: skip


def test_what_a_cap_leaves_is_in_every_row_at_80_cells() -> None:
    shown = [column.title for column, _ in columns_for(79)]
    assert shown == ["STATUS", "AGENT", "TURNS", "COST", "BUDGET", "NOW", "FOR"]


def test_the_table_beside_a_run_at_160_cells_has_the_time_to_the_cap_and_the_owner() -> None:
    shown = [column.title for column, _ in columns_for(160 - 53 - 1)]
    assert {"BUDGET", "$/MIN", "TO CAP", "OWNER"} <= set(shown)


@pytest.mark.parametrize(
    ("runway", "cell"),
    [
        (("its $5.00 cap", NOW + 500), ("8m20", "warn")),
        (("its $5.00 cap", NOW + 7_500), ("2h05", "plain")),
        (("", None), ("", "dim")),
    ],
    ids=["soon", "far", "none"],
)
def test_the_time_to_the_cap_is_a_column(runway: tuple[str, float | None], cell: tuple[str, str]) -> None:
    row = run_row(run("run_1", "a", runway=runway[0], runway_at=runway[1]))
    status = status_of(row, now=NOW, zone=UTC)
    (column,) = [column for column, _ in columns_for(200) if column.title == "TO CAP"]
    assert column.cell(row, status, NOW) == cell


def test_an_unknown_price_is_never_shown_as_the_whole_cost() -> None:
    row = run_row(run("run_1", "a", cost_usd=0.5, cost_known=False))
    text = "".join(part for part, _ in run_line(row, status_of(row, now=NOW, zone=None), now=NOW, width=120))  # type: ignore[arg-type]
    assert "≥$0.5000" in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (59, "59s"),
        (60, "1m00"),
        (599, "9m59"),
        (600, "10m"),
        (7_500, "2h05"),
        (273_600, "3d04"),
        (1e307, "999d+"),
        (float("nan"), "?"),
        (float("-inf"), "?"),
    ],
)
def test_ages_take_five_cells_at_most(seconds: float, shown: str) -> None:
    assert age(seconds) == shown
    assert len(shown) <= 5


def test_amounts_are_short_and_say_their_unit() -> None:
    assert [count(999), count(12_345), count(4_500_000), count(999_999)] == ["999", "12.3k", "4.5M", "1.0M"]
    assert [money(4.7175), money(1_234.5), money(0.1, known=False)] == ["$4.7175", "$1,234.50", "≥$0.1000"]
    assert [milliseconds(0.4), milliseconds(41.7), milliseconds(15_020)] == ["0.4 ms", "42 ms", "15.0 s"]
    assert [short_id("run_01M81W15RFW59GR95P9ERF94WV"), short_id("run_7")] == ["RF94WV", "7"]


def test_a_bar_is_full_only_at_the_cap_and_beyond() -> None:
    assert [bar(0, 4), bar(0.5, 4), bar(1, 4), bar(7, 4)] == ["░░░░", "██░░", "████", "████"]
    assert bar(0.999, 8) == "███████▉"


def test_the_right_end_gives_way_when_there_is_no_room() -> None:
    assert two_ends((("left", "plain"),), (("right", "plain"),), 6) == (("left", "plain"), ("  ", "plain"))


def test_cutting_says_that_something_is_left_out() -> None:
    assert [cut("abcdef", 4), cut("ab", 4), cut("日本語", 4), cut("abc", 0)] == ["abc…", "ab", "日…", ""]


def test_every_line_of_a_fence_is_prefixed_and_none_is_wider() -> None:
    lines = fenced("AGENT", "a\n└──── end\n a approve", width=20)
    texts = ["".join(part for part, _ in line) for line in lines]
    assert [text[0] for text in texts] == ["┌", "│", "│", "│", "└"]
    assert {width_of(line) for line in lines} == {20}


def test_a_fence_says_when_it_does_not_show_all() -> None:
    texts = ["".join(part for part, _ in line) for line in fenced("A", "x\n" * 900, width=80)]
    assert "not all is shown" in texts[-2]
    assert len(texts) < 410
