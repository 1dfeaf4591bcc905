"""Operators who race: the console's own session and link without a screen, and dice for a person."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import UTC

from opsconsole.console.clock import SystemClock
from opsconsole.console.link import HubLink
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.outbox import Entry, Sent
from opsconsole.console.view.session import Outcome, Session
from opsconsole.domain.approval import Answer, ApprovalStatus
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command

LOOK_SECONDS = 0.03
DECIDES = 0.3
"""The chance that an operator decides a call at one look: low enough that all of them try some, and some collide."""


class Operator:
    """One person at one console."""

    def __init__(self, name: str, url: str, token: str, seed: int) -> None:
        self.name = name
        self.answers: list[Entry] = []
        """What the hub answered to this operator's decisions."""
        self.problems: list[str] = []
        self._dice = random.Random(f"{seed} {name}")
        self._clock = SystemClock()
        self.session = Session(wall=self._clock.wall(), now=self._clock.monotonic(), zone=UTC)
        self._link = HubLink(
            self.session,
            url=url,
            token=token,
            clock=self._clock,
            told=self._told,
            client=name,
            dice=random.Random(f"{seed} {name} link"),
        )
        self._commands = 0
        self._tried: set[str] = set()

    def _told(self, outcome: Outcome) -> None:
        self.answers += outcome.answered
        self.problems += [notice.text for notice in outcome.notices if notice.loud]

    async def work(self) -> None:
        """Look and decide until cancelled."""
        link = asyncio.create_task(self._link.run())
        try:
            while not link.done():
                await asyncio.sleep(LOOK_SECONDS)
                self.session.tick(now=self._clock.monotonic())
                for held in list(self.session.queue.rows.by_key.values()):
                    if held.row.status is ApprovalStatus.PENDING and held.key not in self._tried:
                        self._consider(held)
            self.problems.append(f"the link ended: {link.exception()!r}")
        finally:
            link.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await link

    def _consider(self, held: HeldCall) -> None:
        if not self.session.online or self._dice.random() >= DECIDES:
            return
        self._commands += 1
        answer = self._dice.choice((Answer.APPROVE, Answer.APPROVE, Answer.EDIT, Answer.REJECT, Answer.RESPOND))
        command = Command(
            cmd=f"cmd_{self.name}_{self._commands}",
            do=Do.DECIDE,
            approval=held.key,
            answer=answer,
            digest=held.row.digest,
            args={"command": f"edited by {self.name}"} if answer is Answer.EDIT else None,
            text=f"{self.name} answers" if answer is Answer.RESPOND else None,
            note="chaos",
        )
        entry, frames = self.session.give(command, now=self._clock.monotonic())
        if entry is not None:
            self._tried.add(held.key)
            self._link.send(frames)

    @property
    def waits(self) -> bool:
        """Whether an answer of the hub is still owed."""
        return any(entry.status in (Sent.SENT, Sent.QUEUED) for entry in self.session.outbox.entries.values())
