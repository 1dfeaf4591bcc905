"""Real processes: a hub with its gateway, an agent under `run`, and what one's death does to the other."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.machine import PROGRAM, Machine, until
from tests.support.model_script import Call, Turn, mark
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

    def start(self) -> None:
        """A hub with its gateway, in front of the scripted provider."""
        import subprocess

        environment = self.environment | {"OPSCONSOLE_GATEWAY_OPENAI_URL": f"{self.upstream.url}/v1"}
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
    out, err = process.communicate(timeout=20)
    assert (json.loads(out), process.returncode) == ({"cmd": "pwd"}, 0), err
    ended = until(lambda: (found := site.row("asker")) and found["exit_code"] == 0 and found, "the end")
    assert (ended["turns"], sorted(point["name"] for point in ended["points"])) == (1, ["gateway", "supervisor"])


def test_a_gateway_that_dies_is_started_again(site: Site) -> None:
    first = site.gateway_pid()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: site.gateway_pid(other_than=first), "another gateway")
    process = site.agent("hello")
    assert process.communicate(timeout=20)[0].startswith("Hello from the scripted model")


def test_a_gateway_ends_with_its_hub(site: Site) -> None:
    pid = site.gateway_pid()
    assert pid is not None
    assert site.hub is not None
    site.hub.terminate()
    assert site.hub.wait(20) == 0
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
    assert process.communicate(timeout=20)[0].strip() == given["ANTHROPIC_BASE_URL"]
    row = until(lambda: site.row("elsewhere"), "the run")
    assert row["labels"] == {"gateway": "bypassed: anthropic"}
