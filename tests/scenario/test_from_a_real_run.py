"""From an incident to a test: a real hub and agent, the run recorded, replayed, judged again, and the agent driven."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.scenario.reading import read
from opsconsole.scenario.replay import replay
from tests.cli.machine import Machine, until
from tests.scenario.incidents import SQL

pytestmark = [pytest.mark.process]

AGENT = """
import asyncio, json
from opsconsole.sdk import CallDenied, connect

QUERIES = ["SELECT 1", "DELETE FROM orders", "DROP TABLE orders"]

async def model(request):
    turn = sum(one["role"] == "assistant" for one in request["messages"])
    message = {"role": "assistant", "content": f"turn {turn + 1}"}
    if turn < len(QUERIES):
        function = {"name": "run_sql", "arguments": json.dumps({"query": QUERIES[turn]})}
        message["tool_calls"] = [{"id": f"call_{turn}", "type": "function", "function": function}]
    usage = {"prompt_tokens": 1000, "completion_tokens": 9}
    return {"model": "gpt-4o", "choices": [{"message": message}], "usage": usage}

async def run_sql(query):
    return f"{query}: 1 row"

async def main():
    messages = [{"role": "user", "content": "Clean up the orders"}]
    async with connect() as hub, hub.run(agent="cleaner", name="Clean up") as run:
        while True:
            reply = (await run.model_call({"model": "gpt-4o", "messages": messages}, model))["choices"][0]["message"]
            messages.append(reply)
            for call in reply.get("tool_calls", ()):
                args = json.loads(call["function"]["arguments"])
                try:
                    result = await run.tool("run_sql", args, run_sql, id=call["id"])
                except CallDenied as denied:
                    result = f"denied: {denied.reason}"
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            if not reply.get("tool_calls"):
                return

asyncio.run(main())
"""
COMMANDS = """
import sys
from opsconsole.cli import program
program.COMMANDS["record"] = ("record:record", "")
program.COMMANDS["test"] = ("scenario_test:test", "")
program.COMMANDS["policy"] = ("backtest:policy", "")
program.main()
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    found.start_hub()
    yield found
    found.close()


def ops(machine: Machine, *args: str) -> str:
    command = [sys.executable, "-c", COMMANDS, *args]
    done = subprocess.run(command, env=machine.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def worked(machine: Machine) -> str:
    """The agent worked to its end: two queries were approved, the last was rejected."""
    script = machine.data_dir / "cleaner.py"
    script.write_text(AGENT)
    process = machine.begin("run", "--", sys.executable, str(script))
    for answer in ("approve", "approve", "reject"):
        held: Any = until(lambda: machine.get("approvals")["rows"], "a held call")
        machine.cli(answer, held[0]["approval"], *(["--reason", "no"] if answer == "reject" else []))
    assert process.wait(60) == 0
    row = until(lambda: machine.row("cleaner"), "the run")
    until(lambda: (machine.row("cleaner") or {}).get("ended_at"), "its end")
    return str(row["run"])


def test_an_incident_becomes_a_case_and_the_policy_is_held_to_it(machine: Machine) -> None:
    run = worked(machine)
    scenario = read(ops(machine, "record", run))
    assert (scenario.name, scenario.task, scenario.state) == ("Clean up", "Clean up the orders", "completed")
    assert [turn.text for turn in scenario.turns] == ["turn 1", "turn 2", "turn 3", "turn 4"]
    assert [[call.id for call in turn.calls] for turn in scenario.turns] == [["call_0"], ["call_1"], ["call_2"], []]
    assert [(call.decision, call.answer, str(call.status)) for call in scenario.calls] == [
        ("ask", "approve", "completed"),
        ("ask", "approve", "completed"),
        ("ask", "reject", "denied"),
    ]
    assert scenario.calls[0].result == "SELECT 1: 1 row"
    assert all(turn.cost_usd for turn in scenario.turns)
    assert [judged.decision for judged in replay(scenario, SQL).calls] == ["allow", "deny", "deny"]
    candidate = machine.data_dir / "candidate.toml"
    candidate.write_text(SQL.text)
    report = json.loads(ops(machine, "policy", "backtest", "--since", "1h", "--json", str(candidate)))
    assert report["verdicts"] == [
        {"then": "ask", "now": "allow", "calls": 1},
        {"then": "ask", "now": "deny", "calls": 2},
    ]
    assert (report["runs"], report["finished_runs"], report["finished_runs_with_a_call_refused"]) == (1, 1, 1)
