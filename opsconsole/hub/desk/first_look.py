"""Whether events may hold a secret: a look past what is ours in each of them, and looks like one; it masks nothing."""

from __future__ import annotations

import re

from opsconsole.policy.redaction import may_hold_secret

_OUR_ID = re.compile(rb'"id":"(?:call|ckp|msg|turn)_[0-7][0-9A-HJKMNP-TV-Z]{25}"')
"""An event's id as `new_id` makes it, a ULID: every other frame has one with the beginning of an account number. No
other prefix is looked past: those of some providers' keys would look the same."""
_COST = re.compile(rb'"cost_usd":[0-9]{1,9}\.[0-9]{1,20}(?=[,}])')
"""A number, which is never masked: sums of money have the digits of a card behind their point."""


def may_need_masking(body: bytes) -> bool:
    """Whether the encoded events may hold a secret: False means that masking would change nothing in them.

    A quote inside a text is escaped, so that what is looked past is an id or a number, or a text's part that is an id.
    """
    return may_hold_secret(body) and may_hold_secret(_COST.sub(b'""', _OUR_ID.sub(b'""', body)))
