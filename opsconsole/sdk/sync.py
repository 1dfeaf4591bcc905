"""The synchronous twin of `opsconsole.sdk`: the same names without await, the same journal and link, no event loop.

A kill stops the body at its next gate, and raises RunStopped in the body's thread where that executes Python code. Code
that waits in the operating system notices when the wait ends: what must die at once runs under `opsconsole run`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.errors import NoCurrentRun, RunStopped
from opsconsole.sdk.calls import Answered, Ask, Call, Calls, Recorded, checked
from opsconsole.sdk.guard import spreading
from opsconsole.sdk.live import CANCEL_SECONDS_MAX
from opsconsole.sdk.model_turn import ModelTurn
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.run import end_of, handoff_fits, passing_on, raise_stopped
from opsconsole.sdk.run_host import CURRENT_LIVE, RunHost
from opsconsole.sdk.said import Level, Role
from opsconsole.sdk.settings import read_settings
from opsconsole.sdk.signature import Bound, is_async, takes
from opsconsole.sdk.tool_about import ToolAbout, schema_of
from opsconsole.sdk.usage import TurnUsage

P = ParamSpec("P")
R = TypeVar("R")

CURRENT: ContextVar[Run | None] = ContextVar("opsconsole_current_sync_run", default=None)


class StoppedHere(RunStopped):
    """RunStopped as raised into a running body, where nobody can pass arguments."""

    def __init__(self, reason: str = "the run was stopped", *, run: str = "") -> None:
        super().__init__(reason, run=run)


def current_run() -> Run | None:
    """The run whose body is executing in this thread, or None."""
    return CURRENT.get()


class Run:
    """As `opsconsole.sdk.Run`. One thread owns the body: the one that entered it."""

    def __init__(self, host: RunHost, opening: dict[str, Any]) -> None:
        self._host, self._opening = host, opening
        self._thread = 0
        self._inside = 0
        """How deep the body's thread is in our code, where it must not be interrupted: the gate wakes it instead."""

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

    def __enter__(self) -> Run:
        self._live = self._host.open(**self._opening, current=CURRENT_LIVE.get())
        self._calls = Calls(self._live)
        self._tokens = (CURRENT.set(self), CURRENT_LIVE.set(self._live))
        self._live.cancel_body = self._interrupt
        self._live.why_not_ended = lambda: "the body goes on"
        self._host.begin(self._live)
        self._thread = threading.get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside += 1
        with self._live.lock:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), None)
            self._thread = 0
        with contextlib.suppress(ValueError):  # left in another context than entered: the variables are that one's
            CURRENT.reset(self._tokens[0])
            CURRENT_LIVE.reset(self._tokens[1])
        if self._live.session.fenced and self._live.session.executing:
            self._live.wait_idle(CANCEL_SECONDS_MAX)
        state, told = end_of(error)
        self._live.end(state, error=told)
        self._host.close(self._live)
        raise_stopped(self._live, error)

    def _interrupt(self) -> None:
        """On the link's thread, with the run's lock held. A thread that the body is just starting may be hit in its
        place (it bears the body's identifier until it runs): the next cancellation finds the body.
        """
        if self._thread and not self._inside:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(StoppedHere))

    @contextlib.contextmanager
    def _uninterrupted(self) -> Iterator[None]:
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    # -- what the agent does ---------------------------------------------------------------------------------------

    def tool(
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
        """As `opsconsole.sdk.Run.tool`; `execute` runs in this thread."""
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
        return self.gated(ask, execute, lambda edited: takes(execute, edited))

    def handoff(
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
        """As `opsconsole.sdk.Run.handoff`."""
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
        return self.gated(ask, passing_on(execute), handoff_fits(to, execute))

    def model_call(
        self,
        request: dict[str, Any],
        call: Callable[[dict[str, Any]], Any],
        *,
        usage: Callable[[Any], TurnUsage] | None = None,
        provider: str = "",
    ) -> Any:
        """As `opsconsole.sdk.Run.model_call`."""
        with self._uninterrupted():
            turn = ModelTurn(self._live, request, usage, provider)
        return self.gated(turn.ask(), turn.calling(call), lambda edited: "", turn)

    def message(
        self,
        role: Role,
        text: str | None = None,
        *,
        append: str | None = None,
        id: str | None = None,
        author: str | None = None,
    ) -> str:
        """As `opsconsole.sdk.Run.message`."""
        with self._uninterrupted():
            return self._live.message(role, text, append, id, author)

    def note(self, text: str, *, level: Level = "info", data: dict[str, Any] | None = None) -> None:
        """As `opsconsole.sdk.Run.note`."""
        with self._uninterrupted():
            self._live.note(text, level, data)

    def usage(self, model: str, **counts: Any) -> None:
        """As `opsconsole.sdk.Run.usage`."""
        with self._uninterrupted():
            self._live.used(TurnUsage(model=model, **counts))

    def checkpoint(self, state: Any) -> str:
        """As `opsconsole.sdk.Run.checkpoint`."""
        with self._uninterrupted():
            return self._calls.checkpoint(state)

    def restore(self) -> Any:
        """As `opsconsole.sdk.Run.restore`."""
        with self._uninterrupted():
            return self._live.restore()

    def injected(self) -> list[str]:
        """As `opsconsole.sdk.Run.injected`."""
        with self._uninterrupted():
            return self._live.injected()

    # -- the gate --------------------------------------------------------------------------------------------------

    def gated(
        self,
        ask: Ask,
        execute: Callable[..., Any],
        fits: Callable[[dict[str, Any]], str],
        turn: ModelTurn | None = None,
    ) -> Any:
        """A call through the gate, as `opsconsole.sdk.Run.gated`."""
        if is_async(execute):
            raise TypeError(f"{ask.name} is asynchronous: it belongs to opsconsole.sdk, not to its synchronous twin")
        with self._uninterrupted():
            made = self._calls.propose(ask)
            if isinstance(made, Recorded):
                return made.result
            try:
                decision = made.decided.result()
            except BaseException:
                self._calls.withdraw(made)
                raise
            started = self._calls.begin(made, checked(decision, fits))
            if isinstance(started, Answered):
                return turn.answered(started.decision) if turn else started.decision.text
        return self._executed(made, execute, started.value(), turn)

    def _executed(self, made: Call, execute: Callable[..., Any], args: dict[str, Any], turn: ModelTurn | None) -> Any:
        try:
            result = execute(**args)
        except BaseException as error:
            with self._uninterrupted():
                self._calls.failed(made, error)
            raise
        with self._uninterrupted():
            try:
                if turn:
                    turn.used(result)
            finally:
                self._calls.completed(made, result, text=turn.text(result) if turn else None)
        return result


class Hub:
    """As `opsconsole.sdk.Hub`."""

    def __init__(self, host: RunHost) -> None:
        self.host = host

    @property
    def connected(self) -> bool:
        """Whether the hub is in reach now."""
        return self.host.link.view.up

    def wait_connected(self, timeout_seconds: float) -> bool:
        """As `opsconsole.sdk.Hub.wait_connected`."""
        return self.host.link.wait_up(timeout_seconds)

    def run(
        self,
        agent: str,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        parent: str | None = None,
        key: str | None = None,
        on_hub_lost: OnHubLost | None = None,
    ) -> Run:
        """As `opsconsole.sdk.Hub.run`, to be entered with `with`."""
        opening = {"agent": agent, "name": name, "labels": labels, "parent": parent, "key": key}
        return Run(self.host, opening | {"policy": on_hub_lost or OnHubLost()})

    def __enter__(self) -> Hub:
        self.host.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.host.stop()


def connect(
    hub: str | None = None, *, token: str | None = None, data_dir: str | Path | None = None, client: str = ""
) -> Hub:
    """As `opsconsole.sdk.connect`, to be entered with `with`."""
    return Hub(RunHost(read_settings(hub=hub, token=token, data_dir=data_dir), client=client))


class _Guard:
    """What `guard(...)` with options gives."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        return _guarded(function, **self._options)


@overload
def guard(function: Callable[P, R]) -> Callable[P, R]: ...
@overload
def guard(
    function: None = None,
    *,
    name: str | None = None,
    risk: Risk | str | None = None,
    read_only: bool | None = None,
    reason: str | None = None,
    ttl_seconds: float | None = None,
    server: str | None = None,
    annotations: Mapping[str, bool] | None = None,
    input_schema: Mapping[str, Any] | None = None,
) -> _Guard: ...
def guard(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """As `opsconsole.sdk.guard`; what is decorated stays synchronous and runs in the caller's thread."""
    return _Guard(options) if function is None else _guarded(function, **options)


def _guarded(
    function: Callable[P, R],
    *,
    name: str | None = None,
    risk: Risk | str | None = None,
    server: str | None = None,
    annotations: Mapping[str, bool] | None = None,
    input_schema: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[P, R]:
    tool = name or function.__name__
    about = ToolAbout(server=server, annotations=annotations, input_schema=input_schema or schema_of(function))
    declared = Risk(risk) if risk else None

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        run = current_run()
        if run is None:
            raise NoCurrentRun(f"{tool} is guarded and was called outside of `with hub.run(...)`")
        bound = Bound(function, args, kwargs)
        ask = Ask(kind=CallKind.TOOL_CALL, name=tool, args=bound.args, risk=declared, about=about, **options)
        result: R = run.gated(ask, spreading(function, bound), bound.refuses)
        return result

    return guarded
