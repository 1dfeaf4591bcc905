"""What every panel is given: session, controls, clocks, and the few things it may ask of the app; it does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from opsconsole.console.actions import ViewName
from opsconsole.console.clock import Clock
from opsconsole.console.controls import Controls
from opsconsole.console.keymap import Keymap
from opsconsole.console.pages import Pages
from opsconsole.console.theme import Painter
from opsconsole.console.view.dwell import Dwell
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Tone
from opsconsole.console.view.outbox import Entry
from opsconsole.console.view.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Something long to write before it is sent: what it is about, how it is checked, and what sends it."""

    title: str
    text: str
    about: HeldCall | None
    """The held call it answers; when that changes, the draft can no longer be sent."""
    before: object
    """What the draft is compared with; None when it replaces nothing."""
    check: Callable[[str], object]
    """The value meant by the text. Raises: BadDraft."""
    send: Callable[[object], None]
    """Sends the checked value. Raises: NotDone."""


class Screenwork(Protocol):
    """What a panel may ask of the app."""

    pages: Pages

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Tell the operator something on the line above the hints."""
        ...

    def ask(
        self,
        label: str,
        done: Callable[[str], None],
        *,
        value: str = "",
        typed: Callable[[str], None] | None = None,
    ) -> None:
        """Ask for one line of text; `typed` gets it as it grows, and what was there before when nothing is given."""
        ...

    def write(self, draft: Draft) -> None:
        """Open a draft."""
        ...

    def show_view(self, view: ViewName) -> None:
        """Show a view."""
        ...

    def open_run(self, run: str) -> None:
        """Show one run."""
        ...

    def follow(self, run: str) -> None:
        """Have the timeline of this run, instead of any other."""
        ...

    def show_receipt(self, entries: list[Entry]) -> None:
        """Open the receipt of a kill."""
        ...

    def redraw(self) -> None:
        """Draw everything about the view shown."""
        ...


@dataclass(slots=True, kw_only=True)
class Context:
    """Shared by the app and its panels."""

    session: Session
    controls: Controls
    clock: Clock
    zone: tzinfo
    painter: Painter
    app: Screenwork
    dwell: Dwell
    kill_key: str
    keymap: Keymap

    def hub_now(self) -> float:
        """Hub time now; while the hub is not heard it stands still where the data ends: nothing is known of later."""
        link, now = self.session.link, self.clock.monotonic()
        frozen = link.ever and not self.session.is_fresh(now=now)
        return self.session.clock.at(link.heard_at if frozen else now)
