"""`@guard`: a function of the agent that runs only if the gate lets it; it belongs to whichever run calls it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar, overload

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.errors import NoCurrentRun
from opsconsole.sdk.calls import Ask
from opsconsole.sdk.run import current_run
from opsconsole.sdk.signature import Bound, is_async
from opsconsole.sdk.tool_about import ToolAbout, schema_of

P = ParamSpec("P")
R = TypeVar("R")


class _Guard:
    """What `guard(...)` with options gives."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, Awaitable[R]]: ...
    def __call__(self, function: Callable[P, Any]) -> Callable[P, Awaitable[Any]]:
        return _guarded(function, **self._options)


@overload
def guard(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]: ...
@overload
def guard(function: Callable[P, R]) -> Callable[P, Awaitable[R]]: ...
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
    """Makes every call of `function` a tool call of the current run: shown with its arguments by name, and held.

    What is decorated is awaited, also a synchronous function, which runs in a thread. `name`: else the function's.
    `server` and `annotations`: the MCP server that offers the tool, and its hints; a policy believes those of servers
    it trusts. `input_schema`: of the arguments by name, else what the function's signature and type hints say.
    Calling it raises: NoCurrentRun outside of a run, CallDenied, RunStopped, CallInterrupted, TypeError as the function
    itself would for arguments that do not fit it, and whatever the function raises.
    """
    return _Guard(options) if function is None else _guarded(function, **options)


def _guarded(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    risk: Risk | str | None = None,
    server: str | None = None,
    annotations: Mapping[str, bool] | None = None,
    input_schema: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[..., Awaitable[Any]]:
    tool = name or function.__name__
    about = ToolAbout(server=server, annotations=annotations, input_schema=input_schema or schema_of(function))
    declared = Risk(risk) if risk else None

    @functools.wraps(function)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        run = current_run()
        if run is None:
            raise NoCurrentRun(f"{tool} is guarded and was called outside of `async with hub.run(...)`")
        bound = Bound(function, args, kwargs)
        ask = Ask(kind=CallKind.TOOL_CALL, name=tool, args=bound.args, risk=declared, about=about, **options)
        return await run.gated(ask, spreading(function, bound), bound.refuses)

    return guarded


def spreading(function: Callable[..., Any], bound: Bound) -> Callable[..., Any]:
    """`function` for arguments by name."""
    if not is_async(function):

        def call(**args: Any) -> Any:
            positional, named = bound.spread(args)
            return function(*positional, **named)

        return call

    async def acall(**args: Any) -> Any:
        positional, named = bound.spread(args)
        return await function(*positional, **named)

    return acall
