"""New caps as an operator types them, and why: `$20`, `80 turns, 500k tokens`, `2h launch day`; it sets none."""

from __future__ import annotations

import re

_CAP = re.compile(
    r"""(?:(?P<clock>\d{1,15}(?:\.\d{1,15})?)\ ?(?P<unit>[smhd])\b
    |(?P<dollar>\$\ ?)?(?P<number>\d[\d_]{0,19}(?:\.\d{1,15})?)(?P<times>[kM])?\b
     (?:\ (?P<what>dollars|usd|turns?|tokens|tool\ calls|calls)\b)?)""",
    re.VERBOSE | re.ASCII,
)
_BETWEEN = re.compile(r"\s*(?:,|;|and\b)\s*")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_TIMES = {"k": 1_000, "M": 1_000_000}
_NAMES = {
    "turn": "turns",
    "turns": "turns",
    "tokens": "tokens",
    "calls": "tool_calls",
    "tool calls": "tool_calls",
}
CAPS_MAX = 5
CAP_MAX = 1e15
"""Of any unit: whole numbers up to here are exact wherever they are kept."""
ACCEPTED = "give a cap such as $20, 80 turns, 500k tokens, 50 tool calls or 2h; several with commas, then why"


class NoCaps(ValueError):
    """The text names no cap; the message says what does."""


def asked_caps(text: str) -> tuple[dict[str, float], str]:
    """The caps that a text begins with, by the names of limits, and the reason after them. Raises: NoCaps."""
    found: dict[str, float] = {}
    rest = text.strip()
    while match := _CAP.match(rest):
        name, value = _meant(match)
        if value > CAP_MAX:
            raise NoCaps(f"{name.replace('_', ' ')} is too large to be a cap: {ACCEPTED}")
        if name in found or len(found) >= CAPS_MAX:
            raise NoCaps(f"{name.replace('_', ' ')} stands twice: {ACCEPTED}")
        found[name] = value
        after = rest[match.end() :]
        between = _BETWEEN.match(after)
        rest = after[between.end() :] if between else after.strip()
        if not between:
            break
    if not found:
        raise NoCaps(ACCEPTED)
    return found, rest.strip(" ,;:")


def _meant(match: re.Match[str]) -> tuple[str, float]:
    if match["clock"]:
        return "wall_clock", float(match["clock"]) * _SECONDS[match["unit"]]
    value = float(match["number"].replace("_", "")) * _TIMES.get(match["times"] or "", 1)
    name = _NAMES.get(match["what"] or "", "cost_usd")
    if name == "cost_usd":
        return name, value
    if match["dollar"] or value != int(value):
        raise NoCaps(f"{match[0]!r} is no cap: {ACCEPTED}")
    return name, int(value)
