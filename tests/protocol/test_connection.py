"""The connection: who speaks first, which frames travel which way, and how long silence may last."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.errors import LocalProtocolError, RemoteProtocolError
from opsconsole.protocol.connection import Connection, Phase
from opsconsole.protocol.frames import Ack, Beat, Bye, Command, Hello, Welcome
from opsconsole.protocol.limits import BEAT_SECONDS, HELLO_SECONDS_MAX, SILENCE_BEATS_MAX, Close, is_final
from tests.protocol import samples

WELCOME = Welcome(epoch="e", conn="c", principal="bot", role="agent", beat_seconds=4.0, time=0.0)


def opened(client: Any = "agent", hub: Any = "hub_agent") -> tuple[Connection, Connection]:
    """Both ends of an open connection."""
    near, far = Connection(client, now=0.0), Connection(hub, now=0.0, beat_seconds=4.0)
    point = "sdk" if client == "agent" else None
    far.receive(near.send(Hello(point=point), now=0.0), now=0.0)
    near.receive(far.send(WELCOME, now=0.0), now=0.0)
    return near, far


@pytest.mark.parametrize(("client", "hub"), [("agent", "hub_agent"), ("operator", "hub_operator")])
def test_hello_and_welcome_open_a_connection(client: str, hub: str) -> None:
    near, far = opened(client, hub)
    assert (near.phase, far.phase, near.beat_seconds) == (Phase.OPEN, Phase.OPEN, 4.0)


@pytest.mark.parametrize("name", ["attach", "event", "ack", "res", "beat", "detach"])
def test_nothing_is_heard_before_hello(name: str) -> None:
    far = Connection("hub_agent", now=0.0)
    with pytest.raises(RemoteProtocolError):
        far.receive(json.dumps(samples.FRAMES["agent_to_hub"][name]), now=0.0)
    assert far.phase is Phase.CLOSED


def test_nothing_is_heard_between_hello_and_welcome() -> None:
    far = Connection("hub_agent", now=0.0)
    far.receive(json.dumps(samples.FRAMES["agent_to_hub"]["hello"]), now=0.0)
    with pytest.raises(RemoteProtocolError):
        far.receive(json.dumps(samples.BEAT), now=0.0)


def test_a_second_hello_is_an_error() -> None:
    _, far = opened()
    with pytest.raises(RemoteProtocolError):
        far.receive(json.dumps(samples.FRAMES["agent_to_hub"]["hello"]), now=0.0)


def test_an_agent_names_its_point_and_an_operator_has_none() -> None:
    for side, hello in (("hub_agent", {"t": "hello"}), ("hub_operator", {"t": "hello", "point": "sdk"})):
        with pytest.raises(RemoteProtocolError):
            Connection(side, now=0.0).receive(json.dumps(hello), now=0.0)  # type: ignore[arg-type]


def test_a_client_hears_welcome_first() -> None:
    near = Connection("agent", now=0.0)
    near.send(Hello(point="sdk"), now=0.0)
    with pytest.raises(RemoteProtocolError):
        near.receive(json.dumps(samples.ACK), now=0.0)


@pytest.mark.parametrize(
    ("side", "frame"),
    [("agent", WELCOME), ("agent", Command(cmd="c", do="kill")), ("hub_agent", Hello()), ("operator", Beat())],
)
def test_what_may_not_be_sent_now_is_our_own_error(side: Any, frame: Any) -> None:
    with pytest.raises(LocalProtocolError):
        Connection(side, now=0.0).send(frame, now=0.0)


def test_a_frame_that_is_too_large_is_not_sent() -> None:
    near, _ = opened("operator", "hub_operator")
    with pytest.raises(LocalProtocolError):
        near.send(Command(cmd="c", do="decide", args={"x": "y" * 2_000_000}), now=0.0)


def test_an_unknown_frame_shows_that_the_peer_is_alive() -> None:
    _, far = opened()
    assert far.receive('{"t":"from_the_future"}', now=9.0) is None
    assert far.overdue(now=18.9) is None


def test_a_beat_is_sent_when_nothing_else_was() -> None:
    near, _ = opened()
    assert near.beat(now=3.9, wall=0.0) is None
    assert json.loads(near.beat(now=4.0, wall=7.0, busy="sql") or b"") == {
        "t": "beat",
        "n": 1,
        "now": 7.0,
        "busy": "sql",
    }
    assert near.beat(now=5.0, wall=0.0) is None
    near.send(Ack(run="r", cseq=1), now=8.0)
    assert near.beat(now=11.9, wall=0.0) is None


def test_a_frame_sent_raw_counts_as_sent() -> None:
    _, far = opened()
    far.sent_raw(now=3.0)
    assert far.beat(now=6.9, wall=0.0) is None


def test_a_beat_echoes_the_peers_clock() -> None:
    near, far = opened()
    far.receive(near.beat(now=4.0, wall=100.0) or b"", now=4.1)
    assert json.loads(far.beat(now=9.0, wall=0.0) or b"")["echo"] == 100.0


def test_silence_closes_after_two_beats_and_a_half() -> None:
    _, far = opened()
    assert far.overdue(now=4.0 * SILENCE_BEATS_MAX) is None
    assert far.overdue(now=4.0 * SILENCE_BEATS_MAX + 0.1) == Close.BEAT_TIMEOUT


def test_a_peer_that_says_nothing_first_is_closed() -> None:
    far = Connection("hub_agent", now=0.0)
    assert far.overdue(now=HELLO_SECONDS_MAX) is None
    assert far.overdue(now=HELLO_SECONDS_MAX + 0.1) == Close.HELLO_TIMEOUT


def test_the_next_wake_is_when_something_is_due() -> None:
    near, _ = opened()
    assert Connection("hub_agent", now=0.0).next_wake(now=1.0) == HELLO_SECONDS_MAX - 1.0
    assert near.next_wake(now=1.0) == 3.0
    near.sent_raw(now=9.0)
    assert near.next_wake(now=9.0) == pytest.approx(1.0)
    assert near.next_wake(now=500.0) == pytest.approx(0.01)
    assert Connection("agent", now=0.0).next_wake(now=HELLO_SECONDS_MAX) > 0.0


def test_a_goodbye_may_be_said_in_any_phase_but_the_last() -> None:
    for connection in (Connection("agent", now=0.0), *opened()):
        assert json.loads(connection.send(Bye(code=1001), now=0.0))["t"] == "bye"
        connection.close()
        with pytest.raises(LocalProtocolError):
            connection.send(Bye(code=1001), now=0.0)


def test_a_closed_connection_hears_nothing() -> None:
    near, _ = opened()
    near.close()
    with pytest.raises(LocalProtocolError):
        near.receive(json.dumps(samples.BEAT), now=0.0)


def test_the_client_keeps_the_beat_it_is_told() -> None:
    assert Connection("agent", now=0.0).beat_seconds == BEAT_SECONDS
    assert opened()[0].beat_seconds == 4.0


def test_signs_of_life_come_more_often_than_beats_and_cut_nobody_earlier() -> None:
    near, far = Connection("operator", now=0.0), Connection("hub_operator", now=0.0, beat_seconds=4.0, sign_seconds=1.0)
    far.receive(near.send(Hello(), now=0.0), now=0.0)
    far.send(WELCOME, now=0.0)
    assert (far.next_wake(now=0.0), far.beat(now=0.9, wall=0.0), far.beat(now=1.0, wall=0.0) is None) == (
        1.0,
        None,
        False,
    )
    assert (far.overdue(now=9.9), far.overdue(now=10.1)) == (None, Close.BEAT_TIMEOUT)


@pytest.mark.parametrize(
    ("code", "final"),
    [
        (1001, False),
        (1006, False),
        (1012, False),
        (4001, False),
        (4008, False),
        (4500, True),
        (4503, True),
        (4599, True),
    ],
)
def test_codes_from_4500_forbid_reconnecting(code: int, final: bool) -> None:
    assert is_final(code) is final
