"""A fact that lacks a setting says which."""

from __future__ import annotations

import pytest

from opsconsole.policy.facts.interface import FactConfigError
from opsconsole.policy.facts.registry import FACTS


@pytest.mark.parametrize(
    ("fact", "config", "problem"),
    [
        ("sql", {"dialect": "postgres"}, "arg is missing: give a string"),
        ("sql", {"arg": "query"}, "dialect is missing: give a string"),
        ("email", {"args": ["to"]}, "own_domains is missing: give a list of strings"),
    ],
)
def test_a_setting_that_is_missing_is_named(fact: str, config: dict[str, object], problem: str) -> None:
    with pytest.raises(FactConfigError, match=problem):
        FACTS[fact](config)
