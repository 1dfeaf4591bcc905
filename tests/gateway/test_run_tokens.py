"""Run tokens: good for one run under one secret, and for nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.gateway.run_tokens import run_token, token_run


def test_a_token_names_its_run() -> None:
    assert token_run(b"secret", run_token(b"secret", "run_1.abc")) == "run_1.abc"


def test_a_token_of_another_secret_is_none() -> None:
    assert token_run(b"secret", run_token(b"other", "run_1")) == ""


@given(st.text(max_size=60))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    assert token_run(b"secret", text) == ""


@given(st.integers(min_value=0, max_value=200))
def test_a_changed_token_is_none(place: int) -> None:
    token = run_token(b"secret", "run_1")
    place %= len(token)
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    assert token_run(b"secret", changed) == ""
