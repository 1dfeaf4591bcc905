"""What the shape of the whole suite is checked with; it holds no fixture of the product's own tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT
