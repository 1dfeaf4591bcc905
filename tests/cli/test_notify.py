"""`opsconsole notify`: what happens at a hub reaches an address, once, however the addresses and the hub behave."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.machine import Machine, until

pytestmark = pytest.mark.process

AGENT = """
import asyncio
from opsconsole.sdk import connect

async def main():
    async with connect() as hub, hub.run(agent="writer") as run:
        await run.tool("drop_table", {"name": "users", "password": "hunter2hunter2"}, lambda **args: "done")

asyncio.run(main())
"""


class Inbox:
    """A real HTTP endpoint on loopback that keeps what it is sent; it may refuse the first few."""

    def __init__(self, *, refuse: int = 0) -> None:
        self.received: list[dict[str, Any]] = []
        self.refusals_left = refuse
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if inbox.refusals_left:
                    inbox.refusals_left -= 1
                    self.send_response(500)
                else:
                    inbox.received.append(json.loads(body))
                    self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    made.start_hub()
    yield made
    made.close()


def test_a_held_call_reaches_the_address_with_its_secrets_masked(machine: Machine, inbox: Inbox) -> None:
    machine.begin("notify", "run", environment={"OPSCONSOLE_NOTIFY_URLS": inbox.address})
    until(lambda: (machine.data_dir / "notify.json").exists() or None, "a first look")
    (machine.data_dir / "agent.py").write_text(AGENT)
    machine.begin("run", "--", sys.executable, str(machine.data_dir / "agent.py"))
    (told,) = until(lambda: inbox.received or None, "a message")
    assert told["title"] == "opsconsole: A call waits for a decision"
    assert "held drop_table" in told["message"]
    assert "hunter2" not in json.dumps(told)


def test_the_test_message_is_sent_to_every_address(machine: Machine, inbox: Inbox) -> None:
    sent = machine.cli("notify", "test", OPSCONSOLE_NOTIFY_URLS=f"{inbox.address} {inbox.address}x")
    assert (sent.returncode, sent.stdout, len(inbox.received)) == (0, "sent\n", 2)


def test_an_address_that_refuses_is_told_by_the_status(machine: Machine) -> None:
    refusing = Inbox(refuse=1)
    sent = machine.cli("notify", "test", OPSCONSOLE_NOTIFY_URLS=refusing.address)
    refusing.server.shutdown()
    assert (sent.returncode, sent.stderr.splitlines()[-1]) == (1, "not every address took it")


def test_an_address_that_is_none_is_named_by_its_number_and_never_shown(machine: Machine) -> None:
    sent = machine.cli("notify", "test", OPSCONSOLE_NOTIFY_URLS="nosuch://token-s3cret@x")
    assert (sent.returncode, "address 1 of 1" in sent.stderr, "s3cret" in sent.stderr) == (2, True, False)


def test_without_addresses_it_says_which_setting_is_missing(machine: Machine) -> None:
    sent = machine.cli("notify", "run")
    assert (sent.returncode, "notify.urls is empty" in sent.stderr) == (2, True)
