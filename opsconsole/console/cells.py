"""The bytes of a partial update: exactly the cells that changed, not the line up to them; it decides on none."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate


class CellsUpdate(ChopsUpdate):
    """The same update, cut to its spans on both sides."""

    tail = ""
    """What is written behind it, in the same breath."""

    def render_segments(self, console: Console) -> str:
        """What to write to the terminal."""
        written: list[str] = []
        at = None
        for y, first, beyond in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=True):
                if strip is None or x >= beyond or end <= first:
                    continue
                left, right = max(x, first), min(end, beyond)
                if at != (left, y):
                    written.append(Control.move_to(left, y).segment.text)
                whole = left == x and right == end
                written.append((strip if whole else strip.crop(left - x, right - x)).render(console))
                at = (right, y)
        written.append(self.tail)
        return "".join(written)


def only_changed(update: RenderableType | None) -> RenderableType | None:
    """`update`, written in as few bytes as possible where it is of some cells only."""
    if type(update) is not ChopsUpdate:
        return update
    return CellsUpdate(update.chops, update.spans, update.chop_ends)
