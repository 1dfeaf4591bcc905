"""docs/policy.md says what the loader accepts: facts, names, keys, limits and defaults."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from opsconsole.policy.facts.registry import FACTS
from opsconsole.policy.file.settings import TRIPS, DetectorSettings
from opsconsole.policy.rules.rule import BASE_VARIABLES
from tests.policy.file.documented import DOCUMENT


def _row(first: str) -> list[str]:
    """The cells of the table row that begins so."""
    found = re.search(rf"^\| `{first}` \|(.*)\|$", DOCUMENT, re.MULTILINE)
    assert found is not None, f"{first} is not documented"
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", found[1])]


def _names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_fact_is_told_with_its_settings_and_fields(name: str) -> None:
    settings, told = _row(name)
    assert (_names(settings), _names(told)) == (set(FACTS[name].settings) - {"tool"}, set(FACTS[name].fields))


@pytest.mark.parametrize("name", sorted(BASE_VARIABLES))
def test_every_name_of_expressions_is_told(name: str) -> None:
    assert f"`{name}`" in DOCUMENT


def test_every_limit_of_a_breaker_is_told() -> None:
    assert _names(_row("trip")[0]) == set(TRIPS)


@pytest.mark.parametrize(
    "detector", [one for one in fields(DetectorSettings) if one.name not in ("agreement", "pause")]
)
def test_every_detector_is_told_with_its_settings(detector: object) -> None:
    name = getattr(detector, "name", "")
    settings = getattr(DetectorSettings(), name)
    assert _names(_row(name)[0]) == {one.name.removesuffix("_seconds") for one in fields(settings)}
