"""Renders the pictures of the documentation: the real console on a made-up fleet, which its header calls DEMO DATA.

python -m opsconsole.console.screenshot docs/images
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from opsconsole.console import sample, sample_history
from opsconsole.console.app import ConsoleApp
from opsconsole.console.pages import Pages
from opsconsole.console.view.session import Outcome, Session
from opsconsole.protocol.frames import Frame, Snap, Sub, Welcome

FONT = "DejaVu Sans Mono"
"""Has every mark that the console draws; the default font of the export has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: its file name, the keys that lead to it, and the terminal's size."""

    name: str
    keys: tuple[str, ...]
    size: tuple[int, int]


PICTURES = (
    Picture(name="runs", keys=("j", "j"), size=(140, 24)),
    Picture(name="approvals", keys=("2",), size=(140, 24)),
    Picture(name="run", keys=("j", "j", "enter"), size=(120, 30)),
    Picture(name="takeover", keys=("j", "t"), size=(100, 30)),
)


class _Clock:
    """Stands still, except between keys."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return sample.NOW


class _Stage:
    """Plays the hub with the sample's rows."""

    def __init__(self, session: Session, clock: _Clock) -> None:
        self._session = session
        self._clock = clock

    def send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            if isinstance(frame, Sub) and not frame.off:
                rows: dict[str, Callable[[], list[dict[str, Any]]]] = {
                    "board": sample.runs,
                    "approvals": sample.approvals,
                    "run": sample_history.events,
                }
                snap = Snap(sub=frame.sub, epoch="demo", part=0, end=True, rev=1, rows=rows[frame.view]())
                self._session.received(snap, now=self._clock.now)

    def retry(self) -> None:
        """It is always there."""

    async def run(self) -> None:
        welcome = Welcome(epoch="demo", conn="c1", principal="ana", role="operator", beat_seconds=10.0, time=sample.NOW)
        self.send(self._session.opened(welcome, now=self._clock.now))
        await asyncio.Event().wait()


class _NoApi:
    """There is no hub to page from."""

    async def audit(self, *, before: int | None = None, text: str = "") -> list[dict[str, Any]]:
        return sample_history.audit()

    async def audit_after(self, after: int, *, text: str = "") -> tuple[list[dict[str, Any]], int]:
        return [], after

    async def audit_head(self) -> int:
        return 0

    async def events(self, run: str, *, before: int | None) -> list[dict[str, Any]]:
        return []

    async def events_after(self, run: str, after: int) -> tuple[list[dict[str, Any]], int]:
        rows = [row for row in sample_history.events() if row["position"] > after]
        return rows, rows[-1]["position"] if rows else after

    async def verify(self) -> dict[str, Any]:
        return {}

    async def consistency(self, since: int) -> str:
        return ""

    async def close(self) -> None:
        """Nothing is open."""


def render(folder: Path) -> list[Path]:
    """Write every picture as a PNG; the files written. Needs cairosvg and the font DejaVu Sans Mono."""
    folder.mkdir(parents=True, exist_ok=True)
    return [asyncio.run(_render(picture, folder)) for picture in PICTURES]


async def _render(picture: Picture, folder: Path) -> Path:
    import cairosvg  # type: ignore[import-untyped]  # only for those who make pictures

    clock = _Clock()

    def make_link(session: Session, _told: Callable[[Outcome], None]) -> _Stage:
        return _Stage(session, clock)

    app = ConsoleApp(
        make_link=make_link, clock=clock, zone=UTC, new_id=lambda: "cmd_demo", pages=Pages(_NoApi), demo=True
    )
    async with app.run_test(size=picture.size) as pilot:
        for key in ("", *picture.keys):
            if key:
                await pilot.press(key)
            clock.now += 1.0
            await pilot.pause()
            app.redraw()
            await pilot.pause()
        svg = app.export_screenshot(title="opsconsole (demo data)")
    path = folder / f"{picture.name}.png"
    path.write_bytes(cairosvg.svg2png(bytestring=_with_font(svg).encode(), scale=1.5))
    return path


def _with_font(svg: str) -> str:
    plain = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    return plain.replace("Fira Code", FONT)


if __name__ == "__main__":
    for written in render(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")):
        print(written)
