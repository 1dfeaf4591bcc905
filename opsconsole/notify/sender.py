"""Sends messages through apprise to whatever its addresses name; it decides nothing, and its addresses are secrets."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import Any

from opsconsole.errors import ConfigError
from opsconsole.notify.rules import Message, Urgency

log = logging.getLogger("opsconsole.notify")

_TYPES = {Urgency.NOTICE: "info", Urgency.WARNING: "warning", Urgency.CRITICAL: "failure"}


class Sender:
    """The addresses of one installation."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises: ConfigError that tells which address is not one, by its number: the address holds secrets."""
        apprise: Any = importlib.import_module("apprise")  # half a thousand services: only who sends pays for them
        self._to = apprise.Apprise()
        for number, url in enumerate(urls, start=1):
            if not self._to.add(url):
                raise ConfigError(f"notify.urls: address {number} of {len(urls)} is none that apprise knows")

    def send(self, message: Message) -> bool:
        """Blocks until every address has taken the message or failed; True if all took it."""
        kind = _TYPES[message.urgency]
        taken = self._to.notify(title=message.title, body=message.body, notify_type=kind, body_format="text")
        if not taken:
            log.warning("a message was not taken by every address: %s", message.title)
        return bool(taken)
