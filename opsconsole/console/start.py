"""Starts the console on a hub, and ends it with a word and an exit code; it reads no settings by itself."""

from __future__ import annotations

import logging
import os
import sys

from ulid import ULID

from opsconsole.console.app import ConsoleApp
from opsconsole.console.clock import SystemClock, local_zone
from opsconsole.console.keymap import keymap
from opsconsole.console.link import HubLink, Link
from opsconsole.console.pages import Api, Pages
from opsconsole.console.settings import ConsoleSettings
from opsconsole.console.view.session import Session


def run_console(settings: ConsoleSettings) -> int:
    """Show the console until the operator leaves. Exit code 0, or 1 when it crashed or its terminal went away."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("the console needs a terminal; `opsconsole runs` prints the same without one", file=sys.stderr)
        return 1
    if settings.log_path is not None:
        _log_to(settings)
    app = make_app(settings)
    code = app.run(mouse=not settings.no_mouse)
    return app.return_code or code or 0


def make_app(settings: ConsoleSettings) -> ConsoleApp:
    """The console on a real hub."""
    clock = SystemClock()

    def make_link(session: Session, told: object) -> Link:
        assert callable(told)
        return HubLink(session, url=settings.url, token=settings.token, clock=clock, told=told)

    def make_api() -> Api:
        from opsconsole.console.api import HubApi

        return HubApi(url=settings.url, token=settings.token)

    return ConsoleApp(
        make_link=make_link,
        clock=clock,
        zone=local_zone(),
        new_id=lambda: f"cmd_{ULID()}",
        pages=Pages(make_api),
        kill_key=settings.kill_key,
        theme=settings.theme,
        keys=keymap(settings.keys),
        mono=settings.no_color or bool(os.environ.get("NO_COLOR")),
        plain_ascii=settings.ascii or needs_ascii(os.environ, sys.stdout.encoding or ""),
    )


def needs_ascii(environ: os._Environ[str] | dict[str, str], encoding: str) -> bool:
    """Whether the terminal is one that shows nothing but ASCII."""
    asked = environ.get("OPSCONSOLE_ASCII", "").lower() in ("1", "true", "yes", "on")
    return asked or environ.get("TERM") == "linux" or "utf" not in encoding.lower()


def _log_to(settings: ConsoleSettings) -> None:
    assert settings.log_path is not None
    settings.log_path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(settings.log_path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root = logging.getLogger("opsconsole")
    root.addHandler(handler)
    root.propagate = False
