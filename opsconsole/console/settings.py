"""What the console is started with; where it came from (flag, environment, file) is not its business."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from opsconsole.console.view.ringing import Way
from opsconsole.console.witness import Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """The settings of one console."""

    url: str
    """The hub's address: http, https, ws or wss."""
    token: str = field(repr=False)
    kill_key: Literal["once", "twice"] = "once"
    no_mouse: bool = False
    """Leave the mouse to the terminal, for its own selection."""
    ascii: bool = False
    """Plain ASCII marks and borders."""
    no_color: bool = False
    theme: Literal["dark", "light", "ansi", "colour-blind", "mono"] = "dark"
    keys: tuple[tuple[str, str], ...] = ()
    """(id of an act, its keys separated by spaces), in place of its own."""
    previews: tuple[tuple[str, str], ...] = ()
    """(tool, source): where the effect of a held call of the tool is looked up, without running anything."""
    notify: Way = "bell"
    """How the operator is called when something new waits."""
    quiet: Callable[[int], bool] = lambda minute: False
    """Whether a minute of the day, of the operator's zone, is one of the quiet hours."""
    log_path: Path | None = None
    """Where a crash is written; None writes none."""
    witness: Callable[[str], Witness] | None = None
    """By the hub's address, what remembers the signed heads of its audit; None: nothing is compared."""
    cases: Path = Path("cases")
    """The folder that runs are pinned into; a relative one lies where the console was started."""
    title: str = "opsconsole"
