"""Folders that only their owner may enter, each missing one above them included; it changes none that is there."""

from __future__ import annotations

from pathlib import Path

OWNER_ONLY = 0o700


def make_private_folder(folder: Path) -> None:
    """Make the folder and those above it that are missing: `mkdir(parents=True)` alone leaves those open to others.

    Raises: OSError.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=OWNER_ONLY, exist_ok=True)
    folder.mkdir(mode=OWNER_ONLY, exist_ok=True)  # says so where something else has that name
