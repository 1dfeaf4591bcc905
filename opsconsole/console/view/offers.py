"""The tools that a model call offers, for an operator who answers as the model: names, signatures, schemas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from opsconsole.domain.text import safe_line

_SCHEMAS = ("parameters", "input_schema", "inputSchema")
"""What the schema of a tool's arguments is called: by Chat Completions and Responses, by Messages, by MCP."""
PARAMETERS_SHOWN_MAX = 8
ERRORS_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One tool; its texts are the client's own and not safe to show."""

    name: str
    schema: Mapping[str, Any]
    """Empty where nothing is known of its arguments."""

    @property
    def signature(self) -> str:
        """`shell(command, timeout?)`, safe to show."""
        if not self.schema:
            return safe_line(self.name)
        needed = self.schema.get("required")
        required = needed if isinstance(needed, list) else []
        names = [str(name) + ("" if name in required else "?") for name in as_object(self.schema.get("properties"))]
        more = ["…"] if len(names) > PARAMETERS_SHOWN_MAX else []
        return safe_line(f"{self.name}({', '.join([*names[:PARAMETERS_SHOWN_MAX], *more])})")


def offers(args: Mapping[str, Any]) -> list[Offer]:
    """The tools of a model call's arguments, in whichever of the usual shapes."""
    tools = args.get("tools")
    return [offer for tool in tools if (offer := _offer(tool))] if isinstance(tools, list) else []


def as_object(value: Any) -> dict[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _offer(tool: Any) -> Offer | None:
    described = as_object(tool.get("function", tool)) if isinstance(tool, dict) else {"name": tool}
    name = described.get("name")
    schema = next((as_object(described[key]) for key in _SCHEMAS if key in described), {})
    return Offer(name=name, schema=schema) if isinstance(name, str) and name else None


class Checker:
    """Whether a composed call is one that the request offers, with arguments that the tool's own schema allows."""

    def __init__(self, offered: list[Offer]) -> None:
        self._offers = {offer.name: offer for offer in offered}
        self._checks: dict[str, Callable[[dict[str, Any]], str]] = {}

    def problem(self, name: str, args: dict[str, Any]) -> str:
        """What is wrong with it, or nothing. Where no tool is described, nothing is."""
        if not self._offers:
            return ""
        if name not in self._offers:
            return f"the request offers no tool {name!r}; it offers {', '.join(self._offers)}"
        if name not in self._checks:
            self._checks[name] = _check_of(self._offers[name].schema)
        return self._checks[name](args)


def _check_of(schema: Mapping[str, Any]) -> Callable[[dict[str, Any]], str]:
    """The check of one tool; a schema that is wrong or too large checks nothing: the tool itself will."""
    if not schema:
        return lambda args: ""
    from opsconsole.policy.facts.interface import FactConfigError  # native code, slow to load: only who composes pays
    from opsconsole.policy.facts.schema import is_checkable, validator_of

    try:
        validator = validator_of(dict(schema))
    except FactConfigError:
        return lambda args: ""

    def check(args: dict[str, Any]) -> str:
        if not is_checkable(args):
            return "the arguments are nested too deeply, or too many"
        errors = islice(validator.iter_errors(args), ERRORS_SHOWN_MAX)
        return "; ".join(f"{'.'.join(map(str, error.instance_path)) or 'args'}: {error.message}" for error in errors)

    return check
