"""Which key means which act, the operator's own choices included; where one key would mean two acts, it is refused."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from opsconsole.console.actions import ACTIONS, BY_ID, Action, ViewName
from opsconsole.errors import ConfigError

KEYS_PER_ACT_MAX = 6
_NAMED = frozenset(
    {"enter", "escape", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"}
    | {"up", "down", "left", "right"}
    | {f"f{number}" for number in range(1, 25)}
)
_WITH_CTRL = re.compile(r"ctrl\+[a-z0-9]\Z")
_REPLACED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""What a terminal library calls some characters; every other one goes by its Unicode name."""
_OURS: dict[str, str] = {"enter": "open", "escape": "back"}
"""Keys that mean one thing everywhere: nobody may decide by enter, and there is always a way back."""
_TAKEN = frozenset({"ctrl+c", "ctrl+z", "ctrl+q", "ctrl+m", "ctrl+i", "ctrl+j", "ctrl+h"})
"""Keys that a terminal or its library turns into something else."""
_HASTY = frozenset({"tab", "space", "backspace", "delete"})
"""Keys that are pressed without a thought: they may not act at once."""


@dataclass(frozen=True, slots=True)
class Keymap:
    """Every act with its keys."""

    actions: tuple[Action, ...]
    by_key: Mapping[tuple[ViewName, str], Action]

    def action(self, identifier: str) -> Action:
        """An act by its id."""
        return next(action for action in self.actions if action.id == identifier)

    def nothing_here(self, view: ViewName, key: str) -> str:
        """What to say of a key that means something in other views only; empty for one that means nothing anywhere."""
        if (view, key) in self.by_key or all(known != key for _, known in self.by_key):
            return ""
        if view == "draft":
            keys = {name: self.action(name).key_text for name in ("send_draft", "edit_draft", "back")}
            return f"nothing done: {keys['send_draft']} sends, {keys['edit_draft']} edits, {keys['back']} leaves it"
        return f"{_SHOWN.get(key, key)} means nothing in this view; {self.action('show_help').key_text} lists what does"


def _named(mark: str) -> str:
    name = unicodedata.name(mark, mark).lower().replace("-", "_").replace(" ", "_")
    return _REPLACED.get(name, name)


_SHOWN: dict[str, str] = {_named(mark): mark for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}
"""Name of a key that types a mark -> the mark."""


def keymap(chosen: Iterable[tuple[str, str]] = ()) -> Keymap:
    """The keys with the operator's choices: (id of an act, keys separated by spaces), which replace all of its keys.

    Raises: ConfigError that names the act and the key.
    """
    wanted = {name: _keys(name, text) for name, text in chosen}
    actions = tuple(
        replace(action, keys=wanted[action.id], shown_key=shown(wanted[action.id])) if action.id in wanted else action
        for action in ACTIONS
    )
    by_key: dict[tuple[ViewName, str], Action] = {}
    for action in actions:
        for view in sorted(action.views):
            for key in action.keys:
                had = by_key.setdefault((view, key), action)
                if had is not action:
                    raise ConfigError(_conflict(had, action, key, view, wanted))
    return Keymap(actions, by_key)


def shown(keys: Iterable[str]) -> str:
    """Keys as an operator reads them."""
    return " ".join(_SHOWN.get(key, key.replace("ctrl+", "^") if _WITH_CTRL.match(key) else key) for key in keys)


def key_name(text: str) -> str:
    """The name by which a terminal library gives a key: `?` is `question_mark`. Raises: ValueError."""
    if len(text) == 1:
        if not text.isprintable() or text.isspace():
            raise ValueError("not a character that a key types")
        return text if text.isalnum() else _named(text)
    if text in _NAMED or _WITH_CTRL.match(text) or text in _SHOWN:
        return text
    raise ValueError("not a key")


def _keys(name: str, text: str) -> tuple[str, ...]:
    if name not in BY_ID:
        close = difflib.get_close_matches(name, BY_ID, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`opsconsole keys` names them"
        raise ConfigError(f"[keys] {name}: there is no such act; {hint}")
    parts = tuple(dict.fromkeys(text.split()))
    if not parts or len(parts) > KEYS_PER_ACT_MAX:
        raise ConfigError(f"[keys] {name} = {text!r}: 1 to {KEYS_PER_ACT_MAX} keys, separated by spaces")
    keys = tuple(_key(name, part) for part in parts)
    for ours, act in _OURS.items():
        if name == act and ours not in keys:
            raise ConfigError(f"[keys] {name} = {text!r}: {ours} stays among them; write '{ours} {text}' to add to it")
    return keys


def _key(name: str, text: str) -> str:
    try:
        key = key_name(text)
    except ValueError:
        accepted = "one character, ctrl+letter, f1 to f24, or one of " + ", ".join(sorted(_NAMED - {"enter", "escape"}))
        raise ConfigError(f"[keys] {name} = {text!r}: that is no key; accepted: {accepted}") from None
    if key in _TAKEN:
        raise ConfigError(f"[keys] {name} = {text!r}: terminals keep that key for themselves")
    if _OURS.get(key, name) != name:
        raise ConfigError(f"[keys] {name} = {text!r}: {key} always means {_OURS[key]!r}; it never decides")
    action = BY_ID[name]
    if key in _HASTY and (action.sudden or action.asks):
        raise ConfigError(f"[keys] {name} = {text!r}: {key} is pressed without a thought, and this act is one to mean")
    return key


def _conflict(one: Action, other: Action, key: str, view: ViewName, wanted: Mapping[str, object]) -> str:
    new, old = (other, one) if other.id in wanted else (one, other)
    text = shown((key,))
    return (
        f"[keys] {new.id}: {text} already means {old.id!r} in the view {view!r}; "
        f"choose another key, or give {old.id!r} another one"
    )
