"""Pays refunds: reads the shop's tables freely, asks an operator for every write."""

from __future__ import annotations

from opsconsole.demo.agent_loop import main
from opsconsole.demo.job import Job
from opsconsole.demo.toolbox import toolbox
from opsconsole.demo.tools import read_table, sql

JOB = Job(
    agent="refunds",
    model="gpt-4.1-mini",
    instructions="You handle refunds of a small shop. Check the order before you pay, and book every payment.",
    tools=toolbox(read_table, sql),
)

if __name__ == "__main__":
    main(JOB)
