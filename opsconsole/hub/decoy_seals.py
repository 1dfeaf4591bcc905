"""Keeps what a made-up call is while its seal is closed, so that it is opened though the hub dies; it plays none.

What is kept is on disk before anything is shown, and goes when the audit has the opening.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from typing import Any

from pydantic_core import from_json

from opsconsole.hub.admission import Fact
from opsconsole.hub.decoys import Planned, sealed
from opsconsole.hub.records import Records
from opsconsole.hub.server import Hub, NotRecorded

PAGE_ENTRIES = 500
"""Entries of the audit read at once, between which the loop goes on."""
STOPPED = "the hub stopped while it was shown"

log = logging.getLogger(__name__)


class DecoySeals:
    """The seals of one hub that are not known to be opened."""

    def __init__(self, hub: Hub, records: Records) -> None:
        self._hub = hub
        self._records = records
        self._shown: set[str] = set()
        """By this process, which opens them itself."""

    async def show(self, planned: Planned) -> None:
        """Keep what it is, then show it, unless something real has come meanwhile."""
        approval = planned.row.approval
        try:
            await self._records.keep_decoy(approval, json.dumps(planned.opened() | {"after": self._hub.audit_seq}))
        except sqlite3.Error as error:
            log.warning("no made-up call is shown: it could not be kept: %s", error)
            return
        if not self._hub.desk.approval_ids(pending_only=True):
            self._shown.add(approval)
            self._hub.decoys.show(planned)

    async def settle(self) -> None:
        """Open what an earlier process left shown; forget what is open, and what nobody was ever shown."""
        try:
            for approval, body in await self._records.decoys():
                if approval not in self._hub.decoys.ids:
                    await self._settle(approval, json.loads(body))
        except (sqlite3.Error, NotRecorded) as error:
            log.warning("the seal of a made-up call stays closed for now: %s", error)

    async def _settle(self, approval: str, kept: dict[str, Any]) -> None:
        kinds = await self._told(approval, sealed(kept["nonce"], approval), kept["after"])
        is_open = "decoy.answered" in kinds or "decoy.withdrawn" in kinds
        if approval in self._shown and not is_open:
            return  # it is on its way to the audit
        if "decoy.shown" in kinds and not is_open:
            opened = {name: value for name, value in kept.items() if name != "after"}
            fact = Fact(kind="decoy.withdrawn", principal=None, details=opened | {"why": STOPPED})
            await self._hub.recorded_fact(fact)
        await self._records.forget_decoy(approval)
        self._shown.discard(approval)

    async def _told(self, approval: str, commitment: str, after: int) -> set[str]:
        """The kinds of the entries about one of them."""
        kinds = set()
        while page := await self._hub.storage.log.read(after, PAGE_ENTRIES):
            told = (from_json(entry.body) for entry in page if b'"decoy.' in entry.body)
            kinds |= {
                one["kind"] for one in told if approval == one.get("approval") or commitment == one.get("commitment")
            }
            after = page[-1].seq
            await asyncio.sleep(0)
        return kinds
