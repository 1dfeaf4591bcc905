"""A function's arguments as a dict by name and back again, so that an operator sees and edits what it gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

_RECEIVERS = frozenset({"self", "cls"})


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def takes(function: Callable[..., Any], args: dict[str, Any]) -> str:
    """Why the function cannot be called with these keyword arguments; empty if it can (or does not say)."""
    try:
        inspect.signature(function).bind(**args)
    except TypeError as error:
        return str(error)
    except ValueError:
        return ""
    return ""


class Bound:
    """One call of a function with its receiver set aside: a method's `self` is the agent's, not the operator's."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raises: TypeError as the call itself would."""
        self._signature = inspect.signature(function)
        bound = self._signature.bind(*args, **kwargs)
        first = next(iter(self._signature.parameters), "")
        self._receiver = {first: bound.arguments.pop(first)} if first in _RECEIVERS and first in bound.arguments else {}
        self.args: dict[str, Any] = dict(bound.arguments)

    def spread(self, args: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments for the function. Raises: TypeError where `args` do not fit it."""
        unknown = args.keys() - self._signature.parameters.keys()
        if unknown:
            raise TypeError(f"unknown arguments: {', '.join(sorted(unknown))}")
        bound = self._signature.bind_partial()
        for name, parameter in self._signature.parameters.items():
            if name in self._receiver:
                bound.arguments[name] = self._receiver[name]
            elif name in args:
                bound.arguments[name] = _as_kind(parameter, args[name])
        self._signature.bind(*bound.args, **bound.kwargs)
        return bound.args, bound.kwargs

    def refuses(self, args: dict[str, Any]) -> str:
        """Why `args` do not fit the function; empty if they do."""
        try:
            self.spread(args)
        except TypeError as error:
            return str(error)
        return ""


def _as_kind(parameter: inspect.Parameter, value: Any) -> Any:
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{parameter.name} is a list")
        return tuple(value)
    if parameter.kind is inspect.Parameter.VAR_KEYWORD and not isinstance(value, dict):
        raise TypeError(f"{parameter.name} is an object")
    return value
