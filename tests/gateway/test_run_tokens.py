"""Run tokens: good for one run under one secret, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import ConfigError
from opsconsole.gateway import revoked as revoked_file
from opsconsole.gateway.attribution import Route, caller
from opsconsole.gateway.keys import RUN_TOKEN_HEADER, KeyRefused, Keys, _make_secret, secret_of
from opsconsole.gateway.providers import PROVIDERS
from opsconsole.gateway.revoked import LOOK_SECONDS, REVOKED_FILE, Revoked, revoke
from opsconsole.gateway.run_tokens import SECRET_FILE, Issued, Shown, issued_token, run_token, token_issued, token_run


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


FOR_REFUNDS = Issued(id="rt_1", agent="refunds", until=2_000.0)


def keys(*, now: float = 1_000.0, revoked: tuple[str, ...] = ()) -> Keys:
    return Keys({"openai": "sk-held"}, b"secret", revoked=revoked, clock=lambda: now)


def shown(keys: Keys, issued: Issued, run: str = "") -> Shown:
    headers = {"authorization": f"Bearer {issued_token(b'secret', issued)}"}
    found, forwarded = keys.exchanged(PROVIDERS["openai"], headers, [], run)
    assert forwarded == [(b"authorization", b"Bearer sk-held")]
    return found


def test_a_token_that_a_person_made_says_what_it_was_made_for() -> None:
    issued = Issued(id="rt_1", agent="refunds", run="nightly", until=1.5)
    assert token_issued(b"secret", issued_token(b"secret", issued)) == issued
    assert token_issued(b"other", issued_token(b"secret", issued)) is None


def test_the_two_kinds_of_tokens_are_not_taken_for_one_another() -> None:
    made = issued_token(b"secret", FOR_REFUNDS)
    assert token_run(b"secret", made.replace("opskey-", "opsrun-")) == ""
    assert token_issued(b"secret", run_token(b"secret", "run_1").replace("opsrun-", "opskey-")) is None


def test_a_token_of_an_agent_stands_in_for_the_key() -> None:
    assert shown(keys(), FOR_REFUNDS) == Shown(agent="refunds", token="rt_1")


def test_a_token_of_an_agent_is_no_way_into_a_run_that_it_names() -> None:
    with pytest.raises(KeyRefused, match="an agent's"):
        shown(keys(), FOR_REFUNDS, run="run_of_somebody")


def test_a_token_of_a_run_is_good_for_no_other() -> None:
    nightly = Issued(id="rt_1", run="nightly")
    assert shown(keys(), nightly, run="nightly").run == "nightly"
    with pytest.raises(KeyRefused, match="another run's"):
        shown(keys(), nightly, run="daily")


def test_a_token_ends_at_its_time() -> None:
    with pytest.raises(KeyRefused, match="rt_1 has expired"):
        shown(keys(now=2_000.0), FOR_REFUNDS)


def test_a_token_ends_when_it_is_revoked(tmp_path: Path) -> None:
    now = [0.0]
    revoked = Revoked(tmp_path, clock=lambda: now[0])
    assert "rt_1" not in revoked
    revoke(tmp_path, "rt_1")
    now[0] += LOOK_SECONDS
    assert "rt_1" in revoked
    assert "rt_2" not in revoked
    with pytest.raises(KeyRefused, match="rt_1 was revoked"):
        shown(Keys({"openai": "sk-held"}, b"secret", revoked=revoked, clock=lambda: 1_000.0), FOR_REFUNDS)


def test_while_nobody_can_read_what_was_revoked_every_token_counts_as_revoked(tmp_path: Path) -> None:
    (tmp_path / REVOKED_FILE).mkdir()
    assert "rt_1" in Revoked(tmp_path)


def test_the_runs_of_two_tokens_are_two_though_their_programs_name_one_conversation() -> None:
    headers = {"thread-id": "t1"}
    found = [caller(Route("openai", "/"), headers, Shown(agent="a", token=token)) for token in ("rt_1", "rt_2")]
    assert [one.labels["run_token"] for one in found] == ["rt_1", "rt_2"]
    assert found[0].key != found[1].key


def test_the_agent_of_a_token_is_no_other() -> None:
    assert caller(Route("openai", "/", "", "somebody"), {}, Shown(agent="refunds", token="rt_1")).agent == "refunds"


SHOWN = f"Bearer {issued_token(b'secret', FOR_REFUNDS)}"


def test_a_token_revoked_after_another_ends_as_soon(tmp_path: Path) -> None:
    now = [0.0]
    revoked = Revoked(tmp_path, clock=lambda: now[0])
    for token in ("rt_1", "rt_2"):
        revoke(tmp_path, token)
        now[0] += LOOK_SECONDS
        assert token in revoked


def test_a_list_of_revoked_tokens_too_long_to_be_read_counts_as_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoke(tmp_path, "rt_2")
    monkeypatch.setattr(revoked_file, "FILE_BYTES_MAX", 4)
    assert "rt_1" in Revoked(tmp_path)


def test_a_token_is_not_said_to_be_revoked_where_there_is_no_room_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoked_file, "FILE_BYTES_MAX", 8)
    revoke(tmp_path, "rt_1")
    with pytest.raises(ConfigError, match="full"):
        revoke(tmp_path, "rt_2")
    assert (tmp_path / REVOKED_FILE).read_text() == "rt_1\n"


def test_a_token_reaches_no_provider_whose_key_the_gateway_does_not_hold() -> None:
    forwarded = [(b"authorization", SHOWN.encode()), (b"accept", b"*/*")]
    found = Keys({}, b"secret", clock=lambda: 1_000.0).exchanged(
        PROVIDERS["openai"], {"authorization": SHOWN}, forwarded, ""
    )
    assert found[1] == [(b"accept", b"*/*")]


def test_no_key_that_the_agent_shows_goes_upstream_beside_the_gateways() -> None:
    headers = {"authorization": SHOWN, "x-api-key": "sk-mine"}
    forwarded = [(name.encode(), value.encode()) for name, value in headers.items()]
    found = keys().exchanged(PROVIDERS["openai"], headers, forwarded, "")
    assert found[1] == [(b"authorization", b"Bearer sk-held")]


def test_of_two_that_make_the_secret_at_once_the_firsts_stays(tmp_path: Path) -> None:
    first = secret_of(tmp_path)
    _make_secret(tmp_path / SECRET_FILE)
    assert secret_of(tmp_path) == first


def test_a_key_of_the_agents_own_goes_on_where_its_token_stands_beside_it() -> None:
    headers = {RUN_TOKEN_HEADER: SHOWN.removeprefix("Bearer "), "authorization": "Bearer sk-mine"}
    own = [(b"authorization", b"Bearer sk-mine")]
    found = Keys({}, b"secret", clock=lambda: 1_000.0).exchanged(PROVIDERS["openai"], headers, own, "")
    assert found[1] == own
