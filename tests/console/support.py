"""Fakes for the console's tests: a link that keeps what is sent, clocks that stand still, and a hub in a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip

from opsconsole.console import sample, sample_history
from opsconsole.console.app import ConsoleApp
from opsconsole.console.pages import Pages
from opsconsole.console.view.session import Outcome, Session
from opsconsole.console.witness import Witness
from opsconsole.errors import HubError
from opsconsole.protocol.frames import Beat, Command, Delta, Frame, Res, Snap, Sub, Welcome


@dataclass
class FakeClock:
    """Stands still until told."""

    now: float = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return sample.NOW


class FakeLink:
    """Keeps what is sent; the test plays the hub."""

    def __init__(self, session: Session, told: Callable[[Outcome], None], clock: FakeClock) -> None:
        self.session = session
        self.told = told
        self.clock = clock
        self.sent: list[Frame] = []
        self.retries = 0
        self.beats = True
        """Whether the hub says that it is there, whenever the test lets time pass."""

    @property
    def commands(self) -> list[Command]:
        return [frame for frame in self.sent if isinstance(frame, Command)]

    def send(self, frames: Iterable[Frame]) -> None:
        self.sent.extend(frames)

    def retry(self) -> None:
        self.retries += 1

    async def run(self) -> None:
        await asyncio.Event().wait()

    def open(self, *, epoch: str = "e1", principal: str = "ana", role: str = "operator", **told: Any) -> None:
        welcome = Welcome(
            epoch=epoch, conn="c1", principal=principal, role=role, beat_seconds=10.0, time=sample.NOW, **told
        )
        self.send(self.session.opened(welcome, now=self.clock.now))

    def close(self, *, code: int = 1006, final: bool = False) -> None:
        retry_at = None if final else self.clock.now + 3
        self.session.closed(
            now=self.clock.now, code=code, reason="the connection broke", final=final, retry_at=retry_at
        )
        self.told(Outcome())

    def give(self, frame: Frame) -> None:
        outcome = self.session.received(frame, now=self.clock.now)
        self.send(outcome.send)
        self.told(outcome)

    def snap(self, sub: str, rows: list[dict[str, Any]], *, rev: int = 1, epoch: str = "e1") -> None:
        self.give(Snap(sub=sub, epoch=epoch, part=0, end=True, rev=rev, rows=rows))

    def delta(self, sub: str, rows: list[dict[str, Any]], *, gone: Iterable[str] = (), since: int = 1) -> None:
        self.give(Delta(sub=sub, from_rev=since, rev=since + 1, rows=rows, gone=list(gone)))

    def accept(self, command: Command) -> None:
        self.give(Res(cmd=command.cmd, ok=True, status="recorded"))

    def tail(self) -> str:
        """The id of the latest subscription to a run's timeline."""
        return [frame.sub for frame in self.sent if isinstance(frame, Sub) and frame.view == "run" and not frame.off][
            -1
        ]


class FakeApi:
    """The hub's HTTP side, from lists."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.verdict: dict[str, Any] = {"ok": True, "entries": 6, "problems": []}
        self.problem: HubError | None = None
        self.consistency_problem: Callable[[int], HubError | None] = lambda _: None
        self.consistency_held: asyncio.Event | None = None
        """Proofs are given once it is set."""
        self.history = sample_history.events()
        self.left: dict[str, list[dict[str, Any]] | HubError] = {}
        """Events of single runs, in place of the sample's."""
        self.followed: list[tuple[int, str]] = []
        self.later: list[dict[str, Any]] = []
        """What is recorded while the test runs."""

    async def audit(self, *, before: int | None = None, text: str = "") -> list[dict[str, Any]]:
        self.asked.append(("audit", before, text))
        if self.problem:
            raise self.problem
        return [entry for entry in sample_history.audit() if before is None or entry["seq"] < before]

    async def audit_after(self, after: int, *, text: str = "") -> tuple[list[dict[str, Any]], int]:
        self.followed.append((after, text))
        if self.problem:
            raise self.problem
        found = [entry for entry in self.later if entry["seq"] > after]
        return found, max([after, *(entry["seq"] for entry in found)])

    async def audit_head(self) -> int:
        return max(entry["seq"] for entry in sample_history.audit())

    async def events(self, run: str, *, before: int | None) -> list[dict[str, Any]]:
        self.asked.append(("events", run, before))
        told = self.left.get(run, sample_history.events())
        if isinstance(told, HubError):
            raise told
        return [row for row in told if before is None or row["position"] < before]

    async def events_after(self, run: str, after: int) -> tuple[list[dict[str, Any]], int]:
        self.asked.append(("events_after", run, after))
        if self.problem:
            raise self.problem
        rows = [row for row in self.history if row["position"] > after]
        return rows, rows[-1]["position"] if rows else after

    async def verify(self) -> dict[str, Any]:
        self.asked.append(("verify",))
        return self.verdict

    async def consistency(self, since: int) -> str:
        self.asked.append(("consistency", since))
        if self.consistency_held:
            await self.consistency_held.wait()
        if problem := self.consistency_problem(since):
            raise problem
        return f"proof since {since}"

    async def close(self) -> None:
        self.asked.append(("close",))


class Bench:
    """A console on fakes."""

    def __init__(
        self,
        *,
        kill_key: str = "once",
        mono: bool = False,
        plain_ascii: bool = False,
        witness: Callable[[], Witness] | None = None,
        **options: Any,
    ) -> None:
        self.clock = FakeClock()
        self.api = FakeApi()
        self.links: list[FakeLink] = []
        numbers = iter(range(1, 1_000))

        def make_link(session: Session, told: Callable[[Outcome], None]) -> FakeLink:
            self.links.append(FakeLink(session, told, self.clock))
            return self.links[-1]

        self.app = ConsoleApp(
            make_link=make_link,
            clock=self.clock,
            zone=UTC,
            new_id=lambda: f"cmd_{next(numbers)}",
            pages=Pages(lambda: self.api, witness=witness),
            kill_key=kill_key,
            mono=mono,
            plain_ascii=plain_ascii,
            demo=True,
            **options,
        )

    @property
    def link(self) -> FakeLink:
        return self.links[-1]

    def fill(self) -> None:
        """A hub with the sample fleet."""
        self.link.open()
        self.link.snap("board", sample.runs())
        self.link.snap("approvals", sample.approvals())


class Seat:
    """A console on fakes with somebody at its keys."""

    def __init__(self, bench: Bench, pilot: Pilot[int]) -> None:
        self.app = bench.app
        self.link = bench.link
        self.clock = bench.clock
        self.api = bench.api
        self.pilot = pilot

    async def settle(self, seconds: float = 1.0) -> None:
        """Let time pass and everything be painted."""
        self.clock.now += seconds
        if self.app.session.online and self.link.beats:
            self.link.give(Beat(n=1, now=self.app.session.clock.at(self.clock.now)))
        await rest(self.app, self.pilot)

    async def press(self, *keys: str) -> None:
        """Press keys, a second apart."""
        for key in keys:
            await self.pilot.press(key)
            self.app.redraw()
            await self.settle()

    async def rush(self, *keys: str) -> None:
        """Press keys with no time between them."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.pilot.press(*(KEY_NAMES.get(mark, mark) for mark in text))

    async def read_on(self) -> None:
        """Have everything on screen once that a yes would let run."""
        for _ in range(READ_ON_MAX):
            if "READ ON" not in self.screen:
                return
            await self.press("J")
        raise AssertionError(f"it has no end:\n{self.screen}")

    async def go(self, agent: str) -> None:
        """Put the cursor of the runs table on an agent's run."""
        board = self.app.session.board
        key = next(key for key, row in board.rows.by_key.items() if row.agent == agent)
        assert self.app.runs_panel.list.go(key)
        self.app.redraw()
        await self.settle()

    @property
    def screen(self) -> str:
        return screen(self.app)

    @property
    def note(self) -> str:
        """The line above the hints."""
        lines = self.app.note.lines
        return "".join(text for text, _ in lines[0]).strip() if lines else ""

    def run(self, agent: str) -> str:
        """The id of an agent's run."""
        return next(key for key, row in self.app.session.board.rows.by_key.items() if row.agent == agent)


KEY_NAMES = {" ": "space", ",": "comma", ".": "full_stop", ":": "colon", "{": "left_curly_bracket"}


PICTURES_MAX = 100
"""A console whose clock stands still has come to rest after a few pictures, or never will."""

READ_ON_MAX = 40
"""Half pages of what is to be decided on; the tests have no longer ones."""

TICKS = 8
"""Load frames until each part of a list has had its turn, and words that wait for a key's paint theirs."""


async def rest(app: ConsoleApp, pilot: Pilot[int]) -> None:
    """Wait until nothing is pending: no layout or paint due, and neither a message nor a timer that would change the
    picture. No time passes on the console's clock."""
    before: list[Strip] = []
    for _ in range(PICTURES_MAX):
        app._second()
        for _ in range(TICKS):
            app.frames.tick()
        await pilot._wait_for_screen()
        app.screen._on_timer_update()
        await pilot._wait_for_screen()
        now = app.screen._compositor.render_strips()
        if app._exit or (now == before and not _is_due(app.screen)):
            return
        before = now
    raise AssertionError(f"the console does not come to rest:\n{screen(app)}")


def _is_due(seen: Screen[object]) -> bool:
    """Whether a layout or a paint is; messages always may be, of timers that change nothing."""
    return bool(seen._layout_required or seen._repaint_required or seen._dirty_widgets)


async def whole(app: ConsoleApp, pilot: Pilot[int]) -> None:
    """Rest, and check that the picture is what painting everything anew would give: nothing on it is old."""
    await rest(app, pilot)
    seen = screen(app)
    for widget in app.screen.walk_children():
        widget.refresh()
    await rest(app, pilot)
    assert screen(app) == seen


def screen(app: ConsoleApp) -> str:
    """What the terminal shows."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text[:width].rstrip() for strip in strips[:height])
