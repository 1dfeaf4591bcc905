"""Repeats the same failing call for ever: what an operator should notice and kill."""

from __future__ import annotations

from opsconsole.demo.job import Job
from opsconsole.demo.plain_loop import main
from opsconsole.demo.toolbox import toolbox
from opsconsole.demo.tools import http_get_status

JOB = Job(
    agent="looper",
    model="gpt-4o-mini",
    instructions="You answer questions about stock. Never give up.",
    tools=toolbox(http_get_status),
)

if __name__ == "__main__":
    main(JOB)
