"""One turn of a model on its way: gate, upstream, hold, release or ask again; it knows neither HTTP server nor format.

propose ─▶ allow ─▶ upstream ─▶ pieces ─▶ Done ───────────────────────────▶ whole
        │                              └▶ Held ─▶ rulings ─▶ settle ──────▶ whole
        │                                                └─▶ reask ─▶ propose (at most REASKS_MAX)
        ├▶ answer (an operator is the model) ─▶ composed ─────────────────▶ whole
        └▶ deny, killed, broken, gone ────────────────────────────────────▶ error, and cut where bytes have gone
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from opsconsole.errors import CallDenied, RunStopped
from opsconsole.gateway.admission import Admitted, ahead, asked
from opsconsole.gateway.dialect.interface import (
    Broken,
    CallBegan,
    CannotReask,
    Counted,
    Dialect,
    Done,
    Failure,
    Held,
    Pass,
    Piece,
    Request,
    Ruling,
    Served,
    Text,
)
from opsconsole.gateway.failures import (
    denied_failure,
    error_headers,
    full_failure,
    killed_failure,
    lost_failure,
    said_failure,
    upstream_failure,
)
from opsconsole.gateway.forwarding import Errand, Outgoing, clamp_of, most_of_turn, note_context, note_cut, outgoing
from opsconsole.gateway.held_bytes import TooMuchHeld
from opsconsole.gateway.holding import Holding, Ruled, composed_calls
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.narrowing import Narrowing
from opsconsole.gateway.output import Headers, Output
from opsconsole.gateway.pacing import Halted
from opsconsole.gateway.patience import Patience
from opsconsole.gateway.provider_tools import not_offered
from opsconsole.gateway.reading import Reading
from opsconsole.gateway.shop import Shop
from opsconsole.gateway.stand_in import first_answer
from opsconsole.gateway.told import Most, shown
from opsconsole.gateway.upstream import Answer as UpstreamAnswer
from opsconsole.gateway.upstream import Call as UpstreamCall
from opsconsole.gateway.upstream import UpstreamFailed, UpstreamSaid
from opsconsole.sdk.calls import Call
from opsconsole.sdk.gate import Decision
from opsconsole.sdk.new_ids import new_id

REASKS_MAX = 3
"""How often a turn asks again after all of its calls were refused; then the refusal itself is the answer."""
GATEWAY_FAULT = Failure(status=500, code="gateway_fault", message="opsconsole: the gateway failed; see its log")
PLAIN_HEADERS: Headers = [(b"content-type", b"application/json")]
STREAM_HEADERS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Turn:
    """One request of an agent, until its answer is whole, refused or cut."""

    def __init__(self, shop: Shop, run: GatewayRun, dialect: Dialect, request: Request, errand: Errand) -> None:
        self.output = Output()
        self._shop, self._run, self._dialect, self._request, self._errand = shop, run, dialect, request, errand
        self._answer = dialect.answer(request)
        self._passed = False
        """Whether words or calls of an answer have gone to the client: it can't be another answer any more."""
        self._is_held = self._at_upstream = self._left = self._retaking = False
        self._killed = ""
        self._patience = Patience(shop.settings, self.output, self._show_life)
        self._kept = shop.held.share()
        """Of its request and of what is held of its answer."""
        self._drop: frozenset[str] = frozenset()
        """Tools that are not offered."""
        self._clamp: int | None = None
        """The longest answer asked for, where the request sets none."""
        self._said = ""
        """What the model said beside the calls that are held."""
        self._headers: Headers | None = None
        """Those of an answer that is held."""
        self._ids: list[str] = []
        """By which the provider knows the answers that make up this one."""
        self._released: dict[str, Call] = {}
        self._loop = run.loop
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._run.begin(self)
        self._task = self._loop.create_task(self._drive())

    # -- from outside ----------------------------------------------------------------------------------------------

    async def ended(self) -> None:
        """Waits until nothing of it goes on."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def kill(self, reason: str) -> None:
        """The run was stopped: the client gets the API's error and a broken connection, now."""
        if not self._killed:
            self._killed = reason or "the run was stopped"
            self._fail(killed_failure(self._killed))
            self._cancel()

    def retake(self) -> None:
        """An operator has taken over: if the model has said nothing yet, they answer in its place."""
        if self._at_upstream and not self._passed and not self._killed:
            self._retaking = True
            self._cancel()

    def interrupt(self) -> None:
        """The gateway goes down."""
        self._fail(lost_failure("the gateway is going down"))
        self._cancel()

    def leave(self) -> None:
        """No client waits any more and none came back."""
        if self.output.delivered:
            return
        for api_id in self._released:
            self._run.never_got(api_id, "the client left before it got the call")
        if not self.output.ended:
            self._left = True
            self._cancel()

    @property
    def worth_waiting_for(self) -> bool:
        """Whether a client that left may come back for this answer: not when it has read a part of a stream."""
        return self._is_held or not (self._passed and self._request.streams) or self.output.ended == "whole"

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    # -- the way ---------------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        try:
            self._kept.take(len(self._request.raw))
            await self._go()
        except TooMuchHeld as full:
            self._fail(full_failure(full))
        except asyncio.CancelledError:
            if not (self._killed or self._left):
                self._fail(lost_failure("the gateway is going down"))
        except RunStopped as stopped:
            self._fail(killed_failure(stopped.reason))
        except CallDenied as denied:
            self._shop.counts.refused += 1
            self._fail(denied_failure(denied))
        except UpstreamSaid as said:
            self._pass_on(said)
        except UpstreamFailed as failed:
            self._shop.counts.upstream_errors[self._errand.provider] += 1
            self._fail(upstream_failure(failed))
        finally:
            self._fail(GATEWAY_FAULT)  # where something ended it that nobody foresaw
            self._run.end(self)
            self._patience.end()
            self._kept.give_back(after_seconds=0.0 if self.output.viewed else self._shop.settings.grace_seconds)

    async def _go(self) -> None:
        request, before, reasks = self._request, None, 0
        while True:
            try:
                held = await self._once(request)
            except asyncio.CancelledError:
                if not self._retaking or self._killed or self._left or self._task is None:
                    raise
                self._retaking = False
                self._task.uncancel()
                self._answer = self._dialect.answer(request, continues=before)
                self._run.note("An operator took over while the model was asked: its answer is not waited for")
                continue
            if held is None:
                return
            ruled = await self._rule(held)
            again = self._reasked(request, ruled) if reasks < REASKS_MAX else None
            if again is None:
                self._settle(request, ruled)
                return
            reasks += 1
            request, before = again, self._answer
            self._answer = self._dialect.answer(request, continues=before)

    def _reasked(self, request: Request, ruled: Ruled) -> Request | None:
        """The request to ask again with; None where the answer is to be settled."""
        if not ruled.none_stand or self._shop.settings.deny != "reask":
            return None
        try:
            again = self._dialect.reask(request, self._answer, ruled.rulings)
        except CannotReask:
            return None
        self._shop.counts.reasks += 1
        return again

    async def _once(self, request: Request) -> Held | None:
        """One turn at the gate and upstream; the calls that its answer holds, or None when it is passed on."""
        if request.tools:
            self._drop = await not_offered(self._run, request, self._shop.settings.provider_tools, self._waited)
        most, narrowing = most_of_turn(self._run, self._dialect, request, self._shop.price, self._shop.settings)
        leased = ahead(self._run, most, priced_by=self._shop.price.version)
        admitted = leased or await self._asked(request, most, narrowing)
        if admitted is None:
            return None
        self._clamp = admitted.answer_tokens or clamp_of(self._run, request, self._shop.settings)
        reading = Reading(self._run, request, self._dialect.provider, self._shop.price)
        try:
            self._at_upstream = True
            found = await self._read(request, reading)
            self._said = reading.said
        except BaseException as error:
            self._at_upstream = False
            admitted.failed(reading, error)
            raise
        self._at_upstream = False
        admitted.whole(reading)
        note_context(self._run, request, reading.id, reading.tokens)
        self._run.splices.unheard.heard(request)
        if found is None and request.appended:
            self._remember(request, {})
        return found

    async def _asked(self, request: Request, most: Most, narrowing: Narrowing | None) -> Admitted | None:
        """By a verdict of its own; None where an operator has answered as the model."""
        clamp = clamp_of(self._run, request, self._shop.settings)
        args = shown(request, most, clamp, None if narrowing is None else narrowing.least)
        priced_by = self._shop.price.version
        found = await asked(self._run, most, args, self._waited, priced_by=priced_by, narrowing=narrowing)
        if isinstance(found, Decision):
            await self._compose(request, found)
            return None
        return found

    async def _waited(self, decided: Future[Decision]) -> Decision:
        """A decision; the client is told that it is being waited for."""
        if decided.done():
            return decided.result()
        began = self._loop.time()
        self._shop.counts.holding += 1
        try:
            return await self._patience.waited(asyncio.wrap_future(decided))
        finally:
            self._shop.counts.holding -= 1
            self._shop.counts.waited(self._loop.time() - began)

    def _show_life(self) -> None:
        self._open(None)
        self.output.write(self._answer.keep_alive())

    def _open(self, headers: Headers | None) -> None:
        if not self.output.is_open:
            ours = STREAM_HEADERS if self._request.streams else PLAIN_HEADERS
            self.output.open(200, headers or ours)

    # -- upstream --------------------------------------------------------------------------------------------------

    async def _read(self, request: Request, reading: Reading) -> Held | None:
        shop, run = self._shop, self._run
        patience = self._patience if request.streams else None
        going = outgoing(
            run,
            self._dialect,
            request,
            self._errand,
            shop.settings,
            drop=self._drop,
            clamp=self._clamp,
            patience=patience,
        )
        call, answer = await self._answered(going, reading)
        try:
            reading.began = answer.status == 200
            if answer.status != 200 or answer.is_encoded:
                raise await answer.refusal()
            found = await self._take_all(answer, reading)
        except BaseException:
            answer.abort()
            raise
        finally:
            self._patience.rest()
        answer.finish()
        shop.upstream.flow.used(call, reading.tokens or call.tokens)
        return found if isinstance(found, Held) else None

    async def _answered(self, going: Outgoing, reading: Reading) -> tuple[UpstreamCall, UpstreamAnswer]:
        run, upstream = self._run, self._shop.upstream
        while True:
            try:
                if going.instead:
                    return await first_answer(upstream, going.call, going.instead, run.note, reading.abandoned)
                return going.call, await upstream.ask(going.call, reading.abandoned)
            except Halted:
                await self._patience.resumed(lambda: run.live.session.paused)

    async def _take_all(self, answer: UpstreamAnswer, reading: Reading) -> Held | Done:
        headers = answer.headers
        found: Held | Done | None = None
        full: TooMuchHeld | None = None

        def take(chunk: bytes) -> bool:
            nonlocal found, full
            self._shop.counts.chunks += 1
            if self._is_held or not self._request.streams:
                try:
                    self._kept.take(len(chunk))
                except TooMuchHeld as no_room:
                    full = no_room
                    return True
            found = self._take_each(self._answer.feed(chunk), reading, headers)
            self.output.keep_pace(answer.pause, answer.resume)
            return found is not None

        if not answer.give(take):
            await answer.pour(take)
        if full is not None:
            raise full
        found = found or self._take_each(self._answer.end(), reading, headers)
        if found is not None:
            return found
        raise UpstreamFailed("the model's provider ended its answer before it was whole")

    def _take_each(self, pieces: Iterable[Piece], reading: Reading, headers: Headers) -> Held | Done | None:
        for piece in pieces:
            found = self._take(piece, reading, headers)
            if found is not None:
                return found
        return None

    def _take(self, piece: Piece, reading: Reading, headers: Headers) -> Held | Done | None:
        match piece:
            case Pass():
                self._passed = True
                self._open(headers)
                self.output.write(piece.data)
            case Text():
                reading.text(piece)
            case Served():
                reading.served(piece)
                self._ids += [piece.id] if piece.id else []
            case Counted():
                reading.counted(piece)
            case CallBegan():
                self._is_held = True
                self._patience.keep()
            case Held():
                self._headers = headers
                return piece
            case Done():
                note_cut(self._run, self._clamp, piece.finish)
                self.output.end("whole")
                return piece
            case Broken():
                raise UpstreamFailed(f"the model's answer can't be read: {piece.why}")
        return None

    # -- calls -----------------------------------------------------------------------------------------------------

    async def _rule(self, held: Held) -> Ruled:
        self._is_held = True
        self._shop.counts.held += len(held.calls)
        holding = Holding(self._run, held.calls, deny=self._shop.settings.deny, reason=self._said)
        ruled = await holding.ruled(self._waited)
        self._is_held = False
        return ruled

    def _settle(self, request: Request, ruled: Ruled) -> None:
        """The held rest of the answer goes to the client, as it was ruled."""
        data = self._answer.settle(ruled.rulings)
        self._remember(request, ruled.rulings)
        self._give(data, ruled.released)

    def _remember(self, request: Request, rulings: Mapping[str, Ruling]) -> None:
        """The client has the answer as it was ruled, upstream as it gave it: later requests are told apart by that."""
        first, last = (self._ids[0], self._ids[-1]) if self._ids else ("", "")
        self._run.splices.settled(self._dialect, request, self._answer, rulings, client_id=first, upstream_id=last)

    def _give(self, data: bytes, released: Mapping[str, Call]) -> None:
        self._released.update(released)
        for api_id, call in released.items():
            self._run.released(api_id, call)
        self._passed = True
        self._open(self._headers)
        self.output.write(data)
        self.output.end("whole")

    @property
    def _known_as(self) -> str:
        """How the client knows an answer that only keep-alives have begun; empty where they name none."""
        ids: tuple[str, str] = getattr(self._answer, "ids", ("", ""))
        return ids[0] if self._answer.begun else ""

    async def _compose(self, request: Request, decision: Decision) -> None:
        """An operator answers as the model."""
        self._is_held = True
        calls, released, refused = await composed_calls(self._run, decision, self._waited)
        text = "\n".join([decision.text, *refused]).strip()
        id = self._known_as or new_id("op")
        data = self._dialect.composed(request, id=id, text=text, calls=calls)
        splices = self._run.splices
        items = self._dialect.composed_items(request, id=id, text=text, calls=calls)
        splices.unheard.composed(splices.restored(request), id, items)
        if text:
            self._run.live.message("assistant", text, None, None, decision.by or None)
        self._shop.counts.composed += 1
        self._give(data, released)

    # -- ends ------------------------------------------------------------------------------------------------------

    def _fail(self, failure: Failure) -> None:
        """The API's own error; where bytes have gone, the connection breaks: no client may take them for an answer."""
        output = self.output
        if output.ended:
            return
        if output.is_open:
            output.write(self._answer.failure(failure))
            output.end("cut")
            return
        output.open(failure.status, error_headers(failure))
        output.write(self._dialect.error(failure))
        output.end("whole")

    def _pass_on(self, said: UpstreamSaid) -> None:
        """Upstream's own error, as it is where that is still possible."""
        self._shop.counts.upstream_errors[self._errand.provider] += 1
        if self.output.is_open:
            self._fail(said_failure(said))
            return
        self.output.open(said.status, said.headers)
        self.output.write(said.body)
        self.output.end("whole")
