"""The runs of this process on one link: opened, ticked, closed; how their bodies run is the twins' own."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opsconsole.domain.ids import is_id
from opsconsole.errors import ConfigError, HubUnreachable, RunInUse
from opsconsole.sdk.gate import LinkView
from opsconsole.sdk.identity import Identity
from opsconsole.sdk.live import LiveRun
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.opening import ADOPTION, Adoption, Opened, open_run
from opsconsole.sdk.orphans import Orphan, deliver, find_orphans
from opsconsole.sdk.pulse import Pulse
from opsconsole.sdk.settings import SdkSettings

if TYPE_CHECKING:
    from opsconsole.sdk.link import Link, Pace

FLUSH_SECONDS = 2.0
"""How long leaving waits for a hub in reach to take what is left; the next process delivers the rest."""
IN_USE_SECONDS = 2.0
"""A restart waits this long for the last delivery of the process before it."""
RETRY_SECONDS = 0.05

CURRENT_LIVE: ContextVar[LiveRun | None] = ContextVar("opsconsole_current_live_run", default=None)


class RunHost:
    """Everything of this process that one link speaks for."""

    def __init__(
        self, settings: SdkSettings, *, client: str = "", pace: Pace | None = None, adoption: Adoption = ADOPTION
    ) -> None:
        self.settings = settings
        self.link: Link
        self._client, self._pace, self._adoption = client, pace, adoption
        self._runs: dict[str, LiveRun] = {}
        self._orphans: dict[str, Orphan] = {}
        self._lock = threading.Lock()
        self.pulse = Pulse()

    def start(self) -> None:
        """Starts to connect in the background, and to deliver what gone processes left."""
        # websockets and the frames' models are imported here: an agent that only imports the SDK does not pay for them.
        from opsconsole.sdk.link import Link, Pace

        self.link = Link(
            url=self.settings.url,
            token=self.settings.token,
            point="sdk",
            client=self._client,
            busy=self._busy,
            tick=self._tick,
            pace=self._pace or Pace(),
        )
        self.link.start()
        if self.settings.journal_dir.is_dir():
            found = find_orphans(self.settings.journal_dir, self.link.wake, url=self.settings.url)
            self._orphans = {one.point.run: one for one in found}
            deliver(found, self.link)

    def stop(self) -> None:
        """Leaves: what the hub has not got stays in the journals."""
        self.link.stop(flush_seconds=FLUSH_SECONDS)
        for run in self.runs():
            self._close(run)
        for orphan in self._orphans.values():
            orphan.close()

    def runs(self) -> list[LiveRun]:
        """The runs whose bodies are executing, or whose last words are not delivered."""
        with self._lock:
            return list(self._runs.values())

    def open(
        self,
        *,
        agent: str,
        name: str | None,
        labels: Mapping[str, str] | None,
        parent: str | None,
        key: str | None,
        policy: OnHubLost,
        current: LiveRun | None,
    ) -> LiveRun:
        """A run, its journal open and not yet spoken for.

        Raises: RunInUse, RunStopped, HubUnreachable (where the policy demands the hub), ConfigError.
        """
        if not agent or not agent.strip():
            raise ConfigError("a run needs the name of its agent")
        if parent is not None and not is_id(parent):
            raise ConfigError(f"a parent is a run's id, not {parent[:200]!r}")
        self._demand_hub(policy)
        adopted, root = self._adoption.claim()
        try:
            opened = self._open_journal(agent, key, adopted)
        except BaseException:
            self._adoption.give_back(adopted)
            raise
        identity = Identity(
            agent=agent,
            name=name,
            parent=parent or (current.run if current else root if opened.adopted else adopted or root),
            labels=dict(labels or {}),
            resumable=opened.resumable,
            keyed=key is not None,
            supervised=opened.adopted,
        )
        live = LiveRun(opened.journal, identity, policy, self.link, self.runs)
        with self._lock:
            self._runs[live.run] = live
        if opened.left_behind:
            self._leave_behind(opened, live)
        return live

    def begin(self, live: LiveRun) -> None:
        """The body is about to execute: the run is spoken for from now on. Raises: ConfigError."""
        try:
            live.open()
        except sqlite3.Error as error:
            self._close(live)
            raise ConfigError(f"no journal can be kept in {self.settings.journal_dir}: {error}") from error
        except BaseException:
            self._close(live)
            raise

    def close(self, live: LiveRun) -> None:
        """The body has ended: the run is left once the hub has its last words."""
        with live.lock:
            due, live.leaving = live.declared and not live.leaving, live.leaving or live.declared
        if due:
            self.link.detach(live.point, lambda: self._close(live))

    def _close(self, live: LiveRun) -> None:
        with self._lock:
            self._runs.pop(live.run, None)
        with live.lock:
            remove = live.declared and live.point.delivered and not (live.identity.keyed or live.identity.supervised)
            live.closed = live.session.ended = True
            live.journal.close(remove=remove)

    def _demand_hub(self, policy: OnHubLost) -> None:
        if policy.lease is not None and not self.link.wait_up(policy.lease):
            why = self.link.view.refused or f"not reached within {policy.lease:g} s"
            raise HubUnreachable(f"the hub at {self.settings.url}: {why}; on_hub_lost says not to run without it")

    def _open_journal(self, agent: str, key: str | None, adopted: str | None) -> Opened:
        deadline = time.monotonic() + IN_USE_SECONDS
        if adopted in self._orphans:
            self._release_orphans()
        while True:
            try:
                resumes = self._adoption.resumes if adopted is not None else None
                return open_run(self.settings.journal_dir, agent=agent, key=key, adopted=adopted, resumes=resumes)
            except RunInUse:
                if key is None or time.monotonic() > deadline:
                    raise
                self._release_orphans()
            except (sqlite3.Error, OSError) as error:
                raise ConfigError(f"no journal can be kept in {self.settings.journal_dir}: {error}") from error

    def _release_orphans(self) -> None:
        """Perhaps it is we who deliver what the process before left: let go, and look again."""
        for run, orphan in list(self._orphans.items()):
            if orphan.closed:
                continue
            gone = threading.Event()
            self.link.drop(orphan.point, gone.set)
            gone.wait(IN_USE_SECONDS)
            orphan.close()
            del self._orphans[run]
        time.sleep(RETRY_SECONDS)

    def _leave_behind(self, opened: Opened, live: LiveRun) -> None:
        old = opened.left_behind
        assert old is not None
        orphan = Orphan(old, self.link.wake)
        orphan.succeed(live.run)
        deliver([orphan], self.link)

    # -- on the link's thread --------------------------------------------------------------------------------------

    def _tick(self, now: float, _view: LinkView) -> float | None:
        dues = [live.tick(now) for live in self.runs()]
        for live in self.runs():
            self.close(live)
        return min((due for due in dues if due is not None), default=None)

    def _busy(self) -> str | None:
        calls = [f"{len(live.session.executing)} calls of {live.run}" for live in self.runs() if live.session.executing]
        hung = self.pulse.hung_seconds(time.monotonic())
        told = [f"the agent's loop has stood still for {hung:.0f} s"] if hung else []
        return "; ".join(told + calls)[:200] or None
