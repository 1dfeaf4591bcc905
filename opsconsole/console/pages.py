"""Fetches what is paged over HTTP into the panels, in the background; a failure is words on a panel, never a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from opsconsole.console.actions import ViewName
from opsconsole.domain.text import safe_line
from opsconsole.errors import HubError

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp


class Api(Protocol):
    """What is read of the hub by pages."""

    async def audit(self, *, before: int | None = None, text: str = "") -> list[dict[str, Any]]:
        """Entries, oldest first."""
        ...

    async def events(self, run: str, *, before: int | None) -> list[dict[str, Any]]:
        """Events, oldest first."""
        ...

    async def verify(self) -> dict[str, Any]:
        """The hub's verification of its log."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class Pages:
    """One request at a time for each kind; the API is made when it is first needed."""

    def __init__(self, make_api: Callable[[], Api]) -> None:
        self._make_api = make_api
        self._api: Api | None = None
        self._app: ConsoleApp | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def bind(self, app: ConsoleApp) -> None:
        """The app whose panels are filled."""
        self._app = app

    def audit(self) -> None:
        """The newest audit entries, under the panel's filter."""
        self._start("audit", lambda: self._audit(older=False))

    def older(self, view: ViewName) -> None:
        """An older page of what the view shows."""
        if view == "audit":
            self._start("audit", lambda: self._audit(older=True))
        else:
            self._start("events", self._events)

    def verify(self) -> None:
        """The hub verifies its log."""
        self._start("verify", self._verify)

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

    def _start(self, kind: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._running.get(kind)
        if task is not None and not task.done():
            return
        self._running[kind] = asyncio.create_task(work(), name=f"console page {kind}")

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
            entries = await self.api.audit(before=before, text=panel.text_filter)
        except HubError as error:
            panel.problem = f"not loaded: {error}"
        else:
            panel.take(entries, fresh=not older)
        finally:
            panel.loading = False
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
