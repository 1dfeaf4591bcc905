"""Real processes: a hub with its gateway, an agent under `run`, and what one's death does to the other."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.cli.machine import PATIENCE_SECONDS, PROGRAM, Machine, until
from tests.support.model_script import Call, Delivery, Turn, Usage, mark
from tests.support.model_upstream import RunningUpstream, running_upstream

pytestmark = pytest.mark.process

AGENT = """
import sys, openai
tool = {"type": "function", "function": {"name": "shell", "parameters": {"type": "object", "properties": {}}}}
request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": sys.argv[1]}], "tools": [tool]}
message = openai.OpenAI(max_retries=0).chat.completions.create(**request).choices[0].message
print(message.content or message.tool_calls[0].function.arguments)
"""


class Site(Machine):
    """A machine whose hub has its gateway."""

    upstream: RunningUpstream

    def start(self, **settings: str) -> None:
        """A hub with its gateway, in front of the scripted provider."""
        import subprocess

        environment = self.environment | {"OPSCONSOLE_GATEWAY_OPENAI_URL": f"{self.upstream.url}/v1"} | settings
        self.hub = subprocess.Popen(
            [*PROGRAM, "hub", "--port", "0", "--data-dir", str(self.data_dir)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.data_dir / "hub.err").open("ab"),
        )
        pid = self.hub.pid
        self.port = until(lambda: self._port_of(pid), "a hub")
        until(lambda: self.gateway_pid(), "a gateway")

    def gateway_pid(self, other_than: int = 0) -> int | None:
        """The process of the gateway, once it listens."""
        try:
            pid = int(json.loads((self.data_dir / "gateway.json").read_text())["pid"])
        except (OSError, ValueError):
            return None
        return pid if pid != other_than else None

    def agent(self, words: str) -> Any:
        """An agent under `run`, that asks its model once."""
        given = {"OPENAI_API_KEY": "sk-agent"}
        return self.begin("run", "--agent", "asker", "--", sys.executable, "-c", AGENT, words, environment=given)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_upstream() as upstream:
        site = Site(tmp_path)
        site.upstream = upstream
        try:
            site.start()
            yield site
        finally:
            site.close()


def test_an_agent_under_run_is_held_without_a_line_of_its_code(site: Site) -> None:
    site.upstream.script("call", Turn(calls=[Call(name="shell", args={"cmd": "ls"})]))
    process = site.agent(mark("call"))
    [row] = until(lambda: site.get("approvals")["rows"], "an approval")
    assert (row["tool"], row["agent"], row["args"]) == ("shell", "asker", {"cmd": "ls"})
    decided = site.cli("edit", row["approval"], "--args", '{"cmd": "pwd"}')
    assert decided.returncode == 0, decided.stderr
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (json.loads(out), process.returncode) == ({"cmd": "pwd"}, 0), err
    ended = until(lambda: (found := site.row("asker")) and found["exit_code"] == 0 and found, "the end")
    assert (ended["turns"], sorted(point["name"] for point in ended["points"])) == (1, ["gateway", "supervisor"])


def test_a_gateway_that_dies_is_started_again(site: Site) -> None:
    first = site.gateway_pid()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: site.gateway_pid(other_than=first), "another gateway")
    process = site.agent("hello")
    assert process.communicate(timeout=PATIENCE_SECONDS)[0].startswith("Hello from the scripted model")


def test_a_gateway_ends_with_its_hub(site: Site) -> None:
    pid = site.gateway_pid()
    assert pid is not None
    assert site.hub is not None
    site.hub.terminate()
    assert site.hub.wait(PATIENCE_SECONDS) == 0
    assert not psutil.pid_exists(pid)


def test_a_gateway_whose_hub_is_killed_does_not_stay(site: Site) -> None:
    pid = site.gateway_pid()
    assert pid is not None
    site.kill_hub()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "the gateway's end")


def test_a_base_url_that_the_user_set_is_left_alone_and_said_so(site: Site) -> None:
    """Here it is the gateway's upstream that nobody configured: Anthropic's."""
    script = "import os; print(os.environ['ANTHROPIC_BASE_URL'])"
    given = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9/mine"}
    process = site.begin("run", "--agent", "elsewhere", "--", sys.executable, "-c", script, environment=given)
    assert process.communicate(timeout=PATIENCE_SECONDS)[0].strip() == given["ANTHROPIC_BASE_URL"]
    row = until(lambda: site.row("elsewhere"), "the run")
    assert row["labels"] == {"gateway": "bypassed: anthropic"}


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": mark("used")}], "max_tokens": 1_000}


def killed_gateway(site: Site) -> int:
    pid = site.gateway_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def chat_url(site: Site) -> str:
    url = json.loads((site.data_dir / "gateway.json").read_text())["url"]
    return f"{url}/r/run_killed/tester/openai/v1/chat/completions"


def row_of(site: Site, output_tokens: int) -> dict[str, Any]:
    def found() -> Any:
        rows = [row for row in site.get("runs")["rows"] if row["run"] == "run_killed"]
        return rows[0] if rows and rows[0]["output_tokens"] >= output_tokens else None

    return dict(until(found, "the turn on the row"))


def test_what_a_client_was_told_before_its_gateway_was_killed_is_counted_once(site: Site) -> None:
    """Thrice, because the gateway tells by itself a tenth of a second later."""
    site.upstream.script("used", Turn(text="Yes.", usage=Usage(input_tokens=100, output_tokens=7)), repeats=True)
    for turns in (1, 2, 3):
        with httpx.Client(timeout=PATIENCE_SECONDS) as client:
            assert client.post(chat_url(site), json=CHAT, headers={"authorization": "Bearer k"}).status_code == 200
            pid = killed_gateway(site)
        until(lambda pid=pid: site.gateway_pid(other_than=pid), "another gateway")
        row = row_of(site, 7 * turns)
        assert (row["turns"], row["input_tokens"], row["output_tokens"]) == (turns, 100 * turns, 7 * turns)


def test_a_turn_whose_gateway_was_killed_amid_it_counts_at_the_most_that_it_reserved(site: Site) -> None:
    silent = Delivery(stall_after=2)
    site.upstream.script("used", Turn(text="word " * 50, delivery=silent))
    with httpx.Client(timeout=PATIENCE_SECONDS) as client:
        request = client.build_request(
            "POST", chat_url(site), json=CHAT | {"stream": True}, headers={"authorization": "Bearer k"}
        )
        answer = client.send(request, stream=True)
        words = answer.iter_bytes()  # kept: a stream that nobody holds is closed, and then its client has left
        next(words)
        pid = killed_gateway(site)
    until(lambda: site.gateway_pid(other_than=pid), "another gateway")
    row = row_of(site, 1_000)
    assert (row["turns"], row["output_tokens"], row["cost_usd"] >= 1_000 * 0.6e-6) == (1, 1_000, True)
