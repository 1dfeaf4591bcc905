"""When the collector of cyclic garbage may run: never for longer than a key may wait; it holds no object.

Left to itself it looks at everything again and again, for a quarter of a second at a time. Rows are no concern of its:
they are made so that it never looks at them. What the console draws is, and most of it is thrown away soon.
"""

from __future__ import annotations

import gc

SWEEP_SECONDS = 60.0
"""How often all is looked at that was made since the start: what outlived its youth is freed by nothing else."""
STILL_SECONDS = 2.0
"""Only when no key came for this long: it takes some tens of milliseconds."""
SWEEP_SECONDS_MAX = 180.0
"""Then at the latest, keys or not."""


class Heap:
    """Runs the collector by hand once it is started; before that, Python does."""

    def __init__(self) -> None:
        self._on = False
        self._swept_at = 0.0

    def start(self, *, now: float) -> None:
        """From here on the collector runs only when it is told; monotonic seconds."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._on, self._swept_at = True, now

    def stop(self) -> None:
        """Leave it to Python again."""
        if self._on:
            gc.unfreeze()
            gc.enable()
        self._on = False

    def tidy(self) -> None:
        """Between two pieces of work: free what was made and thrown away since the last such moment."""
        if self._on:
            gc.collect(0)

    def second(self, *, now: float, still_for: float) -> None:
        """Once a second; `still_for` are the seconds without a key."""
        self.tidy()
        passed = now - self._swept_at
        if not self._on or passed < (SWEEP_SECONDS if still_for >= STILL_SECONDS else SWEEP_SECONDS_MAX):
            return
        self._swept_at = now
        gc.collect()
