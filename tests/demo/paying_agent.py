"""A real process that works through the demo's loop: its model asks for two calls at once, with new ids at every turn.

python paying_agent.py URL DATA_DIR PLACE [crash]: with `crash` the process kills itself in the second call.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count
from typing import Any, Self

from opsconsole.demo import agent_loop
from opsconsole.demo.agent_loop import main
from opsconsole.demo.job import Job


class Model:
    """Stands in for the demo's client: pays and mails in one turn, then is done."""

    def __init__(self, *, agent: str, base_url: str) -> None:
        self._ids = count()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        results = [one["content"] for one in request["messages"] if one["role"] == "tool"]
        message: dict[str, Any] = {"role": "assistant", "content": " and ".join(results) or None}
        if not results:
            message["tool_calls"] = [_call(f"{os.getpid()}-{next(self._ids)}", name) for name in ("pay", "mail")]
        return {"model": "m", "choices": [{"message": message}]}


def _call(id: str, name: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps({"usd": 900})}}


def pay(usd: int) -> str:
    """Pays."""
    with open("ledger", "a") as ledger:
        ledger.write(f"{usd}\n")
    return "paid"


def mail(usd: int) -> str:
    """Tells the customer."""
    if sys.argv[4:] == ["crash"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return "mailed"


if __name__ == "__main__":
    url, data_dir, place = sys.argv[1:4]
    os.chdir(place)
    os.environ |= {
        "OPENAI_BASE_URL": "none",
        "OPSCONSOLE_HUB": url,
        "OPSCONSOLE_DATA_DIR": data_dir,
        "OPSCONSOLE_TOKEN": "good",
    }
    agent_loop.ModelClient = Model  # type: ignore[assignment, misc]
    main(Job(agent="payer", model="m", instructions="Pay.", tools={"pay": pay, "mail": mail}), "Pay 1")
