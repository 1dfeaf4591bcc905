"""What the demo's processes are given: places, commands, an environment that reaches only this demo; it starts none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

AGENTS: Mapping[str, str] = {
    "refunds": "Refund batch {number}",
    "sre": "Alert {number}: checkout is failing",
    "planner": "Report {number} on late parcels",
    "looper": "Stock question {number}",
    "hanger": "Ticket {number}: lost invoice",
    "spender": "Strategy memo {number}",
}
"""agent -> its task, again and again with the next number."""

GATEWAY_SETTING = "OPSCONSOLE_GATEWAY_OPENAI_URL"
"""Where the gateway finds the models: told to the hub alone, which starts it."""

KEPT_SETTINGS = ("OPSCONSOLE_TREE", "OPSCONSOLE_DEMO_PACE")
"""Of our own variables, these pass: what marks a supervised tree, and how fast the demo goes."""

POLICY = Path(__file__).with_name("policy.toml")
"""What runs in the demo by itself, what waits for a person, what never runs; its cases say so too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """`base` holds everything that goes when the demo ends; `data` is the hub's."""

    base: Path
    data: Path

    @property
    def shop(self) -> Path:
        return self.base / "shop"

    @property
    def logs(self) -> Path:
        return self.base / "logs"

    @property
    def config(self) -> Path:
        """An empty file of settings, so that the user's own have no say."""
        return self.base / "opsconsole.toml"

    @property
    def ready(self) -> Path:
        """Written once all is up: a JSON object with `hub`, `gateway`, `model` and `shop` URLs."""
        return self.base / "ready.json"


def environment(outer: Mapping[str, str], places: Places) -> dict[str, str]:
    """What every process of the demo gets: the user's environment without their hub, keys and proxies."""
    kept = {name: value for name, value in outer.items() if not _foreign(name)}
    return kept | {
        "OPSCONSOLE_CONFIG": str(places.config),
        "OPSCONSOLE_DATA_DIR": str(places.data),
        "OPSCONSOLE_DEMO_DIR": str(places.shop),
        "OPENAI_API_KEY": "demo",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def hub_command(places: Places, port: int) -> list[str]:
    """Starts the hub, on any free loopback port for 0, with the demo's own policy."""
    where = ("--host", "127.0.0.1", "--port", str(port), "--data-dir", str(places.data))
    return _opsconsole("hub", *where, "--policy", str(POLICY))


def agent_command(agent: str, task: str) -> list[str]:
    """Starts one agent on a task under its own supervisor, as a user would."""
    program = [sys.executable, "-P", "-m", f"opsconsole.demo.agents.{agent}", task]
    return _opsconsole("run", "--agent", agent, "--name", task, "--", *program)


def _opsconsole(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "opsconsole.cli", *arguments]


def _foreign(name: str) -> bool:
    return (
        (name.startswith("OPSCONSOLE_") and name not in KEPT_SETTINGS)
        or name.startswith("OPENAI_")
        or name.upper().endswith("_PROXY")
    )
