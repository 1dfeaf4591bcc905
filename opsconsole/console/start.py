"""Starts the console on a hub, and ends it with a word and an exit code; it reads no settings by itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from ulid import ULID

from opsconsole.console.app import ConsoleApp
from opsconsole.console.clock import SystemClock, local_zone
from opsconsole.console.heap import Heap
from opsconsole.console.keymap import keymap
from opsconsole.console.link import HubLink, Link
from opsconsole.console.pages import Api, Pages
from opsconsole.console.recording import CaseRecorder
from opsconsole.console.settings import ConsoleSettings
from opsconsole.console.surroundings import is_in_browser, needs_ascii
from opsconsole.console.view.effect import Effect
from opsconsole.console.view.ringing import Ringer
from opsconsole.console.view.session import Session
from opsconsole.sdk.private_folder import make_private_folder


def run_console(settings: ConsoleSettings) -> int:
    """Show the console until the operator leaves. Exit code 0, or 1 when it crashed or its terminal went away."""
    if not (is_in_browser(os.environ) or (sys.stdin.isatty() and sys.stdout.isatty())):
        print("the console needs a terminal; `opsconsole runs` prints the same without one", file=sys.stderr)
        return 1
    if settings.log_path is not None:
        _log_to(settings)
    app = make_app(settings)
    code = app.run(mouse=not settings.no_mouse)
    return app.return_code or code or 0


def make_app(settings: ConsoleSettings) -> ConsoleApp:
    """The console on a real hub."""
    clock, heap = SystemClock(), Heap()

    def make_link(session: Session, told: object) -> Link:
        assert callable(told)
        return HubLink(session, url=settings.url, token=settings.token, clock=clock, told=told, heap=heap)

    def make_api() -> Api:
        from opsconsole.console.api import HubApi

        return HubApi(url=settings.url, token=settings.token)

    def look_up(source: str, args: Mapping[str, Any]) -> Effect:
        from opsconsole.console.effects import effect_of  # parses SQL: loaded in the thread that first needs it

        return effect_of(source, args)

    return ConsoleApp(
        make_link=make_link,
        clock=clock,
        zone=local_zone(),
        new_id=lambda: f"cmd_{ULID()}",
        pages=Pages(
            make_api,
            CaseRecorder(url=settings.url, token=settings.token, folder=settings.cases),
            sources=dict(settings.previews),
            look_up=look_up,
            witness=cache(partial(settings.witness, settings.url)) if settings.witness else None,
        ),
        kill_key=settings.kill_key,
        theme=settings.theme,
        keys=keymap(settings.keys),
        heap=heap,
        ringer=Ringer(settings.notify, settings.quiet),
        mono=settings.no_color or bool(os.environ.get("NO_COLOR")),
        plain_ascii=settings.ascii or needs_ascii(os.environ, sys.stdout.encoding or ""),
    )


def _log_to(settings: ConsoleSettings) -> None:
    assert settings.log_path is not None
    make_private_folder(settings.log_path.parent)
    handler = logging.FileHandler(settings.log_path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root = logging.getLogger("opsconsole")
    root.addHandler(handler)
    root.propagate = False
