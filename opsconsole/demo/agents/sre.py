"""Keeps the shop's checkout running: looks at logs freely, asks an operator before every shell command."""

from __future__ import annotations

from opsconsole.demo.job import Job
from opsconsole.demo.plain_loop import main
from opsconsole.demo.toolbox import toolbox
from opsconsole.demo.tools import grep, list_files, shell

JOB = Job(
    agent="sre",
    model="gpt-4.1",
    instructions="You are on call for a small shop. Find out what is wrong, mend it, and disturb as little as you can.",
    tools=toolbox(list_files, grep, shell),
)

if __name__ == "__main__":
    main(JOB)
