"""Fetches what is paged over HTTP into the panels, in the background; a failure is words on a panel, never a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from opsconsole.console.actions import ViewName
from opsconsole.console.aftermath import Aftermath
from opsconsole.console.view.effect import Effect
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.tape import TAPE_EVENTS_MAX, Tape
from opsconsole.console.view.witnessed import Witnessed, witnessed_words
from opsconsole.console.witness import Witness, witnessed
from opsconsole.domain.text import safe_line
from opsconsole.errors import HubError, OpsconsoleError
from opsconsole.protocol.rows import RunRow

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp


class Api(Protocol):
    """What is read of the hub by pages."""

    async def audit(self, *, before: int | None = None, text: str = "") -> list[dict[str, Any]]:
        """Entries, oldest first."""
        ...

    async def audit_after(self, after: int, *, text: str = "") -> tuple[list[dict[str, Any]], int]:
        """Entries after one, oldest first, and how far was looked."""
        ...

    async def audit_head(self) -> int:
        """The number of the newest entry."""
        ...

    async def events(self, run: str, *, before: int | None) -> list[dict[str, Any]]:
        """Events, oldest first."""
        ...

    async def events_after(self, run: str, after: int) -> tuple[list[dict[str, Any]], int]:
        """Events after a position, oldest first, and where to go on."""
        ...

    async def verify(self) -> dict[str, Any]:
        """The hub's verification of its log."""
        ...

    async def consistency(self, since: int) -> str:
        """The hub's proof that its audit starts with its first `since` entries."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


EFFECT_SECONDS_MAX = 15.0
"""After this long on screen, what a call would do is looked up again: the data goes on."""
EFFECTS_KEPT_MAX = 200
WITNESS_RESTS_SECONDS = 30
"""Between two comparisons of which the first ended without a result."""
LookUp = Callable[[str, Mapping[str, Any]], Effect]
"""(source, arguments) -> the effect; it blocks."""


class Recorder(Protocol):
    """What pins a run as a case."""

    async def record(self, run: str, *, agent: str = "") -> tuple[Path, str]:
        """The file, and what there is to know of it. Raises: OpsconsoleError, OSError."""
        ...


class Pages:
    """One request at a time for each kind; the API is made when it is first needed."""

    def __init__(
        self,
        make_api: Callable[[], Api],
        recorder: Recorder | None = None,
        *,
        sources: Mapping[str, str] | None = None,
        look_up: LookUp | None = None,
        witness: Callable[[], Witness] | None = None,
    ) -> None:
        self._make_api = make_api
        self._recorder = recorder
        self._sources = dict(sources or {})
        self._look_up = look_up
        self._witness = witness
        self._witnessed_of = ""
        """The epoch of the hub whose audit was compared last."""
        self._witness_rests = 0
        """Seconds until a comparison that ended without a result is begun anew by itself."""
        self._followed_of = ""
        """The epoch of the hub whose audit is listed."""
        self._effects: dict[tuple[str, str], tuple[float, Effect]] = {}
        self._api: Api | None = None
        self._app: ConsoleApp | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def bind(self, app: ConsoleApp) -> None:
        """The app whose panels are filled."""
        self._app = app

    def audit(self) -> None:
        """The newest audit entries, under the panel's filter."""
        if self._start("audit", lambda: self._audit(older=False)) and self._app is not None:
            self._followed_of = self._app.session.link.epoch

    def older(self, view: ViewName) -> bool:
        """An older page of what the view shows; False while one is under way."""
        if view == "audit":
            return self._start("audit", lambda: self._audit(older=True))
        return self._start("events", self._events)

    def verify(self) -> None:
        """The hub verifies its log, and what this console saw of it is compared."""
        self._start("verify", self._verify)
        self.compare()

    def second(self, epoch: str) -> None:
        """A second more with the hub of this epoch: its audit is compared once, and followed while it is shown."""
        self._witness_rests = max(0, self._witness_rests - 1)
        if epoch != self._witnessed_of and not self._witness_rests:
            self.compare()
        if self._app is None or self._app.view != "audit":
            return
        if self._followed_of not in ("", epoch) and self._start("audit", lambda: self._audit(older=False)):
            self._followed_of = epoch  # another start of the hub: what is listed may be of another log
        self._start("audit newer", self._newer)

    def compare(self) -> bool:
        """Have the hub prove that its audit holds what was seen of it here; False where nothing is started."""
        if self._witness is None or not self._start("witness", self._compare):
            return False
        self._running["witness"].add_done_callback(self._compared)
        return True

    def record(self, run: str, *, agent: str) -> bool:
        """Pin a run as a case; False while another one is being pinned."""
        return self._start("record", lambda: self._record(run, agent))

    def aftermath(self, left: Aftermath, rows: Sequence[RunRow], clock: Callable[[], float]) -> bool:
        """What killed runs left, where that is due; False where nothing is, or it is being read."""
        due = left.due(rows, now=clock())
        return bool(due) and self._start("aftermath", lambda: left.look(due, self.api, clock))

    async def close(self) -> None:
        """End what is under way."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        if self._api is not None:
            await self._api.close()

    async def settled(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start(self, kind: str, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        task = self._running.get(kind)
        if task is not None and not task.done():
            return False
        self._running[kind] = asyncio.create_task(work(), name=f"console page {kind}")
        return True

    @property
    def api(self) -> Api:
        """The hub's HTTP side."""
        if self._api is None:
            self._api = self._make_api()
        return self._api

    async def _audit(self, *, older: bool) -> None:
        assert self._app is not None
        panel = self._app.audit_panel
        panel.loading, panel.problem = True, ""
        try:
            before = panel.oldest if older else None
            wanted = panel.text_filter
            head = await self.api.audit_head() if wanted and not older else 0  # before: nothing comes in between unseen
            entries = await self.api.audit(before=before, text=wanted)
            while panel.text_filter != wanted:  # it was typed on meanwhile
                wanted, older = panel.text_filter, False
                head = await self.api.audit_head() if wanted else 0
                entries = await self.api.audit(before=None, text=wanted)
        except HubError as error:
            panel.problem = f"not loaded: {error}"
        else:
            panel.take(entries, fresh=not older)
            panel.seen_to = panel.seen_to if older else max(head, panel.newest or 0)
        finally:
            panel.loading = False
            panel.refresh_rows()

    async def _newer(self) -> None:
        """What was recorded since; the next second asks again, so a failure is left to what is asked for by hand."""
        assert self._app is not None
        panel = self._app.audit_panel
        wanted, after = panel.text_filter, panel.seen_to
        if after is None or panel.loading:
            return
        try:
            entries, reached = await self.api.audit_after(after, text=wanted)
        except HubError as error:
            panel.problem = f"not followed: {error}"
            panel.refresh_rows()
            return
        if (panel.text_filter, panel.seen_to) == (wanted, after) and not panel.loading:
            panel.seen_to, was_amiss, panel.problem = reached, bool(panel.problem), ""
            if entries:
                panel.take(entries, fresh=False)
            elif was_amiss:
                panel.refresh_rows()

    async def _events(self) -> None:
        assert self._app is not None
        timeline = self._app.session.timeline
        if timeline is None:
            return
        try:
            rows = await self.api.events(timeline.run, before=timeline.first_position)
        except HubError as error:
            self._app.say(f"older events not loaded: {error}", "warn")
            return
        fresh = [
            row for row in rows if timeline.first_position is None or row.get("position", 0) < timeline.first_position
        ]
        timeline.complete_back = not fresh
        timeline.add(fresh)
        self._app.say(f"{len(fresh)} older events" if fresh else "this is the beginning")
        self._app.run_panel.refresh_rows()

    def replay(self, run: str) -> bool:
        """All of a run's events, as a tape for the replay; False while another one is being fetched."""
        return self._start("replay", lambda: self._replay(run))

    async def _replay(self, run: str) -> None:
        assert self._app is not None
        panel, after = self._app.replay_panel, 0
        rows: list[dict[str, Any]] = []
        try:
            while len(rows) <= TAPE_EVENTS_MAX:
                page, reached = await self.api.events_after(run, after)
                rows += page
                if reached <= after or not page:
                    break
                after = reached
                panel.fetched(run, len(rows))
        except HubError as error:
            panel.failed(run, f"not loaded: {error}")
            return
        panel.take(await asyncio.to_thread(Tape, run, rows))

    def effect(self, held: HeldCall, *, now: float) -> Effect | None:
        """What is known of what a held call would do (`now` is monotonic); None where no source is set for its tool."""
        source = self._sources.get(held.row.tool)
        if source is None or self._look_up is None:
            return None
        if held.row.masked:
            return Effect(source=source, problem="secrets are masked here")
        key = (held.key, held.row.digest)
        at, known = self._effects.get(key, (float("-inf"), Effect(source=source, problem="it is being looked up")))
        if now - at >= EFFECT_SECONDS_MAX:
            self._start("effect", lambda: self._effect(key, source, held.args, now))
        return known

    async def _effect(self, key: tuple[str, str], source: str, args: dict[str, Any], now: float) -> None:
        assert self._look_up is not None
        found = await asyncio.to_thread(self._look_up, source, args)
        while len(self._effects) >= EFFECTS_KEPT_MAX:
            del self._effects[next(iter(self._effects))]
        self._effects[key] = (now, found)

    async def _record(self, run: str, agent: str) -> None:
        assert self._app is not None
        if self._recorder is None:
            self._app.say("not recorded: this console writes no files", "bad")
            return
        self._app.say(f"recording {agent} {run} as a case …")
        try:
            path, remark = await self._recorder.record(run, agent=agent)
        except (OpsconsoleError, OSError) as error:
            self._app.say(f"not recorded: {safe_line(str(error))}", "bad")
            return
        self._app.say(f"✔ recorded: {path}{f' ({remark})' if remark else ''}", "good")

    async def _compare(self) -> None:
        assert self._app is not None
        assert self._witness is not None
        app, epoch = self._app, self._app.session.link.epoch
        if not app.session.audit_broken:  # what is broken stays on screen until it is proven whole
            app.audit_panel.witnessed = Witnessed(under_way=True)
            app.redraw()
        await self._make_ready()
        found = await witnessed(self._witness, self.api, now=app.clock.wall())
        self._witnessed_of = epoch
        self._show_witnessed(found)

    async def _make_ready(self) -> None:
        """Load what asks the hub beside the keys: it takes as long as several paints."""
        if self._api is None:
            api = await asyncio.to_thread(self._make_api)
            if self._api is None:
                self._api = api
            else:  # a key was quicker
                await api.close()

    def _compared(self, task: asyncio.Task[None]) -> None:
        """A comparison has ended; one that failed has compared nothing, and must not look as if it had."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._witness_rests = WITNESS_RESTS_SECONDS
            why = safe_line(f"the comparison itself failed ({type(error).__name__}: {error})")
            self._show_witnessed(Witnessed(unproven=why))

    def _show_witnessed(self, found: Witnessed) -> None:
        assert self._app is not None
        app = self._app
        if found.broken:
            app.session.audit_broken = True
        elif found.is_kept:
            app.session.audit_broken = False
        if not (found.unproven and app.session.audit_broken):
            app.audit_panel.witnessed = found
        if not found.is_kept:
            app.say(*witnessed_words(found, app.context.zone))
        app.redraw()

    async def _verify(self) -> None:
        assert self._app is not None
        panel = self._app.audit_panel
        panel.verified = ("verifying …", "dim")
        panel.refresh_rows()
        try:
            found = await self.api.verify()
        except HubError as error:
            panel.verified = (f"not verified: {error}", "bad")
        else:
            panel.verified = _verdict(found)
        panel.refresh_rows()


def _verdict(found: dict[str, Any]) -> tuple[str, Any]:
    if found.get("ok") is True:
        return f"✔ verified by the hub: {found.get('entries', 0):,} entries", "good"
    problems = found.get("problems")
    first = safe_line(str(problems[0])) if isinstance(problems, list) and problems else "the hub does not say why"
    return f"✖ NOT INTACT: {first}", "alarm"
