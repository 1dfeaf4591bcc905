"""Rows by revision: what a subscriber gets, what it never gets, and that it always ends with the latest."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.hub.subscriptions import FAR_BEHIND_ROWS, TOMBSTONE_SECONDS, TOMBSTONES_MAX, RowFeed, RowSubscriber
from opsconsole.protocol.limits import DELTA_BYTES_MAX, WINDOW_FRAMES


class Rows:
    """Rows that a test changes; `feed` renders them and `rendered` counts how often."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.rendered = 0
        self.feed = RowFeed("epoch", self._render)
        self.now = 0.0

    def _render(self, key: str, rev: int) -> bytes | None:
        self.rendered += 1
        return json.dumps({"key": key, "value": self.rows[key], "rev": rev}).encode() if key in self.rows else None

    def put(self, key: str, value: Any = 0) -> None:
        self.rows[key] = value
        self.feed.change(key, self.now)

    def drop(self, key: str) -> None:
        self.rows.pop(key, None)
        self.feed.change(key, self.now)


class Client:
    """A console that follows the protocol: swaps a snapshot in at its end, checks `from_rev`, acknowledges frames."""

    def __init__(self, feed: RowFeed) -> None:
        self.subscriber = RowSubscriber(feed, "board")
        self.rows: dict[str, Any] = {}
        self.rev = 0
        self.unread: list[str] = []
        self.parts: dict[str, Any] = {}
        self.subscriber.start(None, None)

    def pull(self) -> None:
        while (text := self.subscriber.next_text()) is not None:
            self.unread.append(text)

    def read(self) -> None:
        if not self.unread:
            return
        frame = json.loads(self.unread.pop(0))
        rows = {row["key"]: row["value"] for row in frame["rows"]}
        if frame["t"] == "snap":
            self.parts = rows if frame["part"] == 0 else self.parts | rows
            if frame["end"]:
                self.rows, self.rev = self.parts, frame["rev"]
        else:
            assert frame["from_rev"] == self.rev
            self.rows = {key: row for key, row in (self.rows | rows).items() if key not in frame["gone"]}
            self.rev = frame["rev"]
        self.subscriber.ack(frame["rev"])

    def catch_up(self) -> None:
        while self.unread or (self.subscriber.is_behind and self.subscriber.has_room):
            self.pull()
            self.read()


def frames(subscriber: RowSubscriber) -> list[dict[str, Any]]:
    found = []
    while (text := subscriber.next_text()) is not None:
        found.append(json.loads(text))
    return found


def test_a_new_subscriber_gets_a_snapshot_of_every_row() -> None:
    rows = Rows()
    rows.put("a")
    rows.put("b")
    subscriber = RowSubscriber(rows.feed, "mine")
    subscriber.start(None, None)
    assert frames(subscriber) == [
        {
            "t": "snap",
            "sub": "mine",
            "epoch": "epoch",
            "part": 0,
            "end": True,
            "rev": 2,
            "rows": [{"key": "a", "value": 0, "rev": 1}, {"key": "b", "value": 0, "rev": 2}],
        }
    ]


def test_a_view_without_rows_is_a_snapshot_without_rows() -> None:
    subscriber = RowSubscriber(Rows().feed, "board")
    subscriber.start(None, None)
    assert [(frame["t"], frame["rows"], frame["end"]) for frame in frames(subscriber)] == [("snap", [], True)]


def test_a_delta_holds_the_latest_of_each_changed_row_once() -> None:
    rows = Rows()
    client = Client(rows.feed)
    client.catch_up()
    for value in range(5):
        rows.put("a", value)
    rows.put("b")
    (delta,) = frames(client.subscriber)
    assert (delta["from_rev"], delta["rev"]) == (0, 6)
    assert [(row["key"], row["value"]) for row in delta["rows"]] == [("a", 4), ("b", 0)]


def test_a_row_is_rendered_once_a_revision_however_many_follow() -> None:
    rows = Rows()
    clients = [Client(rows.feed) for _ in range(20)]
    for client in clients:
        client.catch_up()
    rows.put("a")
    for client in clients:
        client.catch_up()
    assert (rows.rendered, {tuple(client.rows.items()) for client in clients}) == (1, {(("a", 0),)})


def test_subscribers_at_one_position_share_one_delta() -> None:
    rows = Rows()
    rows.put("a")
    assert rows.feed.since(0) is rows.feed.since(0)


def test_a_removed_row_is_named_as_gone() -> None:
    rows = Rows()
    rows.put("a")
    client = Client(rows.feed)
    client.catch_up()
    rows.drop("a")
    (delta,) = frames(client.subscriber)
    assert (delta["rows"], delta["gone"]) == ([], ["a"])


def test_a_row_that_comes_back_is_no_longer_gone() -> None:
    rows = Rows()
    rows.put("a")
    client = Client(rows.feed)
    client.catch_up()
    rows.drop("a")
    client.catch_up()
    rows.put("a", "again")
    client.catch_up()
    assert client.rows == {"a": "again"}


def test_no_more_than_the_window_is_sent_unacknowledged() -> None:
    rows = Rows()
    client = Client(rows.feed)
    client.catch_up()
    for number in range(10):
        rows.put("a", number)
        client.pull()
    assert len(client.unread) == WINDOW_FRAMES
    client.catch_up()
    assert client.rows == {"a": 9}


def test_a_large_view_comes_in_parts_that_end_once() -> None:
    rows = Rows()
    for number in range(50):
        rows.put(f"row{number}", "x" * 20_000)
    client = Client(rows.feed)
    seen: list[dict[str, Any]] = []
    while client.subscriber.is_behind or client.unread:
        client.pull()
        seen += [json.loads(text) for text in client.unread[:1]]
        client.read()
    assert [frame["part"] for frame in seen] == list(range(len(seen)))
    assert [frame["end"] for frame in seen] == [False] * (len(seen) - 1) + [True]
    assert len(client.rows) == 50


def test_parts_of_a_snapshot_are_acknowledged_one_by_one() -> None:
    rows = Rows()
    for number in range(100):
        rows.put(f"row{number}", "x" * 20_000)
    client = Client(rows.feed)
    client.pull()
    client.read()
    client.pull()
    assert len(client.unread) == WINDOW_FRAMES


def test_a_frame_stays_under_its_limit_in_bytes_not_characters() -> None:
    rows = Rows()
    for number in range(20):
        rows.rows[f"row{number}"] = number
        rows.feed.change(f"row{number}", 0.0)
    rows.feed._render = lambda key, rev: f'{{"key":"{key}","value":"{"é" * 40_000}"}}'.encode()
    client = Client(rows.feed)
    client.pull()
    assert all(len(text.encode()) < DELTA_BYTES_MAX + 1_000 for text in client.unread)


def test_a_row_that_changes_all_the_time_reaches_a_console_that_is_far_behind() -> None:
    rows = Rows()
    client = Client(rows.feed)
    for number in range(2 * FAR_BEHIND_ROWS):
        rows.put(f"r{number}", "x" * 500)
    rows.put("busy", 1)
    client.subscriber.start("epoch", 0)
    assert '"key": "busy"' in (client.subscriber.next_text() or "")


def test_what_did_not_fit_is_known_to_be_left_until_it_was_sent() -> None:
    rows = Rows()
    client = Client(rows.feed)
    for number in range(3):
        rows.put(f"r{number}", "x" * (DELTA_BYTES_MAX // 2))
    client.subscriber.start("epoch", 0)
    client.subscriber.next_text()
    left = client.subscriber.is_cut
    for _ in range(2):
        client.subscriber.ack(client.subscriber.sent_rev)
        client.subscriber.next_text()
    assert (left, client.subscriber.is_cut) == (True, False)


def test_what_changes_during_a_snapshot_follows_in_a_delta() -> None:
    rows = Rows()
    for number in range(50):
        rows.put(f"row{number}", "x" * 20_000)
    client = Client(rows.feed)
    client.pull()
    rows.put("row49", "changed")
    rows.drop("row0")
    rows.put("new", "n")
    client.catch_up()
    assert (client.rows["row49"], client.rows["new"], "row0" in client.rows) == ("changed", "n", False)


def test_a_resumed_subscriber_gets_only_what_it_missed() -> None:
    rows = Rows()
    rows.put("a")
    rows.put("b")
    subscriber = RowSubscriber(rows.feed, "board")
    subscriber.start("epoch", 1)
    (delta,) = frames(subscriber)
    assert (delta["t"], delta["from_rev"], [row["key"] for row in delta["rows"]]) == ("delta", 1, ["b"])


def test_a_subscriber_that_missed_nothing_is_told_so() -> None:
    rows = Rows()
    rows.put("a")
    subscriber = RowSubscriber(rows.feed, "board")
    subscriber.start("epoch", 1)
    assert [(f["t"], f["from_rev"], f["rev"], f["rows"]) for f in frames(subscriber)] == [("delta", 1, 1, [])]


def test_another_epoch_or_a_revision_from_nowhere_means_a_whole_snapshot() -> None:
    rows = Rows()
    rows.put("a")
    kinds = []
    for epoch, rev in (("other", 1), ("epoch", 99), ("epoch", None), (None, 1)):
        subscriber = RowSubscriber(rows.feed, "board")
        subscriber.start(epoch, rev)
        kinds.append(frames(subscriber)[0]["t"])
    assert kinds == ["snap"] * 4


def test_who_comes_back_after_the_tombstones_are_forgotten_gets_a_snapshot() -> None:
    rows = Rows()
    rows.put("a")
    rows.drop("a")
    rows.feed.sweep(rows.rows, 0.0)
    rows.feed.sweep(rows.rows, TOMBSTONE_SECONDS)
    subscriber = RowSubscriber(rows.feed, "board")
    subscriber.start("epoch", 1)
    assert (rows.feed.floor, frames(subscriber)[0]["t"]) == (2, "snap")


def test_a_sweep_buries_rows_that_nobody_looked_at() -> None:
    rows = Rows()
    for number in range(TOMBSTONES_MAX + 10):
        rows.put(f"row{number}")
        rows.drop(f"row{number}")
    rows.feed.sweep(rows.rows, 0.0)
    assert (rows.feed.keys(), rows.feed.floor) == ([], 20)


def test_an_acknowledgement_of_what_was_never_sent_opens_no_window() -> None:
    rows = Rows()
    rows.put("a")
    client = Client(rows.feed)
    client.catch_up()
    rows.put("a", 1)
    client.pull()
    client.subscriber.ack(-5)
    assert len(client.subscriber.unacked) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcdef"), st.integers(0, 9)),
        st.tuples(st.just("drop"), st.sampled_from("abcdef")),
        st.tuples(st.just("pull")),
        st.tuples(st.just("read")),
        st.tuples(st.just("reconnect")),
        st.tuples(st.just("sweep"), st.sampled_from([1.0, TOMBSTONE_SECONDS])),
    ),
    max_size=60,
)


@given(STEPS)
def test_any_interleaving_converges_on_the_latest_rows(steps: list[tuple[Any, ...]]) -> None:
    rows = Rows()
    client = Client(rows.feed)
    for step, *args in steps:
        if step == "put":
            rows.put(*args)
        elif step == "drop":
            rows.drop(*args)
        elif step == "pull":
            client.pull()
        elif step == "read":
            client.read()
        elif step == "reconnect":
            client.unread.clear()
            client.subscriber.start("epoch", client.rev)
        else:
            rows.now += args[0]
            rows.feed.sweep(rows.rows, rows.now)
        assert len(client.subscriber.unacked) <= WINDOW_FRAMES
    client.catch_up()
    assert client.rows == rows.rows
