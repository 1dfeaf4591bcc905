"""What the shape of the whole suite is checked with; it holds no fixture of the product's own tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is marked slow last, so that a plain mistake shows within seconds."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT
