"""The providers' limits on a console: which one is named, in which words, and when it is not."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from opsconsole.console.view.frame_lines import header
from opsconsole.console.view.limits import first_to_fill, limit_line, words
from opsconsole.console.view.line import width_of
from opsconsole.console.view.session import Session
from opsconsole.protocol.frames import Ack, Beat, Snap, Sub, Welcome
from opsconsole.protocol.rates import LimitRow

NOW = 1_000.0


def limit(**changes: Any) -> LimitRow:
    given: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "kind": "tokens", "limit": 60_000, "at": NOW}
    return LimitRow(**given | {"used_share": 0.38, "full_in_seconds": 365} | changes)


def online(*limits: LimitRow) -> Session:
    session = Session(wall=NOW, now=0.0, zone=UTC)
    welcome = Welcome(
        epoch="e", conn="c", principal="ana", role="operator", beat_seconds=10, time=NOW, policy="default"
    )
    session.opened(welcome, now=0.0)
    row = {"key": "hub", "policy": "default", "policy_hash": "h", "policy_since": 0.0}
    row["limits"] = [one.model_dump(mode="json") for one in limits]  # type: ignore[assignment]
    session.received(Snap(sub="hub", epoch="e", part=0, end=True, rev=1, rows=[row]), now=0.0)
    return session


def shown(session: Session, width: int = 120, now: float = 0.0) -> str:
    session.received(Beat(n=1, now=NOW + now), now=now)
    return "".join(part for part, _ in header(session, now=now, width=width))


def test_the_header_says_which_limit_fills_first_and_when() -> None:
    session = online(limit(model="other", full_in_seconds=None, used_share=0.9), limit())
    assert "openai gpt-4o: TPM 38 %, full in 6m05" in shown(session)


def test_time_goes_on_between_two_words_of_a_gateway() -> None:
    assert "full in 5m35" in shown(online(limit()), now=30.0)


def test_what_no_gateway_has_told_for_a_minute_is_not_shown() -> None:
    assert "gpt-4o" not in shown(online(limit()), now=61.0)


def test_where_none_is_filling_the_fullest_is_named() -> None:
    limits = [limit(full_in_seconds=None, used_share=share, model=f"m{share}") for share in (0.3, 0.7, 0.5)]
    first = first_to_fill(limits, NOW)
    assert first is not None
    assert words(first, NOW) == "openai m0.7: TPM 70 %"


def test_a_limit_that_is_hardly_used_is_no_news() -> None:
    assert limit_line([limit(used_share=0.01), limit(used_share=None)], NOW) == ()


@pytest.mark.parametrize(
    ("level", "mark", "tone"), [("ok", "", "dim"), ("warning", "▲ ", "warn"), ("critical", "▲ ", "bad")]
)
def test_urgency_is_told_by_a_glyph_and_a_colour(level: str, mark: str, tone: str) -> None:
    line = limit_line([limit(level=level, used_share=0.97, full_in_seconds=0)], NOW)
    assert line == ((f" {mark}openai gpt-4o: TPM 97 %, full ", tone),)


@pytest.mark.parametrize("width", [1, 10, 40, 80, 120, 300])
def test_the_header_fills_any_width(width: int) -> None:
    assert width_of(header(online(limit()), now=0.0, width=width)) == width


def test_a_hub_that_has_a_row_of_its_own_is_asked_for_it() -> None:
    session = Session(wall=NOW, now=0.0, zone=UTC)
    welcome = Welcome(epoch="e", conn="c", principal="a", role="operator", beat_seconds=10, time=NOW, policy="default")
    assert session.opened(welcome, now=0.0)[-1] == Sub(sub="hub", view="hub")
    row = {"key": "hub", "policy": "default", "policy_hash": "h", "policy_since": 0.0}
    found = session.received(Snap(sub="hub", epoch="e", part=0, end=True, rev=4, rows=[row]), now=1.0)
    assert found.send == [Ack(sub="hub", rev=4)]


def test_a_models_name_cannot_drive_the_terminal() -> None:
    assert shown(online(limit(model="gpt\x1b[31m\n"))).isprintable()
