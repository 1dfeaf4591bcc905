"""Ids: their shape, and the derived ones that make a repetition the same thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.ids import (
    PROOF_PREFIX,
    approval_id,
    is_id,
    is_proved_by,
    is_sealed_by,
    joined_id,
    key_proof,
    sealed_run_id,
    verdict_id,
)

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}", fullmatch=True)
KEYS = st.text(min_size=1).filter(lambda key: not key.startswith(PROOF_PREFIX))
"""What may be a key: no key begins as a proof does."""


@pytest.mark.parametrize("text", ["", "_a", "a b", "a/b", "ä", "a\n", "x" * 129])
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


@given(IDS, IDS)
def test_derived_ids_are_ids(run: str, call: str) -> None:
    assert all(is_id(one) for one in (run, approval_id(run, call), verdict_id(run, call), joined_id(run, call)))


@given(IDS, IDS)
def test_the_same_call_has_the_same_approval(run: str, call: str) -> None:
    assert approval_id(run, call) == approval_id(run, call)


def test_other_calls_have_other_approvals() -> None:
    assert len({approval_id(run, call) for run in ("a", "ab") for call in ("bc", "c")}) == 4


def test_ids_are_joined_plainly_where_they_fit() -> None:
    assert joined_id("cmd_k", "run_1") == "cmd_k.run_1"
    assert joined_id("x" * 128, "a") != joined_id("x" * 128, "b")


@given(KEYS, KEYS)
def test_only_the_key_and_its_proof_are_good_for_a_sealed_run(key: str, other: str) -> None:
    run = sealed_run_id("run_1", key)
    assert is_sealed_by(run, key)
    assert is_proved_by(run, key_proof(key))
    assert other == key or not (is_sealed_by(run, other) or is_proved_by(run, key_proof(other)))


def test_what_begins_as_a_proof_is_no_key() -> None:
    assert not is_sealed_by(sealed_run_id("run_1", PROOF_PREFIX), PROOF_PREFIX)


def test_a_proof_is_no_key_and_a_key_no_proof() -> None:
    run = sealed_run_id("run_1", "key")
    assert not is_sealed_by(run, key_proof("key"))
    assert not is_proved_by(run, "key")


def test_nobody_proves_to_hold_a_run_without_a_seal() -> None:
    assert not is_proved_by("run_1", key_proof("key"))
