"""Server-sent events: frames come out whole and the same, however their bytes were cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.gateway.dialect.framing import Frame, Frames, FrameTooLong, is_clear, read_frame, written_frame
from opsconsole.gateway.dialect.held_frames import place_of

SSE = st.lists(st.sampled_from([b"data: a", b"data:b", b"event: x", b":c", b"\n", b"\r", b"\r\n", "ü".encode()])).map(
    b"".join
)


def framed(data: bytes, cuts: list[int] | None = None) -> list[Frame]:
    frames = Frames()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts or []), len(data)]
    out = [frame for start, stop in pairwise(places) for frame in frames.feed(data[start:stop])]
    return out + frames.end()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_blank_line_ends_a_frame_whatever_ends_its_lines(line_end: bytes) -> None:
    first, second = (part.replace(b"\n", line_end) for part in (b"event: a\ndata: 1\n\n", b"data: 2\n\n"))
    assert framed(first + second) == [Frame(first, "a", b"1"), Frame(second, "", b"2")]


def test_line_ends_may_be_mixed() -> None:
    assert [frame.data for frame in framed(b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\n\r\n")] == [b"1", b"2", b"3"]


@given(data=SSE, cuts=st.lists(st.integers(0, 80), max_size=8))
@settings(deadline=None)
def test_any_cut_gives_the_same_frames_and_loses_no_byte(data: bytes, cuts: list[int]) -> None:
    assert framed(data, cuts) == framed(data)
    assert b"".join(frame.raw for frame in framed(data, cuts)) == data


@pytest.mark.parametrize(
    ("raw", "event", "data"),
    [
        (b"data: x\n\n", "", b"x"),
        (b"data:x\n\n", "", b"x"),
        (b"data:  x\n\n", "", b" x"),
        (b"data: x\ndata: y\n\n", "", b"x\ny"),
        (b"event: a\nevent: b\ndata: x\n\n", "b", b"x"),
        (b": comment\n\n", "", b""),
        (b": comment\nid: 7\nretry: 9\nunknown\ndata: x\n\n", "", b"x"),
        (b"\xef\xbb\xbfdata: x\n\n", "", b"x"),
        (b"event: \xff\ndata: \xff\n\n", "\ufffd", b"\xff"),
        (b"data: x", "", b"x"),
        (b"data\n\n", "", b""),
    ],
)
def test_fields_are_read_as_the_standard_says(raw: bytes, event: str, data: bytes) -> None:
    assert read_frame(raw) == Frame(raw, event, data)


def test_what_is_left_at_the_end_is_a_last_frame() -> None:
    assert framed(b"data: 1\n\ndata: 2\n") == [Frame(b"data: 1\n\n", "", b"1"), Frame(b"data: 2\n", "", b"2")]


@pytest.mark.parametrize("data", [b"x" * 11, b"data: 1234567\n\n"])
def test_a_frame_over_the_limit_is_refused(data: bytes) -> None:
    with pytest.raises(FrameTooLong):
        Frames(bytes_max=10).feed(data)


def test_many_small_frames_are_no_long_one() -> None:
    assert len(Frames(bytes_max=10).feed(b"data: 1\n\n" * 100)) == 100


@pytest.mark.parametrize("event", ["", "ping"])
def test_a_written_frame_is_read_as_it_was_meant(event: str) -> None:
    raw = written_frame(b'{"a":1}', event)
    assert read_frame(raw) == Frame(raw, event, b'{"a":1}')


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "raw", ["data: ü\u2028\n\n", "event: a\ndata: x\n\n", ": c\nid: 7\nretry: 9\ndata:x\ndata: y\n\n"]
)
def test_events_and_comments_are_clear(raw: str, newline: str) -> None:
    assert is_clear(read_frame(raw.replace("\n", newline).encode()))


@pytest.mark.parametrize(
    "line", ["unknown", '{"a":1}', ": ü", "event: a\x85data: x", "id: \x0b", "retry: \u2028", "\x1f\x8b"]
)
def test_what_is_no_line_of_an_event_or_not_one_line_everywhere_is_not_clear(line: str) -> None:
    frames = [read_frame(f"{line}\n{more}\n\n".encode()) for more in ("", "data: x")]
    assert [is_clear(frame) for frame in frames] == [False, False]


def test_a_blank_line_whose_end_has_not_come_yet_is_waited_for() -> None:
    frames = Frames()
    found = frames.feed(b"data: a\r\n\r") + frames.feed(b"\ndata: b\r\n\r\n")
    assert [one.raw for one in found] == [b"data: a\r\n\r\n", b"data: b\r\n\r\n"]


@pytest.mark.parametrize(("body", "place"), [({"index": 3}, 3), ({}, -1), ({"index": True}, -1), ({"index": "3"}, -1)])
def test_an_event_is_about_the_part_that_it_numbers(body: dict[str, Any], place: int) -> None:
    assert place_of(body, "index") == place
