"""Speaks for one supervised run to the hub: its start, its end and the answers to orders; it touches no process.

What is said goes into a journal first, so that it survives the loss of the hub and the death of this process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsconsole import __version__
from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.protocol.frames import PointCommand
from opsconsole.protocol.limits import LABEL_CHARS_MAX, LABEL_NAME_CHARS_MAX
from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.gate import LinkView
from opsconsole.sdk.journal import Journal
from opsconsole.sdk.link import Link
from opsconsole.sdk.order import Order
from opsconsole.sdk.point_run import KEY, PointRun
from opsconsole.supervisor.receipts import Exit

POINT = "supervisor"
CAPS = ("kill_process", "freeze")
CONCERNS = frozenset({Do.KILL, Do.FREEZE, Do.THAW})
"""The orders a supervisor carries out; the others are for the points inside the process."""

ENDED = "ended"
"""The journal's fact that its run has ended: whoever finds the journal has only to deliver it."""

DELIVER_SECONDS = 5.0
"""How long the end of a run waits for a hub that is there; the journal keeps what is not delivered."""
LOST_SECONDS = 0.2
"""The same for a hub that cannot be reached: the command's caller wants its status, and the next run delivers."""
LAST_LINES_MAX = 100
LAST_LINE_CHARS_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the hub is told of a run."""

    run: str
    agent: str
    name: str | None = None
    parent: str | None = None
    labels: Mapping[str, str] | None = None


class SupervisorRun(PointRun):
    """A run as its supervisor speaks for it: of the hub's orders it keeps only those it carries out.

    The key proves to the hub that this is the supervisor. The command never gets it, nor is it written down before
    nothing of the command lives that could read it.
    """

    def __init__(
        self, journal: Journal, *, key: str, on_order: Callable[[Order], None], wake: Callable[[bool], None]
    ) -> None:
        super().__init__(journal, on_order=on_order, wake=wake)
        self._key = key

    def greeting(self) -> dict[str, Any]:
        return {**super().greeting(), "key": self._key}

    def keep_key(self) -> None:
        """Leaves the key in the journal. Raises: sqlite3.Error."""
        self.journal.put(KEY, self._key)

    def command(self, frame: PointCommand) -> int:
        if frame.do in CONCERNS:
            return super().command(frame)
        with self.lock:
            if frame.cseq > self.journal.cseq:
                self.journal.put("cseq", str(frame.cseq))
                self.journal.cseq = frame.cseq
            return self.journal.cseq


class Report:
    """The supervisor's word on one run. All methods may be called from any thread."""

    def __init__(
        self,
        run: str,
        *,
        key: str,
        folder: Path,
        url: str,
        token: Callable[[], str | None],
        on_order: Callable[[Order], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        """Opens the journal and starts to connect; nothing waits for the hub. `on_order` and `on_trouble` are called
        on the link's thread, `on_trouble` once, when the hub cannot be reached or refuses us.

        Raises: RunInUse, JournalDamaged, OSError.
        """
        self._journal = Journal(folder, run, point=POINT)
        self._on_trouble = on_trouble
        self._troubled = False
        self._link = Link(
            url=url, token=token, point=POINT, client=f"opsconsole-run/{__version__}", tick=self._look_at_link
        )
        self._run = SupervisorRun(self._journal, key=key, on_order=on_order, wake=self._link.wake)
        self._link.start()
        self._link.attach(self._run)

    @property
    def is_connected(self) -> bool:
        """Whether the hub hears us now."""
        return self._link.view.up

    def begin(self, description: Description) -> None:
        """The run exists and is about to work."""
        told = {
            "agent": description.agent,
            "name": description.name,
            "parent": description.parent,
            "labels": _labels(description.labels or {}),
        }
        self._tell("run", **told, caps=list(CAPS), version=__version__)
        self._tell("state", state=RunState.WORKING.value)

    def note(self, text: str, *, level: str = "info", **data: Any) -> None:
        """Something worth keeping on the timeline."""
        self._tell("note", level=level, text=text, kind=POINT, data=data or None)

    def answer(self, cmd: str, **fields: Any) -> None:
        """The answer to an order."""
        self._run.answer(cmd, **fields)

    def end(
        self, state: RunState, *, reason: str, exit: dict[str, Any] | None = None, error: str | None = None
    ) -> None:
        """How the run ended."""
        self._tell("state", state=state.value, reason=reason, exit=exit, error=error)
        with suppress(sqlite3.Error):  # a full disk costs these facts, not the command's exit status
            self._journal.put(ENDED, state.value)
            if exit is not None and exit.get("survivors") == 0:
                self._run.keep_key()  # whoever delivers the journal brings the proof of an empty tree with it

    def close(self) -> bool:
        """Delivers what there is to deliver, for a limited time, and lets go; True if the hub has everything. What it
        does not have stays in the journal."""
        delivered = self._link.stop(flush_seconds=LOST_SECONDS if self._link.view.lost else DELIVER_SECONDS)
        self._journal.close(remove=delivered)
        return delivered

    def _tell(self, type: str, **fields: Any) -> None:
        self._run.tell(
            {"type": type, **{name: value for name, value in fields.items() if value is not None}}, urgent=True
        )

    def _look_at_link(self, _now: float, view: LinkView) -> float | None:
        if (view.lost or view.refused) and not self._troubled:
            self._troubled = True
            self._on_trouble(f"the hub refused us: {view.refused}" if view.refused else "the hub cannot be reached")
        return None


def exit_json(exit: Exit, wall_seconds: float) -> dict[str, Any]:
    """An exit as the protocol carries it; `survivors` is 0 exactly when the tree is proven empty."""
    used = exit.rusage
    lines = [bounded_text(line, LAST_LINE_CHARS_MAX - 100) for line in exit.last_output[-LAST_LINES_MAX:]]
    return {
        "code": exit.code,
        "signal": exit.signal,
        "cpu_seconds": round(used.user_seconds + used.system_seconds, 6),
        "memory_bytes_max": used.max_rss,
        "wall_seconds": round(wall_seconds, 3),
        "last_output": lines,
        "survivors": 0 if exit.empty else max(1, exit.survivors),
    }


def _labels(given: Mapping[str, str]) -> dict[str, str] | None:
    """As long as the hub takes them: a longer one would hide the whole run."""
    return {
        bounded_text(name, LABEL_NAME_CHARS_MAX): bounded_text(text, LABEL_CHARS_MAX) for name, text in given.items()
    } or None
