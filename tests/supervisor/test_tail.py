"""The last lines of output, bounded."""

from __future__ import annotations

from opsconsole.supervisor.tail import Tail


def test_only_the_last_lines_are_kept() -> None:
    tail = Tail(lines_max=3)
    tail.feed("stdout", b"".join(b"%d\n" % number for number in range(100)))
    assert tail.lines() == ["97", "98", "99"]


def test_a_line_that_comes_in_pieces_is_one_line() -> None:
    tail = Tail()
    for piece in (b"a", b"b\nc", b"d\r\n"):
        tail.feed("stdout", piece)
    assert tail.lines() == ["ab", "cd"]


def test_an_unfinished_line_counts_and_keeps_its_end() -> None:
    tail = Tail(line_bytes_max=4)
    tail.feed("stdout", b"x" * 1_000_000 + b"last")
    assert tail.lines() == ["last"]


def test_the_lines_of_two_streams_are_not_mixed() -> None:
    tail = Tail()
    for stream, piece in (("stdout", b"out"), ("stderr", b"err\n"), ("stdout", b"put\n")):
        tail.feed(stream, piece)
    assert tail.lines() == ["err", "output"]


def test_a_flood_on_one_stream_does_not_drown_the_other() -> None:
    tail = Tail(lines_max=2)
    tail.feed("stderr", b"the reason\n")
    tail.feed("stdout", b"noise\n" * 1000)
    assert tail.lines() == ["the reason", "noise", "noise"]


def test_invalid_utf8_is_shown_as_such() -> None:
    tail = Tail()
    tail.feed("stdout", b"caf\xe9 \xff\xfe\n")
    assert tail.lines() == ["caf\ufffd \ufffd\ufffd"]


def test_a_progress_bar_leaves_what_was_shown_last() -> None:
    tail = Tail()
    tail.feed("stdout", b"10%\r50%\r100%\r\n")
    assert tail.lines() == ["100%"]


def test_memory_stays_bounded_without_a_newline() -> None:
    tail = Tail(lines_max=2, line_bytes_max=8)
    for _ in range(1000):
        tail.feed("stdout", b"y" * 4096)
    assert sum(map(len, tail.lines())) <= 3 * 8
