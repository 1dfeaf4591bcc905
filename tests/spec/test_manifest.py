"""The manifest is complete: each behaviour has a proof that exists, each test cites one, and the page says the same."""

from __future__ import annotations

import pytest

from tests.spec.document import DOCUMENT, HERE, ROOT, citations, document, proofs
from tests.spec.manifest import BEHAVIOURS, ELSEWHERE, KNOWN


def test_each_behaviour_has_a_proof_and_each_proof_a_behaviour() -> None:
    assert {name for name, tests in proofs().items() if tests} == KNOWN


def test_no_behaviour_is_named_twice() -> None:
    assert len(KNOWN) == sum(map(len, BEHAVIOURS.values()))


def test_each_test_says_what_it_proves() -> None:
    modules = [path for path in sorted(HERE.glob("test_*.py")) if path.name != "test_manifest.py"]
    assert [test for path in modules for test, behaviours in citations(path).items() if not behaviours] == []


@pytest.mark.parametrize("test", sorted({test for tests in ELSEWHERE.values() for test in tests}))
def test_a_proof_elsewhere_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in citations(ROOT / path)


def test_the_page_of_behaviours_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document()
