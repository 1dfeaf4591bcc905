"""Repeats the same failing call for ever: what an operator should notice and kill."""

from __future__ import annotations

from opsconsole.demo.agent_loop import Job, main
from opsconsole.demo.toolbox import toolbox
from opsconsole.demo.tools import http_get_status

JOB = Job(
    agent="looper",
    model="gpt-4o-mini",
    instructions="You answer questions about stock. Never give up.",
    task="Stock question {number}",
    tools=toolbox(http_get_status),
)

if __name__ == "__main__":
    main(JOB)
