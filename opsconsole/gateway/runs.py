"""The runs that a gateway speaks for: found or begun by whose request it is, left when idle; one link for all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import sqlite3
from collections import OrderedDict
from pathlib import Path
from typing import Any

from opsconsole import __version__
from opsconsole.domain.run import RunState
from opsconsole.errors import ConfigError, RunInUse
from opsconsole.gateway.attribution import Caller
from opsconsole.gateway.journal import GatewayJournal
from opsconsole.gateway.ledger import Left, TurnLedger, left_behind
from opsconsole.gateway.live import GatewayLive, GatewayRun, remember, remembered
from opsconsole.gateway.loop_link import LoopLink
from opsconsole.gateway.lost_turns import LeftOfRun
from opsconsole.gateway.settings import GatewaySettings
from opsconsole.protocol.limits import RUNS_PER_CONNECTION_MAX
from opsconsole.sdk.gate import LinkView
from opsconsole.sdk.identity import Identity
from opsconsole.sdk.journal import journal_folder
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.orphans import Orphan, deliver, find_orphans
from opsconsole.sdk.settings import hub_name

log = logging.getLogger("opsconsole.gateway")

POINT = "gateway"
LIVE_RUNS_MAX = RUNS_PER_CONNECTION_MAX - 500
"""Of one gateway; the rest is for journals that only wait to be delivered."""
KILLED_KEPT_MAX = 10_000
"""Killed runs remembered, so that their next request is refused without a question."""
SUCCESSORS_MAX = 1_000
"""Runs under one id that a person chose, one after another."""
FLUSH_SECONDS = 2.0
"""How long leaving waits for the hub to take what is left."""
SETTLE_SECONDS = 0.25
"""How often journals are settled: twice that is what a gateway that dies may have said in vain."""
COUNTS_SETTLE = 4
"""Counts alone are written with every fourth of these: until then the ledger of turns has them."""
LOOK_SECONDS = 5.0
"""How often idle runs are looked for."""


FILES_OF_A_RUN = 4
"""Its journal, with what SQLite keeps beside it, and its lock."""
FILES_SPARED = 512
"""Open files left to connections: agents make up runs, and may not use up what everybody's streams need."""


class RunRefused(Exception):
    """A request's run may not go on, or cannot be begun."""

    def __init__(self, why: str, *, killed: bool = False) -> None:
        super().__init__(why)
        self.killed = killed


def runs_max() -> int:
    """How many runs this process has files for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    spared = min(FILES_SPARED, files // 2)
    return LIVE_RUNS_MAX if files == resource.RLIM_INFINITY else min(LIVE_RUNS_MAX, (files - spared) // FILES_OF_A_RUN)


def _ledger(folder: Path) -> TurnLedger:
    try:
        return TurnLedger(folder)
    except OSError as error:
        raise ConfigError(f"no record of turns can be kept in {folder}: {error.strerror or error}") from None


class GatewayRuns:
    """Every run of this process. `start`, `find`, `stop` on the same loop."""

    def __init__(self, settings: GatewaySettings, *, link: LoopLink | None = None) -> None:
        """Raises: ConfigError, where the data directory cannot be written."""
        self.settings = settings
        self._folder = settings.data_dir / "journal"
        self._runs: dict[str, GatewayRun] = {}
        self._by_key: dict[str, str] = {}
        self._opening: dict[str, asyncio.Future[GatewayRun]] = {}
        self._killed: OrderedDict[str, str] = OrderedDict()
        self._lives: dict[str, GatewayLive] = {}
        """As the link's thread sees them: also those that are leaving."""
        self._orphans: list[Orphan] = []
        self._view: LinkView | None = None
        self._dues: dict[str, float] = {}
        """run -> when the link's thread is to look at it, monotonic; that thread's own."""
        self._sweeping: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._settles = 0
        self._runs_max = runs_max()
        self._closing: set[asyncio.Future[None]] = set()
        self._ledger = _ledger(journal_folder(self._folder, POINT))
        self.link = link or LoopLink(
            url=settings.hub,
            token=settings.token,
            point=POINT,
            client=f"opsconsole-gateway/{__version__}",
            busy=self._busy,
            tick=self._tick,
        )

    async def start(self) -> None:
        """Connects in the background, and takes up what a process before left."""
        self._loop = asyncio.get_running_loop()
        self.link.begin()
        await asyncio.to_thread(self._take_up)
        self._sweeping = asyncio.create_task(self._sweep())
        self._settling = asyncio.create_task(self._settle_for_ever())

    async def stop(self) -> None:
        """Leaves: what the hub has not got stays in the journals."""
        for task in (self._sweeping, self._settling):
            if task:
                task.cancel()
        for run in list(self._runs.values()):
            with contextlib.suppress(sqlite3.Error), run.live.lock:
                run.live.flush_growing()
        await asyncio.to_thread(self.link.stop, flush_seconds=FLUSH_SECONDS)
        await asyncio.gather(*self._closing, return_exceptions=True)
        for live in list(self._lives.values()):
            self._close(live)
        self._ledger.close()
        for orphan in self._orphans:
            orphan.close()

    @property
    def live(self) -> list[GatewayRun]:
        """The runs that are spoken for."""
        return list(self._runs.values())

    def note(self, run: str, text: str, level: str, data: dict[str, Any] | None = None) -> None:
        """A line on the timeline of a run that is spoken for."""
        found = self._runs.get(run)
        if found is not None:
            found.note(text, level, data=data)

    def is_held(self, run: str) -> bool:
        """Whether nothing of the run may go to a provider now."""
        found = self._runs.get(run)
        return found is not None and found.live.session.paused

    @property
    def hub_gone(self) -> str:
        """Why the hub cannot be asked; empty while it can, or may yet be."""
        view = self.link.view
        if view.refused:
            return f"the hub refuses this gateway: {view.refused}"
        return "the hub cannot be reached" if view.lost and not view.up else ""

    # -- finding ---------------------------------------------------------------------------------------------------

    def known(self, caller: Caller) -> GatewayRun | None:
        """The run of a request where it is spoken for already."""
        return self._runs.get(caller.run or self._by_key.get(caller.key, ""))

    async def find(self, caller: Caller) -> GatewayRun:
        """The run of a request, begun if it is new. Raises: RunRefused."""
        run = self.known(caller)
        if run is not None:
            return run
        if caller.run in self._killed:
            raise RunRefused(self._killed[caller.run], killed=True)
        mark = caller.run or caller.key
        opening = self._opening.get(mark)
        if opening is None:
            opening = self._opening[mark] = asyncio.ensure_future(self._open_for(caller))
            opening.add_done_callback(lambda _: self._opening.pop(mark, None))
        return await asyncio.shield(opening)

    async def _open_for(self, caller: Caller) -> GatewayRun:
        if len(self._lives) >= self._runs_max:
            raise RunRefused(f"this gateway speaks for {self._runs_max} runs already")
        live = await asyncio.to_thread(self._opened, caller)
        run = self._known(live, caller.agent, caller.key)
        if caller.run and caller.run != run.id:
            self._runs[caller.run] = run
        return run

    def _known(self, live: GatewayLive, agent: str, key: str) -> GatewayRun:
        run = self._runs[live.run] = GatewayRun(live, self._loop, agent=agent, key=key)
        if key:
            self._by_key[key] = live.run
        return run

    def _opened(self, caller: Caller) -> GatewayLive:
        """In a thread: a journal is files. Raises: RunRefused."""
        try:
            if not caller.run:
                return self._speak(
                    GatewayJournal(self._folder, new_id("run"), point=POINT), caller, owned=True, keyed=False
                )
            if caller.attached:
                return self._speak(self._unended(caller.run), caller, owned=False, keyed=False)
            return self._speak(self._successor(caller.run), caller, owned=True, keyed=True)
        except RunInUse as error:
            raise RunRefused(str(error)) from None
        except (ConfigError, sqlite3.Error, OSError) as error:
            raise RunRefused(f"no journal can be kept: {error}") from None

    def _unended(self, run: str) -> GatewayJournal:
        """The journal of a run that others end: that we left it means nothing, that it was killed does."""
        journal = GatewayJournal(self._folder, run, point=POINT)
        if journal.get("ended") == RunState.KILLED:
            journal.close()
            raise RunRefused("the run was killed", killed=True)
        journal.put("ended", "")
        return journal

    def _successor(self, run: str) -> GatewayJournal:
        """The run of a name that a person chose: itself, or after its end the next of its name."""
        for number in range(1, SUCCESSORS_MAX):
            journal = GatewayJournal(self._folder, run if number == 1 else f"{run[:120]}.{number}", point=POINT)
            ended = journal.get("ended")
            if not ended:
                return journal
            journal.close()
            if ended == RunState.KILLED:
                raise RunRefused("the run was killed", killed=True)
        raise RunRefused(f"{SUCCESSORS_MAX} runs have had this name")

    def _speak(
        self, journal: GatewayJournal, caller: Caller, *, owned: bool, keyed: bool, left: LeftOfRun | None = None
    ) -> GatewayLive:
        identity = Identity(agent=caller.agent, labels=dict(caller.labels), resumable=True, keyed=keyed)
        facts = {
            "agent": caller.agent,
            "key": caller.key,
            "owned": owned,
            "keyed": keyed,
            "labels": dict(caller.labels),
        }
        remember(journal, facts)
        live = GatewayLive(
            journal,
            identity,
            self.settings.on_hub_lost,
            self.link,
            owned=owned,
            siblings=self._siblings,
            ledger=self._ledger,
        )
        self._lives[live.run] = live
        try:
            live.open(left)
        except BaseException:
            self._close(live)
            raise
        return live

    def _siblings(self) -> list[GatewayLive]:
        return list(self._lives.values())

    # -- leaving ---------------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self.settings.idle_seconds / 4))
            now = self._loop.time()
            for run in self.live:
                if run.fenced:
                    self._killed[run.id] = run.fenced
                    while len(self._killed) > KILLED_KEPT_MAX:
                        self._killed.popitem(last=False)
                idle = not run.turns and now - run.used_at >= self.settings.idle_seconds
                if idle or (run.live.session.ended and not run.turns):
                    self.leave(run, RunState.COMPLETED, "idle")

    async def _settle_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            await asyncio.to_thread(self._settle)

    def _settle(self) -> None:
        """In a thread: a disk may be slow."""
        self._settles += 1
        with_counts = self._settles % COUNTS_SETTLE == 0
        if with_counts:
            self._ledger.mark()
        is_settled = True
        for live in self._siblings():
            try:
                live.journal.settle(usage=with_counts)
            except sqlite3.Error as error:
                is_settled = False
                log.warning("run %s: the journal cannot be written: %s", live.run, error)
        if not with_counts:
            return
        if not is_settled:
            self._ledger.untrimmed()
            return
        try:
            self._ledger.trim()
        except OSError as error:
            log.warning("the record of turns cannot be shortened: %s", error)

    def leave(self, run: GatewayRun, state: RunState, reason: str) -> None:
        """No longer speaks for a run; one that the gateway began has ended."""
        for name in [name for name, one in self._runs.items() if one is run]:
            del self._runs[name]
        if self._by_key.get(run.key) == run.id:
            del self._by_key[run.key]
        run.live.end(state, reason=reason)
        self._detach(run.live)

    def _detach(self, live: GatewayLive) -> None:
        with live.lock:
            due, live.leaving = live.declared and not live.leaving, live.leaving or live.declared
        if due:
            self.link.detach(live.point, lambda: self._close_aside(live))

    def _close_aside(self, live: GatewayLive) -> None:
        """The streams are not kept waiting for the disk."""
        closing = self._loop.run_in_executor(None, self._close, live)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _close(self, live: GatewayLive) -> None:
        """Once; closing a journal waits for the disk."""
        if self._lives.pop(live.run, None) is None:
            return
        self._dues.pop(live.run, None)
        with live.lock:
            remove = live.declared and live.point.delivered and not live.identity.keyed
            live.closed = live.session.ended = True
            live.journal.close(remove=remove and live.journal.get("ended") != RunState.KILLED)

    # -- after a restart -------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """In a thread: runs that had not ended are spoken for again, and what is left to say is delivered."""
        folder = journal_folder(self._folder, POINT)
        left, files = left_behind(folder)
        journals = sorted(folder.glob("*.db"))
        for path in journals[:LIVE_RUNS_MAX]:
            run = path.stem
            about = LeftOfRun(open=left.open.get(run, []), counts=left.counts.get(run, {}))
            try:
                is_done = self._take_up_one(path, about)
            except (ConfigError, RunRefused, sqlite3.Error, OSError) as error:
                log.warning("%s: %s", path, error)
                is_done = False
            if is_done:
                left.open.pop(run, None)
                left.counts.pop(run, None)
        kept = {path.stem for path in journals}
        left.counts = {run: counts for run, counts in left.counts.items() if run in kept}
        self._carry_on(left, files)
        self._orphans = find_orphans(self._folder, self.link.wake, url=self.settings.hub, point=POINT)
        deliver(self._orphans, self.link)

    def _carry_on(self, left: Left, files: list[Path]) -> None:
        """What was taken up is on disk before its record goes; what could not be taken up stays on record."""
        for live in self._siblings():
            live.journal.settle(all_of_it=True)
        self._ledger.carry(left)
        for path in files:
            path.unlink(missing_ok=True)

    def _take_up_one(self, path: Path, left: LeftOfRun) -> bool:
        """Whether what is left of the run is done with; not where another hub is to hear it."""
        journal = GatewayJournal(self._folder, path.stem, point=POINT)
        facts = remembered(journal)
        if journal.get("ended") or not facts or journal.hub not in (None, hub_name(self.settings.hub)):
            is_over = bool(journal.get("ended")) or not facts
            journal.close()
            return is_over
        caller = Caller(agent=str(facts.get("agent") or "agent"), key=str(facts.get("key") or ""))
        owned, keyed = bool(facts.get("owned")), bool(facts.get("keyed"))
        live = self._speak(journal, caller, owned=owned, keyed=keyed, left=left)
        self._loop.call_soon_threadsafe(self._known, live, caller.agent, caller.key)
        return True

    # -- on the link's thread --------------------------------------------------------------------------------------

    def _tick(self, now: float, view: LinkView) -> float | None:
        """Looks at the runs for which something is due; at all of them when the link has changed."""
        changed, self._view = view is not self._view, view
        for live in self._siblings():
            if not (changed or live.is_due.is_set() or live.point.refused or self._dues.get(live.run, now + 1) <= now):
                continue
            live.is_due.clear()
            due = live.tick(now)
            if due is None:
                self._dues.pop(live.run, None)
            else:
                self._dues[live.run] = due
            self._detach(live)
        return min(self._dues.values(), default=None)

    def _busy(self) -> str | None:
        turns = sum(len(run.turns) for run in self.live)
        return f"{turns} turns" if turns else None
