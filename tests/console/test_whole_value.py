"""A console that followed a fleet under load paints, in the end, what one that was opened just then paints."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.strip import Strip

from opsconsole.console.sample import NOW, approval, run
from opsconsole.console.view.cut_frame import cut, joined
from opsconsole.console.view.ingest import is_plain
from opsconsole.hub import subscriptions
from opsconsole.hub.subscriptions import RowFeed, RowSubscriber
from opsconsole.protocol.coding import decode
from opsconsole.protocol.frames import Ack, Beat, Delta, Snap, Sub
from tests.console.support import Bench, FakeLink, rest, whole

RUNS, ROUNDS, CHANGES_PER_ROUND = 500, 24, 60
SIZE = (170, 110)
ALWAYS = "run_always"
"""Changes in every round."""
EPOCH = "e1"
KILL = {"command": "c", "by": "ana", "mode": "now", "reason": "", "sent_at": NOW - 50, "proof": "none", "points": []}
ALERT = {"id": "al_1", "kind": "loop", "text": "the same call", "at": NOW - 9, "detector": "loop", "severity": "trip"}
STATES = ("working", "working", "working", "idle", "paused", "pausing", "input_required", "stopping", "completed")
CHOICES: dict[str, tuple[Any, ...]] = {
    "state": (*STATES, "failed", "killed", "submitted", "resuming"),
    "link": ("live", "live", "live", "stale", "lost", "detached"),
    "link_since": (NOW - 300, NOW - 30),
    "name": ("", "batch 7", "nightly \x1b[2J", "größer 表", "n" * 500),
    "labels": ({}, {"team": "search"}, {"team": "ops", "env": "prod"}),
    "owner": ("", "agents", "ben"),
    "reason": ("", "asked to"),
    "stop_reason": ("", "end_turn"),
    "error": ("", "ValueError: no such table"),
    "turns": (0, 7, 199, 200, 4_000),
    "input_tokens": (0, 900, 1_234_567),
    "output_tokens": (0, 80, 999_999),
    "cost_usd": (0, 0.0031, 4.2, 5.0, 123.456),
    "cost_per_minute_usd": (0.0, 0.005, 0.1, 1.337),
    "cost_known": (True, True, False),
    "caps": ({}, {"cost_usd": 5.0, "turns": 200}, {"tokens": 1_000}),
    "waiting": (None, None, {"kind": "tool", "what": "run_sql", "since": NOW - 20}),
    "doing": ("", "http_get /v2/users", "says “hej”", "x" * 900),
    "pending_approvals": (0, 0, 0, 1, 3),
    "children": (0, 2),
    "parent": (None, None, "run_0001", "run_0002"),
    "started_at": (NOW - 9_000, NOW - 600, NOW - 61),
    "progress_at": (NOW - 500, NOW - 119, NOW - 90, NOW),
    "ended_at": (None, NOW - 40),
    "points": ([], run("r", "a")["points"]),
    "kill": (None, None, None, KILL | {"status": "unconfirmed"}, KILL | {"status": "dead", "proof": "process"}),
    "baton": (None, None, None, {"by": "ana", "since": NOW - 60, "until": NOW + 240, "epoch": 2}),
    "alerts": ([], [], [ALERT | {"level": "critical"}], [ALERT | {"level": "warning", "verdict": "fine"}]),
    "runway": ("", "its $5.00 cap"),
    "runway_at": (None, NOW + 500),
    "held_by": ([], [], ["spend"]),
    "exit_code": (None, 0, 1),
    "exit_signal": (None, "SIGKILL"),
    "frozen": (False, False, True),
    "outlived": (False, False, True),
    "zombie": (False, False, False, True),
}
UNREADABLE: tuple[dict[str, Any], ...] = (
    {"points": [{"name": "sdk"}]},
    {"points": {"name": "sdk"}},
    {"waiting": []},
    {"alerts": [ALERT | {"level": "shrill"}]},
    {"kill": []},
    {"state": "dancing"},
    {"turns": "many"},
)


class Fleet:
    """Runs and held calls that change at random, and what the hub's own feeds know of them."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.rows: dict[str, dict[str, dict[str, Any]]] = {"board": {}, "approvals": {}}
        self.feeds = {view: RowFeed(EPOCH, self._render(view)) for view in self.rows}
        for number in range(RUNS):
            self.put("board", run(f"run_{number:04d}", self.dice.choice(("coder", "planner", "support"))))
        self.put("board", run(ALWAYS, "busy"))

    def _render(self, view: str) -> Any:
        def render(key: str, rev: int) -> bytes | None:
            row = self.rows[view].get(key)
            return None if row is None else json.dumps(row | {"rev": rev}).encode()

        return render

    def put(self, view: str, row: dict[str, Any]) -> None:
        self.rows[view][row["key"]] = row
        self.feeds[view].change(row["key"], NOW)

    def drop(self, view: str, key: str) -> None:
        self.rows[view].pop(key, None)
        self.feeds[view].change(key, NOW)

    def change(self) -> None:
        """One round: rows that change, come back, go; one that always changes."""
        dice = self.dice
        for _ in range(CHANGES_PER_ROUND):
            key = f"run_{dice.randrange(RUNS if dice.random() < 0.7 else 40):04d}"
            if dice.random() < 0.06:
                self.drop("board", key)
            else:
                self.put("board", self._changed(key))
        always = self.rows["board"][ALWAYS]
        self.put("board", always | {"turns": always.get("turns", 0) + 1, "progress_at": NOW})
        key = f"apr_{dice.randrange(30):02d}"
        status = dice.choice(("pending", "pending", "approved", "expired"))
        self.put("approvals", approval(key, "run_0001", "coder", "run_sql", {"sql": "SELECT 1"}, status=status))

    def _changed(self, key: str) -> dict[str, Any]:
        row = self.rows["board"].get(key, run(key, "coder"))
        names = self.dice.sample(sorted(CHOICES), self.dice.randrange(1, 6))
        spoilt = self.dice.choice(UNREADABLE) if self.dice.random() < 0.03 else {}
        return row | {name: self.dice.choice(CHOICES[name]) for name in names} | spoilt


class Wire:
    """One console's connection, with the hub's own windows: frames in steps, acknowledgements late."""

    def __init__(self, fleet: Fleet, link: FakeLink) -> None:
        self.link = link
        self.subscribers = {view: RowSubscriber(feed, view) for view, feed in fleet.feeds.items()}
        self.acked = dict.fromkeys(fleet.feeds, 0)
        self._heard = 0

    def open(self) -> None:
        self.link.open(epoch=EPOCH)
        self.hear()

    def hear(self) -> None:
        """The hub reads what the console sent."""
        for frame in self.link.sent[self._heard :]:
            if isinstance(frame, Sub) and frame.sub in self.subscribers:
                self.subscribers[frame.sub].start(frame.epoch, frame.rev)
            elif isinstance(frame, Ack) and frame.sub in self.subscribers:
                self.subscribers[frame.sub].ack(frame.rev)
        self._heard = len(self.link.sent)

    def carry(self, view: str) -> Iterator[None]:
        """The next frame of a view, in the console's own steps."""
        text = self.subscribers[view].next_text()
        if text is None:
            return
        envelope, rows = cut(text)
        frame = joined(decode(envelope, "hub_to_operator"), rows)
        assert isinstance(frame, Snap | Delta)
        steps = self.link.session.receiving(frame, now=self.link.clock.now, plain=is_plain(text))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                self.link.send(end.value.send)
                break
            yield
        self.acked[view] = frame.rev if isinstance(frame, Delta) or frame.end else self.acked[view]

    def drain(self) -> None:
        """Everything, until nothing is owed."""
        while any(subscriber.is_behind for subscriber in self.subscribers.values()):
            for view in self.subscribers:
                for _ in self.carry(view):
                    pass
            self.hear()


def assert_nothing_is_older_than_acknowledged(fleet: Fleet, wire: Wire) -> None:
    """Of every row that changed at or before what was acknowledged, the board has that change, or a later one."""
    rows, feed, acked = wire.link.session.board.rows, fleet.feeds["board"], wire.acked["board"]
    if not rows.complete:
        return
    older = {
        key: (row.rev, feed.revision(key))
        for key, row in rows.by_key.items()
        if row.rev < feed.revision(key) <= acked and key not in rows._leaving
    }
    assert older == {}


async def load(fleet: Fleet, wire: Wire, bench: Bench, pilot: Pilot[int]) -> None:
    """Rounds of changes while keys are pressed, ticks paint, time passes and the connection breaks."""
    dice = fleet.dice
    for number in range(ROUNDS):
        fleet.change()
        for view in dice.sample(sorted(wire.subscribers), 2):
            for _ in wire.carry(view):
                bench.app.frames.tick()
            assert_nothing_is_older_than_acknowledged(fleet, wire)
        if dice.random() < 0.7:
            wire.hear()
        if dice.random() < 0.4:
            bench.app.deeds.do(dice.choice(("down", "up", "page_down", "last")))
            bench.app.frames.key_done()
        if dice.random() < 0.08:
            wire.link.close()
            wire.open()
        bench.clock.now += dice.choice((0.1, 0.3, 2.0))
        bench.app.frames.tick()
        if number % 12 == 11:
            await whole(bench.app, pilot)


async def let_pass(bench: Bench, pilot: Pilot[int]) -> None:
    """Longer than the order is held for a key."""
    bench.clock.now += 10
    bench.link.give(Beat(n=1, now=NOW + bench.clock.now - 1_000))
    await rest(bench.app, pilot)


async def pages(bench: Bench, pilot: Pilot[int]) -> list[list[Strip]]:
    """Every page of the table, from the first row on, as the terminal gets it."""
    await let_pass(bench, pilot)
    bench.app.deeds.do("first")
    seen = []
    for _ in range(-(-len(bench.app.runs_panel.list.keys) // (SIZE[1] - 10)) + 1):
        await let_pass(bench, pilot)
        seen.append(list(bench.app.screen._compositor.render_strips()))
        bench.app.deeds.do("page_down")
    return seen


def cells(seen: list[list[Strip]]) -> list[list[list[tuple[str, str]]]]:
    """Every text with its style."""
    return [[[(part.text, str(part.style)) for part in strip.simplify()] for strip in page] for page in seen]


def differences(old: list[list[Strip]], new: list[list[Strip]]) -> list[tuple[int, int, str, str]]:
    """(page, line, what the one says, what the other says), styles where the words are the same."""
    found = []
    for page, pair in enumerate(zip(cells(old), cells(new), strict=True)):
        for line, (one, other) in enumerate(zip(*pair, strict=True)):
            if one != other:
                words = ["".join(text for text, _ in parts) for parts in (one, other)]
                found.append((page, line, *(words if words[0] != words[1] else (str(one), str(other)))))
    return found


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deltas are cut, and hold what changed last, with some hundred rows instead of thousands."""
    monkeypatch.setattr(subscriptions, "DELTA_BYTES_MAX", 24_000)
    monkeypatch.setattr(subscriptions, "NEWEST_BYTES", 3_000)
    monkeypatch.setattr(subscriptions, "FAR_BEHIND_ROWS", 50)


@pytest.mark.usefixtures("small_frames")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_console_that_followed_every_change_paints_what_a_fresh_one_paints(seed: int) -> None:
    fleet = Fleet(random.Random(seed))
    followed, fresh = Bench(), Bench()
    async with followed.app.run_test(size=SIZE) as pilot:
        wire = Wire(fleet, followed.link)
        wire.open()
        await load(fleet, wire, followed, pilot)
        wire.drain()
        assert wire.acked["board"] == fleet.feeds["board"].rev
        followed.clock.now = float(int(followed.clock.now) + 20)
        ended_at = followed.clock.now
        old = await pages(followed, pilot)
    async with fresh.app.run_test(size=SIZE) as pilot:
        anew = Wire(fleet, fresh.link)
        anew.open()
        fresh.clock.now = ended_at
        anew.drain()
        await rest(fresh.app, pilot)
        assert differences(old, await pages(fresh, pilot)) == []
    assert followed.app.runs_panel.list.keys == fresh.app.runs_panel.list.keys
