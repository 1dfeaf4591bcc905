"""What the SDK alone raises, below the project's tree; it holds no behaviour beyond the fields a caller can act on.

GateError
└── CallInterrupted     the call ran before the process was restarted: it is not run again
ConfigError
├── RunInUse            another live run of this machine has this run's journal
└── NoCurrentRun        a guarded function was called outside of a run
"""

from __future__ import annotations

from opsconsole.errors import ConfigError, GateError


class CallInterrupted(GateError):
    """The call already ran and its result cannot be given again; `outcome` is `unknown`, `completed` or `failed`."""

    def __init__(self, reason: str, *, call: str, outcome: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.call = call
        self.outcome = outcome


class RunInUse(ConfigError):
    """The run is already spoken for by a live process (or another run of this one)."""


class NoCurrentRun(ConfigError):
    """A guarded function was called outside of `hub.run(...)`: nobody could allow it, so it did not run."""
