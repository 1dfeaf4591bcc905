"""Plans a report and delegates it: a researcher and a writer, each a child run of the planner's."""

from __future__ import annotations

from opsconsole.demo.agent_loop import HUB, main, work
from opsconsole.demo.job import Job
from opsconsole.demo.toolbox import toolbox
from opsconsole.demo.tools import http_get_status, http_post, search, think
from opsconsole.sdk import current_run

RESEARCHER = Job(
    agent="researcher",
    model="gpt-4.1-mini",
    instructions="You find facts in a shop's support tickets and name your sources.",
    tools=toolbox(search, http_get_status),
)
WRITER = Job(
    agent="writer",
    model="gpt-4o",
    instructions="You write short reports and publish them on the shop's server.",
    tools=toolbox(think, http_post),
)
NAME_CHARS_MAX = 80
"""A run's name is shown on one line."""

TEAM = {job.agent: job for job in (RESEARCHER, WRITER)}


async def delegate(to: str, task: str) -> str:
    """Hand a task to the researcher or to the writer; gives their last words."""
    job = TEAM[to]
    planner = current_run()
    assert planner is not None

    async def hand_over(task: str) -> str:
        async with HUB.get().run(agent=job.agent, name=task[:NAME_CHARS_MAX]) as run:
            return await work(run, job, task)

    return str(await planner.handoff(to, {"task": task}, hand_over, reason=f"{job.agent} knows how"))


JOB = Job(
    agent="planner",
    model="gpt-4.1",
    instructions="You plan reports. You delegate research to the researcher and writing to the writer.",
    tools=toolbox(delegate),
)

if __name__ == "__main__":
    main(JOB)
