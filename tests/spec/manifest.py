"""The behaviours of opsconsole that a person can see, in sentences; tests cite them, and docs/behaviours.md lists both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])


def proves(*behaviours: str) -> Callable[[Test], Test]:
    return lambda test: test
