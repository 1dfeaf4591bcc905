"""`notify run` between a hub and a sender that both fail now and then: nothing is lost and nothing is sent twice."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, cast

import pytest

from opsconsole.cli import notify
from opsconsole.cli.client import HubClient
from opsconsole.errors import HubUnreachable
from opsconsole.notify.rules import Message, Throttle


class Stopped(BaseException):
    """Ends what goes on for ever, as a signal would."""


class FakeHub:
    """Answers with what its audit holds, fails `away` times, and stops whoever asks when there is nothing new."""

    def __init__(self, head: int, *entries: dict[str, Any], away: int = 0) -> None:
        self.head, self.entries, self.away = head, entries, away

    def get(self, _place: str, **query: Any) -> dict[str, Any]:
        if self.away:
            self.away -= 1
            raise HubUnreachable("no answer within 10 s")
        found = [one for one in self.entries if one["seq"] > query.get("after", self.head)]
        if not found and "after" in query:
            raise Stopped
        return {"head": self.head, "entries": found, "looked_to": self.head}


def entry(seq: int) -> dict[str, Any]:
    return {"seq": seq, "key": "run/a", "at": 1.0, "kind": "run.zombie", "run": f"run_{seq}"}


class Sending:
    """Keeps what it is given, and takes it from the attempt on that is told."""

    def __init__(self, takes_from: int = 1) -> None:
        self.attempts: list[str] = []
        self.takes_from = takes_from

    def __call__(self, message: Message) -> bool:
        self.attempts.append(message.about)
        return len(self.attempts) >= self.takes_from


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been slept."""
    slept: list[float] = []
    monkeypatch.setattr("opsconsole.cli.notify.time.sleep", slept.append)
    return slept


def follow(hub: FakeHub, cursor: Path, send: Sending) -> None:
    with pytest.raises(Stopped):
        notify.follow(cast(HubClient, hub), cursor, Throttle(per_minute=100), send)


def test_what_was_there_before_the_first_look_is_not_told(tmp_path: Path) -> None:
    send = Sending()
    follow(FakeHub(2, entry(1), entry(2)), tmp_path / "notify.json", send)
    assert send.attempts == []


def test_the_next_process_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    cursor, send = tmp_path / "notify.json", Sending()
    follow(FakeHub(0), cursor, send)
    follow(FakeHub(2, entry(1), entry(2)), cursor, send)
    follow(FakeHub(3, entry(1), entry(2), entry(3)), cursor, send)
    assert send.attempts == ["run.zombie run_1", "run.zombie run_2", "run.zombie run_3"]
    assert (json.loads(cursor.read_text()), stat.S_IMODE(cursor.stat().st_mode)) == ({"seq": 3}, 0o600)


@pytest.mark.parametrize(("takes_from", "attempts"), [(1, 1), (3, 3), (9, notify.SENDS_MAX)])
def test_a_message_that_is_not_taken_is_sent_again_a_few_times(
    tmp_path: Path, waits: list[float], takes_from: int, attempts: int
) -> None:
    cursor, send = tmp_path / "notify.json", Sending(takes_from)
    cursor.write_text('{"seq": 0}')
    follow(FakeHub(1, entry(1)), cursor, send)
    assert send.attempts == ["run.zombie run_1"] * attempts
    assert waits.count(notify.RETRY_SECONDS) == attempts - 1


def test_a_hub_that_is_away_is_waited_for_and_nothing_is_missed(tmp_path: Path, waits: list[float]) -> None:
    cursor, send = tmp_path / "notify.json", Sending()
    cursor.write_text('{"seq": 0}')
    follow(FakeHub(1, entry(1), away=3), cursor, send)
    assert (send.attempts, waits.count(notify.RETRY_SECONDS)) == (["run.zombie run_1"], 3)
