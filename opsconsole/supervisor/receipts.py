"""What a supervised process tells about its end, a freeze and a kill: values only, as JSON-ready as they can be."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from opsconsole.supervisor.custody import Usage
from opsconsole.supervisor.processes import Identity, ProcessInfo
from opsconsole.supervisor.sweep import Stage, Swept

Message = dict[str, Any]
Proof = Literal["process", "none"]


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of a kill as it went: `ms` is how long it took."""

    name: str
    ms: float
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReceipt:
    """What a kill reached. `proof` is "process" when the supervisor saw the exit and an empty tree, else "none"."""

    proof: Proof
    steps: tuple[Step, ...]
    killed: tuple[ProcessInfo, ...]
    survivors: tuple[ProcessInfo, ...]
    total_ms: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeReceipt:
    """What a freeze (or thaw) reached: the processes stopped (or continued); `running` are those not seen stopped."""

    frozen: bool
    count: int
    processes: tuple[ProcessInfo, ...]
    running: tuple[ProcessInfo, ...]
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    """Summed over the processes of the tree that ended: CPU in seconds; the largest resident size in bytes (the kernel
    counts what the reaper's fork held before the command replaced it: about 10 MB is the least there is)."""

    user_seconds: float = 0.0
    system_seconds: float = 0.0
    max_rss: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How the command ended: by `code` or by `signal` (its name), both None when its status was lost.

    `survivors` counts what outlived it and `left` describes that; `empty` is whether the tree is proven empty now;
    `reaper_lost` says that the reaper was killed and the supervisor cleared the tree itself.
    """

    code: int | None
    signal: str | None
    rusage: ResourceUse = field(default_factory=ResourceUse)
    last_output: list[str] = field(default_factory=list)
    survivors: int = 0
    left: tuple[ProcessInfo, ...] = ()
    empty: bool = True
    reaper_lost: bool = False

    @property
    def status(self) -> int:
        """The exit status a shell would give: the code, or 128 + the signal's number; 137 when it was lost."""
        if self.code is not None:
            return self.code
        return 128 + _number(self.signal or "SIGKILL")


def exit_of(message: Message) -> Exit:
    """Reads a reaper's word on the command's end."""
    code, name = _ended(message["status"])
    return Exit(
        code=code,
        signal=name,
        rusage=ResourceUse(
            user_seconds=message["user_seconds"],
            system_seconds=message["system_seconds"],
            max_rss=message["max_rss"],
            processes=message["ended"],
        ),
        survivors=message["survivors"],
        left=processes(message["left"]),
        empty=message["empty"],
    )


def exit_after_takeover(status: int | None, used: Usage, swept: Swept, *, main: Identity) -> Exit:
    """Says how a command ended whose reaper was killed: all that was found then, but itself, outlived it."""
    code, name = _ended(status)
    left = tuple(info for info in swept.killed + swept.survivors if info.identity != main)
    return Exit(
        code=code,
        signal=name,
        rusage=ResourceUse(
            user_seconds=used.user_seconds,
            system_seconds=used.system_seconds,
            max_rss=used.max_rss,
            processes=used.ended,
        ),
        survivors=len(left),
        left=left,
        empty=swept.empty,
        reaper_lost=True,
    )


def with_output(exit: Exit, lines: list[str]) -> Exit:
    """Gives the same end with the last lines of output."""
    return replace(exit, last_output=lines)


def freeze_receipt(answer: Message, *, frozen: bool) -> FreezeReceipt:
    """Reads a reaper's answer to a freeze or a thaw."""
    return FreezeReceipt(
        frozen=frozen,
        count=answer["count"],
        processes=processes(answer["processes"]),
        running=processes(answer["running"]),
        ms=answer["ms"],
    )


def swept(answer: Message) -> Swept:
    """Reads a reaper's answer to a kill."""
    return Swept(
        stages=tuple(Stage(name=name, ms=ms, outcome=outcome) for name, ms, outcome in answer["steps"]),
        killed=processes(answer["killed"]),
        survivors=processes(answer["survivors"]),
        empty=answer["empty"],
    )


def without(found: Swept, keeper: Identity) -> Swept:
    """Gives the same sweep without the reaper among the killed: it is none of the tree's processes."""
    return replace(found, killed=tuple(info for info in found.killed if info.identity != keeper))


def processes(found: Iterable[Message]) -> tuple[ProcessInfo, ...]:
    """Reads process infos back from a message."""
    return tuple(ProcessInfo(**info) for info in found)


def _ended(status: int | None) -> tuple[int | None, str | None]:
    if status is None:
        return None, None
    number = status & 0x7F
    return (None, _name(number)) if number else (status >> 8, None)


def _number(name: str) -> int:
    rest = name.removeprefix("SIG")
    return int(rest) if rest.isdigit() else signal.Signals[name]


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between SIGRTMIN and SIGRTMAX has a number only
        return f"SIG{number}"
