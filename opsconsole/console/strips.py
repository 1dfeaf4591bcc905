"""Lines of the screen that are freed as soon as nothing shows them; it draws none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import _styles_cache
from textual.strip import Strip


class LineStrip(Strip):
    """A strip that does not remember itself.

    Textual keeps the parts that a strip was cut into with the strip, and one that is cut at its end only is its own
    part. Nothing but the collector of cyclic garbage frees that, which may not run while keys come (heap.py): a busy
    table would leave megabytes behind in a minute.
    """

    __slots__ = ()

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """Its parts between these cells; itself where nothing is cut."""
        within = [cut for cut in cuts if cut <= self.cell_length]
        return [self] if within == [self.cell_length] else super().divide(within)


def free_lines_at_once() -> None:
    """Have Textual draw all widgets in such strips."""
    _styles_cache.Strip = LineStrip  # type: ignore[attr-defined]
