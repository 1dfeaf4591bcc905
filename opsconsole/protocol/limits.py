"""Every number that both ends of the wire must agree on, with its unit and its reason; nothing else."""

from __future__ import annotations

SUBPROTOCOL = "opsconsole.v1"
"""The major version lives here; minor versions only add."""
MINOR = 0
BEARER_SUBPROTOCOL_PREFIX = "opsconsole.bearer."
"""Carries a base64url token where a client cannot set headers; offered, never echoed."""

FRAME_BYTES_MAX = 1_048_576
"""One frame; a larger one closes the connection with 1009, so senders must split."""
EVENT_BYTES_MAX = 262_144
"""One event; the SDK refuses a larger one at emit, or it would be re-sent for ever."""
ARGS_BYTES_MAX = 131_072
"""Arguments of a gated call; beyond this no operator can see what is asked, so the call is refused."""
TEXT_BYTES_MAX = 65_536
"""A message, result or note; the rest is cut and counted."""
CAPS_MAX = 16
"""Capabilities that a point may name; each is on every row of its run."""
LABEL_NAME_CHARS_MAX = 200
"""A label's name; a row shows less."""
LABEL_CHARS_MAX = 1_000
"""A label's value; a row shows less."""
BATCH_EVENTS_MAX = 200
"""Events in one frame."""
BATCH_BYTES_MAX = 524_288
"""A sender fills a frame up to this, leaving room for the envelope under FRAME_BYTES_MAX."""
INFLIGHT_EVENTS_MAX = 2_000
"""Events sent and not acknowledged, per run and connection."""
RUNS_PER_CONNECTION_MAX = 5_000
"""Runs that one agent connection may speak for."""
HELLO_SECONDS_MAX = 5.0
"""A peer that says nothing first is closed with 4002."""
BEAT_SECONDS = 10.0
"""How often each side shows it is alive when it has nothing else to say."""
SIGN_SECONDS = 2.0
"""How often the hub shows an operator that it is alive: a screen must not look live for long when the hub is not."""
SILENCE_BEATS_MAX = 2.5
"""Beats of silence after which the other side is taken for gone (4001)."""
STALE_SECONDS = 25.0
"""Silence of a point after which its link is drawn as stale."""
LOST_SECONDS = 60.0
"""Silence of a point after which its link is drawn as lost."""
APPROVAL_TTL_SECONDS = 600.0
"""How long an approval waits for a person before it expires, which refuses it."""
COMMAND_TTL_SECONDS = 300.0
"""How long an undelivered pause, inject and the like is worth delivering."""
KILL_UNCONFIRMED_SECONDS = 15.0
"""A kill without proof for this long is drawn as unconfirmed."""
TAKEOVER_LEASE_SECONDS = 900.0
"""A takeover nobody renews ends in a paused run, never in a running one."""
WINDOW_FRAMES = 2
"""Unacknowledged snap or delta frames per subscription; further changes coalesce into later rows."""
DELTA_BYTES_MAX = 262_144
"""One snap or delta frame; larger ones go in parts."""


class Close:
    """Close codes; 45xx means: do not reconnect, tell a human."""

    GOING_AWAY = 1001
    FRAME_TOO_BIG = 1009
    RESTART = 1012
    INTERNAL = 4000
    BEAT_TIMEOUT = 4001
    HELLO_TIMEOUT = 4002
    TOKEN_EXPIRED = 4004
    FLOOD = 4008
    RESYNC = 4010
    PROTOCOL_ERROR = 4500
    UNAUTHORISED = 4501
    SUPERSEDED = 4503
    FORBIDDEN = 4504
    VERSION = 4505


def is_final(code: int) -> bool:
    """Whether a close code forbids reconnecting."""
    return 4500 <= code < 4600
