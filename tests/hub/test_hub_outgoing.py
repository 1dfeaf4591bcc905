"""One connection's way out: what goes first, what is replaced while it waits, and who is cut for reading nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from opsconsole.hub.outgoing import SENT_AT_ONCE_MAX, Outgoing
from opsconsole.protocol.coding import encode
from opsconsole.protocol.connection import Connection
from opsconsole.protocol.frames import Ack, Err, Hello, PointCommand, Welcome
from tests.support.hub import eventually


class Wire:
    """Keeps what is sent; while `open` is not set, nothing passes."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.together: list[int] = []
        """How many texts came at once, each time."""
        self.open = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        await self.open.wait()
        self.sent += [json.loads(text) for text in message["texts"]] if "texts" in message else [message]
        self.together += [len(message["texts"])] if "texts" in message else []


class Once:
    """A source with one frame."""

    def __init__(self, text: str) -> None:
        self.text: str | None = text

    def next_text(self) -> str | None:
        text, self.text = self.text, None
        return text


def opened(wire: Wire, frames_max: int = 100) -> Outgoing:
    connection = Connection("hub_agent", now=0.0)
    connection.receive(encode(Hello(point="sdk")), now=0.0)
    out = Outgoing(connection, wire.send, frames_max)
    out.put(Welcome(epoch="e", conn="c", principal="p", role="agent", beat_seconds=10.0, time=0.0))
    return out


async def drained(out: Outgoing, wire: Wire) -> list[dict[str, Any]]:
    """Everything sent, when the wire takes it and the connection is then closed."""
    wire.open.set()
    out.close(1012, "going down")
    async with asyncio.timeout(30.0):
        await out.run()
    return wire.sent


async def test_acknowledgements_that_wait_become_one_a_run() -> None:
    wire = Wire()
    out = opened(wire)
    for seq in range(1, 50):
        out.put(Ack(run="run_1", seq=seq))
    out.put(Ack(run="run_2", seq=7))
    acks = [frame for frame in await drained(out, wire) if frame.get("t") == "ack"]
    assert acks == [{"t": "ack", "run": "run_1", "seq": 49}, {"t": "ack", "run": "run_2", "seq": 7}]


async def test_a_wanted_gap_is_never_replaced() -> None:
    wire = Wire()
    out = opened(wire)
    out.put(Ack(run="run_1", seq=3, want=4))
    out.put(Ack(run="run_1", seq=5))
    acks = [frame for frame in await drained(out, wire) if frame.get("t") == "ack"]
    assert [frame.get("want") for frame in acks] == [4, None]


async def test_a_command_goes_before_acknowledgements_and_those_before_rows() -> None:
    wire = Wire()
    out = opened(wire)
    out.sources = [Once('{"t":"approvals"}'), Once('{"t":"board"}')]
    out.put(Ack(run="run_1", seq=1))
    out.put(PointCommand(cmd="cmd_1", run="run_1", cseq=1, do="kill"))  # type: ignore[arg-type]
    running = asyncio.ensure_future(out.run())
    wire.open.set()
    await eventually(lambda: len(wire.sent) == 5)
    running.cancel()
    assert [frame["t"] for frame in wire.sent] == ["welcome", "cmd", "ack", "approvals", "board"]


async def test_what_waits_goes_to_the_socket_together_up_to_a_bound() -> None:
    wire = Wire()
    out = opened(wire)
    for number in range(SENT_AT_ONCE_MAX + 10):
        out.put(Ack(run=f"run_{number}", seq=1))
    await drained(out, wire)
    assert wire.together == [SENT_AT_ONCE_MAX, 12]


async def test_what_waited_is_sent_before_the_bye() -> None:
    wire = Wire()
    out = opened(wire)
    out.put(PointCommand(cmd="cmd_1", run="run_1", cseq=1, do="kill"))  # type: ignore[arg-type]
    sent = await drained(out, wire)
    assert [frame.get("t", frame.get("type")) for frame in sent] == ["welcome", "cmd", "bye", "websocket.close"]
    assert (sent[-1]["code"], sent[-2]["reconnect"]) == (1012, True)


async def test_after_a_close_nothing_more_is_taken_and_the_first_reason_stands() -> None:
    wire = Wire()
    out = opened(wire)
    out.close(4503, "a newer one speaks")
    out.put(Err(code="x", message="late"))
    sent = await drained(out, wire)
    assert [frame.get("t", frame.get("type")) for frame in sent] == ["welcome", "bye", "websocket.close"]
    assert sent[-1]["code"] == 4503


async def test_a_peer_that_reads_nothing_is_cut_instead_of_remembered() -> None:
    wire = Wire()
    out = opened(wire, frames_max=10)
    for number in range(50):
        out.put(Err(code="x", message=str(number)))
    assert (out.is_closing, len(out._urgent)) == (True, 1)


async def test_a_frame_that_may_not_be_sent_closes_its_connection_only() -> None:
    wire = Wire()
    out = opened(wire)
    out.put(Hello())
    wire.open.set()
    async with asyncio.timeout(30.0):
        await out.run()
    assert wire.sent[-1]["code"] == 4000


async def test_a_long_reason_fits_into_a_close_frame() -> None:
    wire = Wire()
    out = opened(wire)
    out.close(4500, "é" * 500)
    sent = await drained(out, wire)
    assert len(sent[-1]["reason"].encode()) <= 123
