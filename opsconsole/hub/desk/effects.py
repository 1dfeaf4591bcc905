"""What the desk wants done, as values; the server carries them out in order and reports back what was made durable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opsconsole.domain.light import light_dataclass
from opsconsole.protocol.frames import Frame, Res

View = Literal["board", "approvals", "hub"]
HUB_GEN = "hub"
"""The generation of the hub's own lines on a timeline: no point is called so."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Append events to a run's timeline; after the commit the server calls `Desk.stored(token, …)`."""

    token: int
    run: str
    gen: str
    first_seq: int
    count: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Append an audit entry; after the commit `Desk.recorded(token, …)`, on failure `Desk.record_failed(token, …)`.

    `expect` is the seq of the last entry under `key` that the desk knows (0 = none), or None for no condition.
    """

    token: int
    key: str
    body: bytes
    expect: int | None = None


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send a frame on a connection; a connection that is gone swallows it."""

    conn: str
    frame: Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Say bye on a connection and close it."""

    conn: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Answer whoever gave a command; `to` is what the server passed in with it."""

    to: str
    res: Res


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A row is not what it was; consoles get the latest."""

    view: View
    key: str


Effect = Store | Record | Send | Close | Reply | Changed
Effects = list[Effect]
