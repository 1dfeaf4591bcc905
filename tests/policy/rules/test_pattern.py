"""Patterns over names: whole names, case and all, and nothing but the star is special."""

from __future__ import annotations

import pytest

from opsconsole.policy.rules.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("shell|bash", "bash"),
        ("pay_*", "pay_invoice"),
        ("pay_*", "pay_"),
        ("*", ""),
        ("*", "a\nb"),
        ("a*b*c", "axxbyyc"),
        (" a | b ", "b"),
        ("mcp.get[1]", "mcp.get[1]"),
        ("*_delete", "user_delete"),
    ],
)
def test_a_name_that_fits(pattern: str, name: str) -> None:
    assert Pattern.parse(pattern).matches(name) is True


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("shell|bash", "shell|bash"),
        ("shell", "Shell"),
        ("shell", "shell "),
        ("shell", "shell\n"),
        ("shell", "my_shell"),
        ("pay_*", "repay_x"),
        ("a.c", "abc"),
        ("a?c", "abc"),
        ("[ab]", "a"),
    ],
)
def test_a_name_that_does_not_fit(pattern: str, name: str) -> None:
    assert Pattern.parse(pattern).matches(name) is False


@pytest.mark.parametrize("text", ["", " ", "a|", "|a", "a||b", "a\nb", "a\0", "*a*b*c*", "x" * 501, "|".join("a" * 51)])
def test_a_pattern_that_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Pattern.parse(text)


@pytest.mark.parametrize(
    ("wide", "narrow", "is_covered"),
    [
        ("shell|bash", "bash", True),
        ("*", "pay_*", True),
        ("pay_*", "pay_*", True),
        ("pay_*", "pay_in*", True),
        ("pay_*", "pay_invoice|pay_all", True),
        ("shell|bash", "*", False),
        ("pay_invoice", "pay_*", False),
        ("pay_in*", "pay_*", False),
        ("*a", "*", False),
    ],
)
def test_one_pattern_covers_another_when_every_name_of_it_fits(wide: str, narrow: str, is_covered: bool) -> None:
    assert Pattern.parse(wide).covers(Pattern.parse(narrow)) is is_covered
