"""A run of an agent written with asyncio: its calls pass the gate, a kill cancels it; the rules are elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.errors import HubLost, RunStopped
from opsconsole.sdk.calls import Answered, Ask, Call, Calls, Recorded, checked
from opsconsole.sdk.live import CANCEL_SECONDS_MAX, LiveRun
from opsconsole.sdk.model_turn import ModelTurn
from opsconsole.sdk.run_host import CURRENT_LIVE, RunHost
from opsconsole.sdk.said import Level, Role
from opsconsole.sdk.signature import is_async, takes
from opsconsole.sdk.usage import TurnUsage

CURRENT: contextvars.ContextVar[Run | None] = contextvars.ContextVar("opsconsole_current_run", default=None)


def current_run() -> Run | None:
    """The run whose body is executing here, or None."""
    return CURRENT.get()


class Run:
    """One run. Enter it with `async with`; its body is what stands inside.

    Raises, on entering: RunInUse, RunStopped (a stopped run is not restarted), HubUnreachable (only where `on_hub_lost`
    demands the hub). On leaving a run that was stopped: RunStopped, or HubLost when its own policy stopped it.
    """

    def __init__(self, host: RunHost, opening: dict[str, Any]) -> None:
        self._host = host
        self._opening = opening
        self._cancels = 0
        self._over = False
        self._call_tasks: set[asyncio.Task[Any]] = set()

    @property
    def id(self) -> str:
        """The run's id."""
        return self._live.run

    @property
    def agent(self) -> str:
        """The name of its agent."""
        return self._live.identity.agent

    @property
    def taken_over_by(self) -> str:
        """Who answers as the model now; empty while the model does."""
        return self._live.session.holder

    # -- body ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Run:
        self._live: LiveRun = await asyncio.to_thread(self._host.open, **self._opening, current=CURRENT_LIVE.get())
        self._calls = Calls(self._live)
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._live.cancel_body = self._cancel_from_anywhere
        self._live.why_not_ended = self._why_not_ended
        self._tokens = (CURRENT.set(self), CURRENT_LIVE.set(self._live))
        self._host.begin(self._live)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        with contextlib.suppress(ValueError):  # left in another context than entered: the variables are that one's
            CURRENT.reset(self._tokens[0])
            CURRENT_LIVE.reset(self._tokens[1])
        if self._live.session.fenced:
            await self._absorb_cancels()
            if self._live.session.executing:
                await asyncio.to_thread(self._live.wait_idle, CANCEL_SECONDS_MAX)
        state, told = end_of(error)
        self._live.end(state, error=told)
        self._host.close(self._live)
        raise_stopped(self._live, error)

    async def _absorb_cancels(self) -> None:
        """Our cancellations end here: what follows the body is not cancelled by them."""
        if self._task is None:
            return
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        for _ in range(min(self._cancels, self._task.cancelling())):
            self._task.uncancel()

    def _cancel_from_anywhere(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the body is over
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._over or self._task is None:
            return
        self._cancels += 1
        self._task.cancel()
        for task in self._call_tasks - {self._task}:
            task.cancel()

    def _why_not_ended(self) -> str:
        hung = self._host.pulse.hung_seconds(time.monotonic())
        if hung:
            return f"the agent's loop has stood still for {hung:.0f} s"
        return "a call's function goes on" if self._over else "the body goes on"

    # -- what the agent does ---------------------------------------------------------------------------------------

    async def tool(
        self,
        name: str,
        args: dict[str, Any],
        execute: Callable[..., Any],
        *,
        id: str | None = None,
        risk: Risk | str | None = None,
        read_only: bool | None = None,
        reason: str | None = None,
        ttl_seconds: float | None = None,
    ) -> Any:
        """Runs `execute(**args)` if it is allowed, with exactly the arguments that were allowed (perhaps edited).

        A synchronous `execute` runs in a thread. `id`: the call's own id, such as that of the model's tool call; with
        it the call never runs twice, not even after a restart. An operator's answer stands as the result (a string).
        Raises: CallDenied, RunStopped, CallInterrupted, and whatever `execute` raises.
        """
        ask = Ask(
            kind=CallKind.TOOL_CALL,
            name=name,
            args=args,
            call=id,
            risk=Risk(risk) if risk else None,
            read_only=read_only,
            reason=reason,
            ttl_seconds=ttl_seconds,
        )
        return await self.gated(ask, execute, lambda edited: takes(execute, edited))

    async def handoff(
        self,
        to: str,
        args: dict[str, Any],
        execute: Callable[..., Any],
        *,
        id: str | None = None,
        risk: Risk | str | None = None,
        reason: str | None = None,
        ttl_seconds: float | None = None,
    ) -> Any:
        """Passes work to the agent `to` by `execute(**args)`, if it is allowed. A run opened within is a child.

        Raises: as `tool`.
        """
        ask = Ask(
            kind=CallKind.HANDOFF,
            name="handoff",
            args={"to": to, "args": args},
            call=id,
            risk=Risk(risk) if risk else None,
            reason=reason,
            target=to,
            ttl_seconds=ttl_seconds,
        )

        return await self.gated(ask, passing_on(execute), handoff_fits(to, execute))

    async def model_call(
        self,
        request: dict[str, Any],
        call: Callable[[dict[str, Any]], Any],
        *,
        usage: Callable[[Any], TurnUsage] | None = None,
        provider: str = "",
    ) -> Any:
        """Gives the model's reply: that of `call(request)`, or a ModelReply when an operator answers as the model.

        Operator messages since the last turn are appended to `request["messages"]` first, if that is a list and not in
        the middle of a tool call. What the reply says it used is recorded (`usage` reads replies of other shapes).
        Raises: CallDenied, RunStopped, and whatever `call` raises.
        """
        turn = ModelTurn(self._live, request, usage, provider)
        return await self.gated(turn.ask(), turn.calling(call), lambda edited: "", turn)

    async def message(
        self,
        role: Role,
        text: str | None = None,
        *,
        append: str | None = None,
        id: str | None = None,
        author: str | None = None,
    ) -> str:
        """Records a message, whole (`text`) or the next part (`append`) of the growing one named `id`; gives its id."""
        return self._live.message(role, text, append, id, author)

    async def note(self, text: str, *, level: Level = "info", data: dict[str, Any] | None = None) -> None:
        """Records a line for the timeline."""
        self._live.note(text, level, data)

    async def usage(self, model: str, **counts: Any) -> None:
        """Adds one turn's use of `model` to the run's totals: the fields of TurnUsage."""
        self._live.used(TurnUsage(model=model, **counts))

    async def checkpoint(self, state: Any) -> str:
        """Keeps a state (plain JSON) to resume from; gives the checkpoint's id. For use between calls, not in one.

        The id is empty where the disk took none: then the checkpoint before stands, and so do the calls since.
        """
        return self._calls.checkpoint(state)

    def restore(self) -> Any:
        """The state of the last checkpoint, also of an earlier process; None if there is none."""
        return self._live.restore()

    def injected(self) -> list[str]:
        """What operators said to this agent since last asked."""
        return self._live.injected()

    # -- the gate --------------------------------------------------------------------------------------------------

    async def gated(
        self,
        ask: Ask,
        execute: Callable[..., Any],
        fits: Callable[[dict[str, Any]], str],
        turn: ModelTurn | None = None,
    ) -> Any:
        """A call through the gate: `execute` gets the allowed arguments; `fits` says why it would not take an edit."""
        made = self._calls.propose(ask)
        if isinstance(made, Recorded):
            return made.result
        try:
            decision = await asyncio.wrap_future(made.decided)
        except asyncio.CancelledError:
            self._calls.withdraw(made)
            raise
        started = self._calls.begin(made, checked(decision, fits))
        if isinstance(started, Answered):
            return turn.answered(started.decision) if turn else started.decision.text
        if is_async(execute):
            return await self._in_loop(made, execute, started.value(), turn)
        return await self._in_thread(made, execute, started.value(), turn)

    async def _in_loop(
        self, made: Call, execute: Callable[..., Any], args: dict[str, Any], turn: ModelTurn | None
    ) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._call_tasks.add(task)
        try:
            result = await execute(**args)
        except BaseException as error:
            self._calls.failed(made, error)
            raise
        finally:
            self._call_tasks.discard(task)
        self._completed(made, result, turn)
        return result

    async def _in_thread(
        self, made: Call, execute: Callable[..., Any], args: dict[str, Any], turn: ModelTurn | None
    ) -> Any:
        """A thread of its own that dies with the process: a call that hangs must not hold up a pool or the exit."""
        context = contextvars.copy_context()
        returned: asyncio.Future[Any] = self._loop.create_future()

        def body() -> None:
            try:
                result = self._ran(made, functools.partial(context.run, execute, **args), turn)
            except StopIteration as error:  # which no future can carry
                told = RuntimeError(f"{made.ask.name} raised StopIteration")
                told.__cause__ = error
                self._resolve(returned, None, told)
            except BaseException as error:
                self._resolve(returned, None, error)
            else:
                self._resolve(returned, result, None)

        threading.Thread(target=body, name=f"opsconsole-call-{made.ask.name}", daemon=True).start()
        result = await returned
        if isinstance(result, Awaitable):
            pending = result

            async def awaited() -> Any:
                return await pending

            return await self._in_loop(made, awaited, {}, turn)
        return result

    def _ran(self, made: Call, execute: Callable[[], Any], turn: ModelTurn | None) -> Any:
        try:
            result = execute()
        except BaseException as error:
            self._calls.failed(made, error)
            raise
        if not isinstance(result, Awaitable):
            self._completed(made, result, turn)
        return result

    def _resolve(self, returned: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        def resolve() -> None:
            if returned.done():
                return
            if error is not None:
                returned.set_exception(error)
            else:
                returned.set_result(result)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(resolve)

    def _completed(self, made: Call, result: Any, turn: ModelTurn | None) -> None:
        try:
            if turn:
                turn.used(result)
        finally:
            self._calls.completed(made, result, text=turn.text(result) if turn else None)


def passing_on(execute: Callable[..., Any]) -> Callable[..., Any]:
    """`execute` for a handoff's envelope: it gets the inner arguments."""
    if not is_async(execute):
        return lambda to, args: execute(**args)

    async def pass_on(to: str, args: dict[str, Any]) -> Any:
        return await execute(**args)

    return pass_on


def handoff_fits(to: str, execute: Callable[..., Any]) -> Callable[[dict[str, Any]], str]:
    """Says why an edit of a handoff cannot stand."""

    def fits(edited: dict[str, Any]) -> str:
        if edited.get("to") != to or not isinstance(edited.get("args"), dict):
            return "an edit of a handoff may change its arguments, not its target"
        return takes(execute, edited["args"])

    return fits


def end_of(error: BaseException | None) -> tuple[RunState, str]:
    """What the way a body ended says about its run."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return RunState.COMPLETED, ""
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return RunState.CANCELLED, ""
    return RunState.FAILED, f"{type(error).__name__}: {error}"


def raise_stopped(live: LiveRun, error: BaseException | None) -> None:
    """A stopped run does not end as if nothing had been: what follows it must not take it for done."""
    if not live.stopped or (isinstance(error, RunStopped) and error.run == live.run):
        return
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return
    if live.lease_over:
        raise HubLost(live.session.fenced) from error
    raise RunStopped(live.session.fenced, run=live.run) from error
