"""Whatever stands in a policy file, loading ends with a policy or with problems, and an error never allows."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import normaliser, policy_loader

PIECES = """version = 1|[[rules]]|[rules]|id = 'a'|decision = 'allow'|when = 'args.amount > 1'|tool = '*'|[facts]
sql = { tool = '*', arg = 'query' }|when = 'sql.writes'|[[expect]]|args = { a = [1] }|[defaults]|on_error = 'allow'
on_error = 'ask'|decision = 'aks'|ask = { from = 'x' }|[people]|x = ['a']|[[breakers]]|per = 'day'|trip = { turns = 0 }
[hours]|a = 'Mon 00:00-24:00'|'' = 1|[detectors]|loop = false|stall = { model = '1' }|when = 'hours.a'|[tools.a]
schema = {}|= =|tool = 'a'|decision = 'ask'""".replace("\n", "|").split("|")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("\n".join) | st.text(max_size=80))
def test_loading_ends_with_a_policy_or_with_problems(text: str) -> None:
    policy_loader.fuzz_one(text.encode("utf-8", "replace"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_what_is_normal_reaches_the_engine_whole(data: bytes) -> None:
    normaliser.fuzz_one(data)


@pytest.mark.parametrize(
    "data", [b'"a\\u0000b"', b"1e999", b"NaN", b"9223372036854775807", b"-0.0", b'{"a":["\xc3\xa9"]}']
)
def test_a_value_that_an_engine_may_misread_is_refused_or_whole(data: bytes) -> None:
    normaliser.fuzz_one(data)
