"""What this system can promise about a process tree, and the few calls the standard library lacks; no policy here."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36

OUT_OF_REACH = "what a process asks another program's daemon to start (docker, cron, at, systemd-run, ssh) is outside"
POLLED = "a process that leaves its session, clears its environment and loses its parent between two looks is not seen"
BOTH_KILLED = "if the supervisor and its reaper are killed in the same instant, what the command started outlives them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a kill on this system can prove. `unproven` says in words what it cannot."""

    supported: bool
    subreaper: bool
    parent_death_signal: bool
    pidfd: bool
    unproven: tuple[str, ...]


def capabilities() -> Capabilities:
    """Gives what this system offers; it changes nothing."""
    linux = sys.platform == "linux"
    return Capabilities(
        supported=linux or sys.platform == "darwin",
        subreaper=linux,
        parent_death_signal=linux,
        pidfd=linux and hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal"),
        unproven=(OUT_OF_REACH, BOTH_KILLED) if linux else (OUT_OF_REACH, BOTH_KILLED, POLLED),
    )


def become_subreaper() -> bool:
    """Makes orphaned descendants re-parent to this process for its lifetime; False where the kernel cannot."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int) -> bool:
    """Asks the kernel to send this signal when the parent's thread ends; the caller checks `getppid` afterwards."""
    return _prctl(PR_SET_PDEATHSIG, number)


def keep_memory_private() -> bool:
    """No other process of this user may read or trace this one; False where the kernel cannot."""
    return _prctl(PR_SET_DUMPABLE, 0)


def load() -> None:
    """Resolves `prctl` now, so that a child between fork and exec need not load a library."""
    _prctl_function()


def _prctl(option: int, argument: int) -> bool:
    function = _prctl_function()
    return function is not None and function(option, argument, 0, 0, 0) == 0


_found: ctypes._NamedFuncPointer | None = None


def _prctl_function() -> ctypes._NamedFuncPointer | None:
    global _found
    if _found is None and sys.platform == "linux":
        _found = ctypes.CDLL(None, use_errno=True).prctl
        _found.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    return _found
