"""Requests that need no hold: passed on as they are, and counted where their answer tells tokens."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from opsconsole.errors import CallDenied
from opsconsole.gateway.admission import ahead, asked
from opsconsole.gateway.embedding import Embedding
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.pacing import Halted
from opsconsole.gateway.patience import LOOK_SECONDS
from opsconsole.gateway.upstream import Answer, Call, Upstream, UpstreamFailed, nothing
from opsconsole.gateway.wire.exchange import Exchange
from opsconsole.sdk.gate import Decision


class Passing:
    """One relayed request, as far as its run is concerned: a kill cuts it, a pause holds what costs."""

    def __init__(self, run: GatewayRun, exchange: Exchange) -> None:
        self._over = asyncio.Event()
        self.killed = ""
        """Why, if the run was stopped."""
        self.has_begun = False
        """Whether the client has been sent anything."""
        self._run, self._exchange = run, exchange
        self._is_left = False
        self._task = asyncio.current_task()

    async def through(self, upstream: Upstream, call: Call, bought: Embedding | None = None) -> bool:
        """Passes the request and its answer on, once what it buys is allowed; False where it was cut, or the client
        left. Raises: UpstreamFailed, CallDenied, RunStopped."""
        self._run.begin(self)
        self._exchange.on_gone = self.leave
        try:
            if bought is None:
                return await self._passed(upstream, call)
            return await self._bought(upstream, call, bought)
        except asyncio.CancelledError:
            if not (self.killed or self._is_left) or self._task is None:
                raise
            self._task.uncancel()
            return False
        finally:
            self._run.end(self)
            self._over.set()

    async def _bought(self, upstream: Upstream, call: Call, bought: Embedding) -> bool:
        admitted = ahead(self._run, bought.most, priced_by=bought.priced_by, turns=0)
        if admitted is None:
            found = await asked(self._run, bought.most, bought.shown(), _decided, priced_by=bought.priced_by, turns=0)
            if isinstance(found, Decision):
                raise CallDenied("Nobody can answer in words what asks for none.", call="", by="gateway", rule="embeds")
            admitted = found
        try:
            is_whole = await self._passed(upstream, call, bought)
        except BaseException as error:
            admitted.failed(bought, error)
            raise
        if is_whole:
            admitted.whole(bought)
        else:
            admitted.failed(bought, UpstreamFailed("the answer broke off"))
        return is_whole

    async def ended(self) -> None:
        """Waits until nothing of it goes on."""
        await self._over.wait()

    def kill(self, reason: str) -> None:
        """The run was stopped."""
        self.killed = self.killed or reason or "the run was stopped"
        self._cancel()

    def retake(self) -> None:
        """It asks no model: an operator has nothing to answer."""

    def interrupt(self) -> None:
        """The gateway goes down."""
        self._cancel()

    def leave(self) -> None:
        """The client has closed its connection."""
        self._is_left = True
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None and not self._over.is_set():
            self._task.cancel()

    async def _passed(self, upstream: Upstream, call: Call, bought: Embedding | None = None) -> bool:
        """Asks, and passes the answer on as it comes; False where it breaks off: it is left unfinished.

        Raises: UpstreamFailed, before anything was passed on.
        """
        exchange = self._exchange
        answer = await _answer(upstream, call, self._run, bought)
        if 300 <= answer.status < 400:
            answer.abort()  # the client would follow it, past this gateway
            raise UpstreamFailed(f"the model's provider answered {answer.status}, which leads elsewhere")
        if bought is not None:
            bought.began(answer.status)

        def take(chunk: bytes) -> bool:
            if bought is not None:
                bought.read(chunk)
            exchange.write(chunk)
            if exchange.is_full:
                answer.pause()
            return False

        exchange.on_room = answer.resume
        self.has_begun = True
        exchange.begin(answer.status, answer.headers)
        try:
            await answer.pour(take)
        except UpstreamFailed:
            return False
        except BaseException:
            answer.abort()
            raise
        if bought is not None:
            bought.used(cut=False)
        exchange.end()
        return True


async def _decided(decided: Future[Decision]) -> Decision:
    return await asyncio.wrap_future(decided)


async def _answer(upstream: Upstream, call: Call, run: GatewayRun, bought: Embedding | None) -> Answer:
    """What was sent and not answered yet is bought, whoever leaves. Raises: UpstreamFailed."""
    while True:
        try:
            return await upstream.ask(call, nothing if bought is None else bought.abandoned)
        except Halted:
            paused = True
            while paused:
                paused = run.live.session.paused
                if paused:
                    await asyncio.sleep(LOOK_SECONDS)
