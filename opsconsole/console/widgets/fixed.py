"""What never scrolls as a whole: widgets that move their own lines, and containers; it draws nothing by itself."""

from __future__ import annotations

from textual.containers import Container
from textual.geometry import Size
from textual.reactive import Reactive
from textual.widget import Widget


class Fixed(Widget):
    """Of what may scroll, every new size brings a second layout and a second picture; of this it does not."""

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)

    def resized(self) -> None:
        """It has another size, and is about to be drawn in it.

        A Resize event comes late, and to what was laid out before the picture (somebody asked where it is) not at all.
        """

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        before = self._size
        is_new = super()._size_updated(size, virtual_size, container_size, layout)
        if size != before:
            self.resized()
        return is_new


class Box(Container, Fixed):
    """Widgets one below the other, or side by side where the style sheet says so."""
