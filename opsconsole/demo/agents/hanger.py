"""Hangs in a tool call whose processes ignore SIGTERM and escape its session: what the kill ladder is for."""

from __future__ import annotations

from opsconsole.demo.agent_loop import main
from opsconsole.demo.job import Job
from opsconsole.demo.toolbox import toolbox
from opsconsole.demo.tools import read_file, search_files

JOB = Job(
    agent="hanger",
    model="gpt-4.1-mini",
    instructions="You find lost invoices for customers.",
    tools=toolbox(read_file, search_files),
)

if __name__ == "__main__":
    main(JOB)
