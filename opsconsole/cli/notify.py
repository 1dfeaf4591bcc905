"""`notify`: follows a hub's audit and sends what needs people; what is told, and when, is opsconsole.notify's."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.exits import Exit
from opsconsole.cli.options import shared_options
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed, ConfigError, HubRefused, HubUnreachable
from opsconsole.notify.rules import Message, Throttle, Urgency, message_of
from opsconsole.notify.sender import Sender

CURSOR_NAME = "notify.json"
POLL_SECONDS = 1.0
"""How often the audit is asked for what is new."""
PAGE_ENTRIES = 500
SENDS_MAX = 3
"""Attempts a message; the next ones wait behind it, the hub does not."""
RETRY_SECONDS = 5.0

log = logging.getLogger("opsconsole.notify")


@click.group()
def notify() -> None:
    """Tell people elsewhere what needs them, at the addresses of `notify.urls`."""


@notify.command()
@shared_options
def run(settings: Settings) -> None:
    """Follow the hub's audit and send, until stopped."""
    sender = _sender(settings)
    throttle = Throttle(per_minute=settings.notify.per_minute, quiet=settings.notify.quiet)
    with connect(settings, Role.OPERATOR) as hub:
        follow(hub, settings.data_dir / CURSOR_NAME, throttle, sender.send, settings.notify.alerts == "all")


@notify.command()
@shared_options
def test(settings: Settings) -> int:
    """Send one message to every address, and say whether all took it."""
    body = "Messages reach you."
    message = Message(title="opsconsole: a test", body=body, urgency=Urgency.NOTICE, about="test")
    if _sender(settings).send(message):
        click.echo("sent")
        return Exit.OK
    click.echo("not every address took it", err=True)
    return Exit.FAILED


def _sender(settings: Settings) -> Sender:
    if not settings.notify.urls:
        raise ConfigError("notify.urls is empty: give the addresses in the settings file or in OPSCONSOLE_NOTIFY_URLS")
    return Sender(settings.notify.urls)


def follow(
    hub: HubClient, cursor: Path, throttle: Throttle, send: Callable[[Message], bool], warnings: bool = False
) -> None:
    """Send what the audit says from where the last process stopped, for ever; a hub that is away is waited for."""
    seq = _read_cursor(cursor)
    while True:
        try:
            if seq is None:
                seq = int(hub.get("audit", limit=1, newest=1)["head"])
                _write_cursor(cursor, seq)
            page = hub.get("audit", after=seq, limit=PAGE_ENTRIES)
        except (HubUnreachable, HubRefused, CommandFailed) as error:
            log.warning("%s", error)
            time.sleep(RETRY_SECONDS)
            continue
        for message in throttle.admit(_messages(page, warnings), now=time.monotonic(), minute_of_day=_minute_of_day()):
            _deliver(message, send)
        reached = int(page["looked_to"])
        if reached != seq:
            seq = reached
            _write_cursor(cursor, seq)
        if seq >= int(page["head"]):
            time.sleep(POLL_SECONDS)


def _messages(page: dict[str, Any], warnings: bool) -> list[Message]:
    found = (message_of(entry, warnings=warnings) for entry in page["entries"])
    return [message for message in found if message is not None]


def _deliver(message: Message, send: Callable[[Message], bool]) -> None:
    for attempt in range(1, SENDS_MAX + 1):
        if send(message):
            return
        if attempt < SENDS_MAX:
            time.sleep(RETRY_SECONDS)
    log.error("given up after %d attempts: %s", SENDS_MAX, message.title)


def _minute_of_day() -> int:
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


def _read_cursor(path: Path) -> int | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads(path.read_text())["seq"])
    return None


def _write_cursor(path: Path, seq: int) -> None:
    """Whole or not at all: a torn cursor would send everything again, or nothing."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({"seq": seq}) + "\n")
    fresh.replace(path)
