"""When the collector of cyclic garbage may run: never over the rows, which are freed without it; it holds no object.

A board of ten thousand runs is some hundred thousand objects, and thousands of rows are replaced every second. Left to
itself the collector looks at all of them again and again, a quarter of a second at a time, and keys wait.
"""

from __future__ import annotations

import gc

SWEEP_SECONDS = 60.0
"""How often all is looked at: lines painted meanwhile refer to themselves, and are freed by nothing else."""
STILL_SECONDS = 2.0
"""Only when no key came for this long: it takes some tens of milliseconds."""
SWEEP_SECONDS_MAX = 180.0
"""Then at the latest, keys or not: a busy fleet leaves a megabyte or two a second."""

FRAME_BYTES_MIN = 4_096
"""Smaller frames hold a row or two: they are left where the next collection finds them."""


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

    def before_rows(self, frame_bytes: int) -> None:
        """A frame is about to be read: what the console itself threw away since the last is freed."""
        if self._on and frame_bytes >= FRAME_BYTES_MIN:
            gc.collect(0)

    def after_rows(self, frame_bytes: int) -> None:
        """Its rows are in, and not looked at again."""
        if self._on and frame_bytes >= FRAME_BYTES_MIN:
            gc.freeze()

    def second(self, *, now: float, still_for: float) -> None:
        """Once a second; `still_for` are the seconds without a key."""
        passed = now - self._swept_at
        if not self._on or passed < (SWEEP_SECONDS if still_for >= STILL_SECONDS else SWEEP_SECONDS_MAX):
            return
        self._swept_at = now
        gc.unfreeze()
        gc.collect()
        gc.freeze()
