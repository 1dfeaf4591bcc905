"""`drain_orphans`: delivers what gone processes of this machine left in their journals, on a link of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from opsconsole.sdk.link import Link
from opsconsole.sdk.orphans import deliver, find_orphans
from opsconsole.sdk.settings import SdkSettings, read_settings

DRAIN_SECONDS = 5.0
"""How long a drain waits for the hub; what is not delivered stays in the journals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What came of a drain."""

    runs: tuple[str, ...]
    """The runs whose journals were found abandoned."""
    delivered: bool
    """Whether the hub has all of them."""


def drain_orphans(
    *,
    hub: str | None = None,
    token: str | None = None,
    data_dir: str | Path | None = None,
    run: str | None = None,
    over: bool = False,
    point: str = "sdk",
    timeout_seconds: float = DRAIN_SECONDS,
) -> Drained:
    """Delivers the journals (of one `run`, or all) that no live process holds. Blocks up to `timeout_seconds`.

    Journals written for another hub than this one are left alone.
    over: nobody will resume these runs, and the caller says how they ended (a supervisor after its process is gone).
    Raises: ConfigError when the hub's address is none.
    """
    settings = read_settings(hub=hub, token=token, data_dir=data_dir)
    return _drain(settings, run, over, point, timeout_seconds)


def _drain(settings: SdkSettings, run: str | None, over: bool, point: str, timeout_seconds: float) -> Drained:
    deadline = time.monotonic() + timeout_seconds
    link = Link(url=settings.url, token=settings.token, point=point, client="opsconsole-drain")
    orphans = find_orphans(settings.journal_dir, link.wake, url=settings.url, point=point, run=run, over=over)
    if not orphans:
        return Drained(runs=(), delivered=True)
    link.start()
    done = deliver(orphans, link)
    delivered = done.wait(max(0.0, deadline - time.monotonic()))
    link.stop()
    for orphan in orphans:
        orphan.close()
    return Drained(runs=tuple(orphan.point.run for orphan in orphans), delivered=delivered)
