"""The exit codes of every command and which error earns which; it prints nothing."""

from __future__ import annotations

from enum import IntEnum

from opsconsole.errors import CommandFailed, ConfigError, HubRefused, HubUnreachable, OpsconsoleError


class Exit(IntEnum):
    """What a script can tell from the status."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNCONFIRMED = 3
    UNREACHABLE = 4
    FORBIDDEN = 5
    NOT_FOUND = 6
    CONFLICT = 7
    UNVERIFIED = 8
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.FAILED: "refused or failed",
    Exit.USAGE: "wrong usage or configuration",
    Exit.UNCONFIRMED: "unconfirmed: a kill without proof, a command not applied in time",
    Exit.UNREACHABLE: "the hub cannot be reached",
    Exit.FORBIDDEN: "not authorised, or the token's role does not allow it",
    Exit.NOT_FOUND: "no such run, approval, entry or token",
    Exit.CONFLICT: "conflict: already settled, digest mismatch, state changed",
    Exit.UNVERIFIED: "the audit does not verify",
    Exit.INTERRUPTED: "interrupted",
}
"""The table of `--help` and of docs/cli.md."""

CODES: dict[str, Exit] = {
    "unauthorised": Exit.FORBIDDEN,
    "unauthorized": Exit.FORBIDDEN,
    "forbidden": Exit.FORBIDDEN,
    "not_in_group": Exit.FORBIDDEN,
    "excluded": Exit.FORBIDDEN,
    "not_found": Exit.NOT_FOUND,
    "already_voted": Exit.CONFLICT,
    "already_settled": Exit.CONFLICT,
    "digest_mismatch": Exit.CONFLICT,
    "idempotency_conflict": Exit.CONFLICT,
    "precondition_failed": Exit.CONFLICT,
    "conflict": Exit.CONFLICT,
    "storage_failed": Exit.FAILED,
    "no_point": Exit.FAILED,
    "bad_request": Exit.FAILED,
}
"""The hub's machine-readable codes; one not listed is FAILED."""

STATUSES: dict[int, Exit] = {
    401: Exit.FORBIDDEN,
    403: Exit.FORBIDDEN,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
}
"""HTTP statuses of answers without such a code; one not listed is FAILED."""


def exit_of(error: OpsconsoleError) -> Exit:
    """The exit code that an error of ours earns."""
    match error:
        case ConfigError():
            return Exit.USAGE
        case HubUnreachable():
            return Exit.UNREACHABLE
        case CommandFailed():
            return CODES.get(error.code, Exit.FAILED)
        case HubRefused():
            return STATUSES.get(error.status, Exit.FAILED)
        case _:
            return Exit.FAILED
