"""Fields that take words and act on their keys in the order in which these came; what the words are for is not theirs.

Textual gives a key that edits (backspace, an arrow, enter) to the app first, and letters to the field: of keys that
arrive together, as over a slow line, the letters behind it would be typed before it acts.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.widget import Widget
from textual.widgets import Input, TextArea


class TypedLine(Input):
    """One line of words."""

    async def on_key(self, event: events.Key) -> None:
        """Edit at once, before the next key is read."""
        await _edit(self, event)


class TypedText(TextArea):
    """Words of many lines, until escape ends the writing."""

    written: Callable[[], None]
    """Called at escape."""
    is_open = True
    """Whether keys are taken; letters behind escape are none of the words."""

    async def on_key(self, event: events.Key) -> None:
        """Edit at once, before the next key is read."""
        if not self.is_open:
            _take(event)
        elif event.key == "escape":
            _take(event)
            self.written()
        else:
            await _edit(self, event)


async def _edit(field: Widget, event: events.Key) -> None:
    """What the key is bound to in the field, if anything."""
    for binding in field._bindings.key_to_bindings.get(event.key, ()):
        if await field.app.run_action(binding.action, field):
            _take(event)
            return


def _take(event: events.Key) -> None:
    event.stop()
    event.prevent_default()
