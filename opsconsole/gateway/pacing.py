"""The gateway's traffic on its event loop: requests wait here for their share; what is right is decided in flow."""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from opsconsole.gateway.flow.gauges import Lane
from opsconsole.gateway.flow.limits_read import retry_after_seconds
from opsconsole.gateway.flow.traffic import Ask, Go, Refuse, Traffic
from opsconsole.gateway.patience import Patience
from opsconsole.gateway.upstream import Call, NoShare

KEY_HEADERS = frozenset({b"authorization", b"x-api-key"})
MODEL_CHARS_MAX = 200
LANES_KEPT_MAX = 1_000
"""Lanes looked up by a key; beyond that they are worked out again."""
TALK_SECONDS = 30.0
"""How often the same is said on one run's timeline."""
TOLD_MAX = 2_000

Note = Callable[[str, str, str, dict[str, Any] | None], None]
"""(run, text, level, data) -> a line on that run's timeline."""
IsHeld = Callable[[str], bool]
"""Whether nothing of a run may go out now."""


class Halted(Exception):
    """Its run was paused while the call waited for its share, or for a connection: it has given the share back, and was
    not sent."""


class Paced:
    """The `Flow` of one gateway. Everything happens on its loop."""

    def __init__(
        self,
        note: Note,
        *,
        is_held: IsHeld = lambda run: False,
        dice: random.Random | None = None,
        delay_seconds: float | None = None,
    ) -> None:
        self._is_held = is_held
        self._dice = dice or random.Random()
        more = {} if delay_seconds is None else {"delay_seconds_max": delay_seconds}
        self.traffic = Traffic(dice=self._dice.random, **more)
        self._note = note
        self._salt = secrets.token_bytes(16)
        self._lanes: dict[tuple[str, bytes, str], Lane] = {}
        self._out: set[int] = set()
        """Calls that were sent, and not answered yet."""
        self._asks: OrderedDict[int, Ask] = OrderedDict()
        """Of the latest calls: each is asked about several times."""
        self._waiting: dict[int, asyncio.Future[Go | Refuse]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    def admit(self, call: Call, attempt: int) -> Awaitable[None] | None:
        """The call's share: None where it has it now, else to be awaited. Raises: NoShare, Halted."""
        now = time.monotonic()
        ask = self._ask(call)
        verdict = self.traffic.arrive(ask, now, attempt=attempt)
        if not isinstance(verdict, Go | Refuse):
            return self._admit_later(call, ask, now)
        self._admitted(call, ask, verdict, now, may_be_held=attempt > 0)
        return None

    async def _admit_later(self, call: Call, ask: Ask, since: float) -> None:
        verdict = await self._waited(ask, call.patience)
        self._admitted(call, ask, verdict, since, may_be_held=True)
        waited = time.monotonic() - since
        if waited > 1.0:
            self._say(call.run, f"waited {waited:.0f} s for its share of {call.provider}'s limit", "info", since)

    def _admitted(self, call: Call, ask: Ask, verdict: Go | Refuse, now: float, *, may_be_held: bool) -> None:
        if may_be_held and isinstance(verdict, Go) and self._is_held(call.run):
            self.traffic.used(ask, 0.0, time.monotonic())
            raise Halted
        if isinstance(verdict, Refuse):
            self._say(call.run, f"not sent: {verdict.why}", "warning", now)
            raise NoShare(verdict.why, retry_after_seconds=verdict.retry_after_seconds, is_down=verdict.is_down)
        self._out.add(call.id)

    def going(self, call: Call) -> None:
        """Raises: Halted."""
        if call.is_free or not self._is_held(call.run):
            return
        self._out.discard(call.id)
        self.traffic.used(self._ask(call), 0.0, time.monotonic())
        raise Halted

    def answered(self, call: Call, status: int, headers: Mapping[str, str]) -> None:
        """What upstream said; 0 where it said nothing."""
        self._out.discard(call.id)
        now = time.monotonic()
        told = self.traffic.answered(self._ask(call), status, headers, now, time.time())
        if told:
            self._say(call.run, told, "warning", now)
        for storm in self.traffic.storms(now) if status in (0, 429) or status >= 500 else ():
            words = f"{len(storm.runs)} runs ask {storm.provider} again together: {storm.retries} retries in a minute"
            for run in storm.runs:
                self._say(run, f"retry storm: {words}", "warning", now)
        if self._waiting:
            self._look()

    def took_out(self, call: Call) -> bool:
        """Whether the call was sent and has no answer yet; asked once, when nobody waits for it any more."""
        is_out = call.id in self._out
        self._out.discard(call.id)
        return is_out

    def broke(self, call: Call) -> None:
        """It went out and no answer came that could be read: that it counts nothing is a guess, and the run says so."""
        words = f"no answer of {call.provider} could be read: whether it bills that is not known; not counted"
        told = {"provider": call.provider, "model": call.model, "tokens": call.tokens}
        self._note(call.run, words, "warning", {"cost_unknown": told})

    def again_seconds(self, call: Call, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """When to ask again what was answered so (nothing of it has reached the client); None for not at all."""
        now, wall = time.monotonic(), time.time()
        seconds = self.traffic.again_seconds(self._ask(call), attempt, status, headers, now, wall)
        if seconds is not None:
            what = f"answered {status}" if status else "could not be reached"
            asked = retry_after_seconds(headers, wall)
            wish = f", which asked for {asked:.1f} s" if asked is not None else ""
            words = f"retry {attempt + 1} in {seconds:.1f} s: {call.provider} {what}{wish}"
            request = f"{hash(call.body):x}"
            told = {"provider": call.provider, "model": call.model, "request": request, "status": status or None}
            self._note(call.run, words, "warning", {"retry": told})
        return seconds

    def used(self, call: Call, tokens: int) -> None:
        """What it took in truth."""
        self.traffic.used(self._ask(call), float(tokens), time.monotonic())
        self._asks.pop(call.id, None)  # nothing more is asked about it

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _waited(self, ask: Ask, patience: Patience | None) -> Go | Refuse:
        future: asyncio.Future[Go | Refuse] = asyncio.get_running_loop().create_future()
        self._waiting[ask.id] = future
        self._look()
        try:
            return await (future if patience is None else patience.waited(future))
        except asyncio.CancelledError:
            self.traffic.leave(ask)
            raise
        finally:
            self._waiting.pop(ask.id, None)

    def _look(self) -> None:
        """Lets go whose waiting is over, and looks again when the next may be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        now = time.monotonic()
        for ask, verdict in self.traffic.due(now):
            future = self._waiting.get(ask.id)
            if future is not None and not future.done():
                future.set_result(verdict)
        wait = self.traffic.next_due(now)
        if wait is not None:
            self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    # -- what is asked ---------------------------------------------------------------------------------------------

    def _ask(self, call: Call) -> Ask:
        known = self._asks.get(call.id)
        if known is None:
            known = self._asks[call.id] = Ask(
                id=call.id,
                lane=self._lane(call),
                run=call.run,
                tokens=float(call.tokens),
                request=hash(call.body),
            )
            if len(self._asks) > LANES_KEPT_MAX:
                self._asks.popitem(last=False)
        return known

    def _lane(self, call: Call) -> Lane:
        key = b""
        for name, value in call.headers:
            if name in KEY_HEADERS:
                key = value
                break
        known = self._lanes.get((call.provider, key, call.model))
        if known is None:
            account = hashlib.blake2b(key, key=self._salt, digest_size=4).hexdigest() if key else ""
            if len(self._lanes) >= LANES_KEPT_MAX:
                self._lanes.clear()
            known = (call.provider, account, call.model[:MODEL_CHARS_MAX])
            self._lanes[call.provider, key, call.model] = known
        return known

    def _say(self, run: str, text: str, level: str, now: float) -> None:
        """Once in a while."""
        key = (run, text.partition(":")[0][:40])
        if now - self._told.get(key, -TALK_SECONDS) < TALK_SECONDS:
            return
        self._told[key] = now
        self._told.move_to_end(key)
        while len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        self._note(run, text, level, None)
