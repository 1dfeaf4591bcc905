"""Every exception that opsconsole raises, in one tree; it holds no behaviour beyond the fields a caller can act on.

OpsconsoleError
├── ConfigError                 a setting is missing or wrong
│   ├── PolicyError             a policy file cannot be used: every problem with its line (policy/file/problem.py)
│   ├── CaseError               a recorded case cannot be read (scenario/reading.py)
│   ├── FactConfigError         a fact of a policy is set up wrongly (policy/facts/interface.py)
│   ├── RunInUse                another live process of this machine has this run's journal
│   ├── NoCurrentRun            a guarded function was called outside of a run
│   └── JournalDamaged          a run's journal cannot be read
├── ProtocolError
│   ├── LocalProtocolError      our side tried something the protocol forbids: a bug here
│   └── RemoteProtocolError     the peer did: data about the peer, never a crash
├── HubError
│   ├── HubUnreachable          nothing answers at the hub's address
│   ├── HubRefused              the hub answered no: unauthorised, wrong role, bad version
│   └── HubLost                 the link is down and the run's policy says not to go on
├── GateError                   raised into the agent by an enforcement point
│   ├── CallDenied              the call was refused, by whom and why
│   ├── CallInterrupted         the call ran before the process was restarted: it is not run again
│   └── RunStopped              the run was killed or fenced: nothing more may run
├── SupervisorError
│   ├── CannotStart             the command could not be started
│   └── UnsupportedPlatform     no process supervision on this system
└── CommandFailed               an operator's command was refused: code and current values
"""

from __future__ import annotations

from typing import Any


class OpsconsoleError(Exception):
    """The root: catch it to catch everything of ours."""


class ConfigError(OpsconsoleError):
    """A setting is missing or wrong; the message names it and says what is accepted."""


class RunInUse(ConfigError):
    """The run is already spoken for by a live process (or another run of this one)."""


class NoCurrentRun(ConfigError):
    """A guarded function was called outside of `hub.run(...)`: nobody could allow it, so it did not run."""


class JournalDamaged(ConfigError):
    """The file is no journal of this version; it was left where it is."""


class ProtocolError(OpsconsoleError):
    """Root of both directions of a broken protocol."""


class LocalProtocolError(ProtocolError):
    """Our side tried to send what the protocol forbids in this state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol forbids; `code` is the close code it earns."""

    def __init__(self, message: str, *, code: int = 4500) -> None:
        super().__init__(message)
        self.code = code


class HubError(OpsconsoleError):
    """Root of everything that can be wrong with reaching the hub."""


class HubUnreachable(HubError):
    """Nothing answers at the hub's address."""


class HubRefused(HubError):
    """The hub answered no; `status` is the HTTP status or the close code."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class HubLost(HubError):
    """The link to the hub is down and the run's `on_hub_lost` policy forbids going on."""


class GateError(OpsconsoleError):
    """Root of what an enforcement point raises into the agent."""


class CallDenied(GateError):
    """The tool call was refused; the text is meant to be read by the model."""

    def __init__(self, reason: str, *, call: str, by: str, rule: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.call = call
        self.by = by
        self.rule = rule


class CallInterrupted(GateError):
    """The call already ran and its result cannot be given again; `outcome` is `unknown`, `completed` or `failed`."""

    def __init__(self, reason: str, *, call: str, outcome: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.call = call
        self.outcome = outcome


class RunStopped(GateError):
    """The run was killed or fenced by an operator or a breaker; nothing of it may run any more."""

    def __init__(self, reason: str, *, run: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.run = run


class SupervisorError(OpsconsoleError):
    """Root of what the supervisor reports about processes."""


class CannotStart(SupervisorError):
    """The command could not be started; the message holds the system's reason."""


class UnsupportedPlatform(SupervisorError):
    """This system offers no process supervision (Linux and macOS do)."""


class CommandFailed(OpsconsoleError):
    """An operator's command was refused by the hub; `current` holds the values that contradicted it."""

    def __init__(self, message: str, *, code: str, current: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.current = current or {}
