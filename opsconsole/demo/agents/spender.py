"""Writes at length with an expensive model until its cap pauses it."""

from __future__ import annotations

from opsconsole.demo.job import Job
from opsconsole.demo.plain_loop import main
from opsconsole.demo.toolbox import toolbox
from opsconsole.demo.tools import think

JOB = Job(
    agent="spender",
    model="o1",
    instructions="You write strategy memos. Be thorough.",
    tools=toolbox(think),
)

if __name__ == "__main__":
    main(JOB)
