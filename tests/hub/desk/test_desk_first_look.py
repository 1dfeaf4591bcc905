"""What makes the hub look through events for secrets, and what of ours does not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsconsole.policy.redaction import masker, may_hold_secret, redact

MASK = masker(b"key")
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ids(letters: str) -> st.SearchStrategy[str]:
    """Ids of ours, of these letters."""
    parts = st.tuples(st.sampled_from(["msg", "turn", "call", "ckp"]), st.text(letters, min_size=25, max_size=25))
    return parts.map(lambda parts: f"{parts[0]}_0{parts[1]}")


IDS = ids(LETTERS)
PLAIN_IDS = ids("".join(sorted(set(LETTERS) - set("AS"))))
"""Without the letters with which some providers' keys begin: one in thousands of the others is looked at closer."""
WORDS = st.sampled_from(
    ["GB82 WEST 1234 5698 7654 32", "5500 0000 0000 0004", "password", "token", '"', "id", "cost_usd", ":", ",", "\\"]
)
TEXTS = st.lists(WORDS | IDS, max_size=4).map("".join)
KEYS = st.tuples(
    st.sampled_from(["ghp", "gho", "whsec", "sk", "npm", "hf"]), st.text(LETTERS, min_size=25, max_size=25)
).map(lambda parts: f"{parts[0]}_0{parts[1]}")
"""What a provider's key could look like that looks like an id of ours."""
LEAVES = TEXTS | KEYS | st.floats(min_value=0, max_value=1e6) | st.integers(min_value=0)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(st.sampled_from(["id", "cost_usd", "text", "password"]) | TEXTS, inner, max_size=4),
    max_leaves=5,
)


def data_of(value: Any) -> bytes:
    return json.dumps([value], ensure_ascii=False, separators=(",", ":")).encode()


@given(PLAIN_IDS, st.floats(min_value=0.001, max_value=1e6))
@example("turn_01M83GMZ13B89SD43649H875RJ", 0.03536999999999995)
def test_our_ids_and_sums_of_money_do_not_have_every_event_looked_through(event: str, cost_usd: float) -> None:
    assert not may_hold_secret(data_of({"type": "usage", "id": event, "cost_usd": cost_usd}))


@settings(max_examples=400)
@given(VALUES)
@example({"id": 'GB82 WEST 1234 5698 7654 32"id":"msg_01M83GMZ13B89SD43649H875RJ'})
@example({"text": '"cost_usd":5500.0000000000004,'})
@example({"password": {"id": "msg_01M83GMZ13B89SD43649H875RJ"}})
@example({"id": "ghp_0ABCDEFGHJKMNPQRSTVWXYZABC"})
def test_what_is_masked_never_passes(value: Any) -> None:
    data = data_of(value)
    assert may_hold_secret(data) or not redact(json.loads(data), MASK)[1]
