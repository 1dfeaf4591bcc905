"""`opsconsole run` without its command line: one command from start to reported end; its exit status passes through."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from opsconsole.domain.run import RunState
from opsconsole.errors import CannotStart
from opsconsole.sdk.order import Order
from opsconsole.supervisor.command import Commands, sdk_journal
from opsconsole.supervisor.foreground import foreground, status_of
from opsconsole.supervisor.kernel import keep_memory_private
from opsconsole.supervisor.ladder import LadderSettings
from opsconsole.supervisor.leftovers import deliver_agent, deliver_supervisors, receipt_path
from opsconsole.supervisor.process import SupervisedProcess
from opsconsole.supervisor.receipts import Exit
from opsconsole.supervisor.report import Description, Report, exit_json

JOURNAL_FOLDER = "journal"
LEFTOVER_SECONDS = 10.0
"""How long the stories of earlier runs may take; the command does not wait for them."""
AGENT_SECONDS = 2.0
"""How long the end of a run waits for the rest of what its agent journalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """What to run and for whom. `url` is the hub's agent endpoint; `token` is asked for at every attempt to connect."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path | None
    description: Description
    key: str
    """What the run's id commits to; this process alone has it."""
    url: str
    token: Callable[[], str | None]
    data_dir: Path
    ladder: LadderSettings


async def supervise(wanted: Supervision, *, on_trouble: Callable[[str], None]) -> int:
    """Runs the command to its end and gives its exit status, as a shell would.

    Raises: CannotStart; UnsupportedPlatform; RunInUse, JournalDamaged, OSError when no journal can be kept.
    """
    keep_memory_private()  # the key is in it, and the command runs as the same user
    folder = wanted.data_dir / JOURNAL_FOLDER
    run = wanted.description.run
    commands = Commands(lambda: report, agent_listens=sdk_journal(folder, run))
    report = Report(
        run,
        key=wanted.key,
        folder=folder,
        url=wanted.url,
        token=wanted.token,
        on_order=commands.take,
        on_trouble=on_trouble,
    )
    try:
        report.begin(wanted.description)
        _deliver_earlier(wanted, folder)
        return await _run(wanted, folder, report, commands)
    finally:
        await asyncio.to_thread(report.close)


def _deliver_earlier(wanted: Supervision, folder: Path) -> None:
    """A thread that nothing waits for: it ends with this process, and what it has not delivered stays."""
    deliver = partial(deliver_supervisors, folder, url=wanted.url, token=wanted.token, seconds=LEFTOVER_SECONDS)
    threading.Thread(target=deliver, name="opsconsole-leftovers", daemon=True).start()


async def _run(wanted: Supervision, folder: Path, report: Report, commands: Commands) -> int:
    began = time.monotonic()
    starting = SupervisedProcess.start(
        wanted.argv,
        env=wanted.environment,
        cwd=wanted.cwd,
        settings=wanted.ladder,
        receipt_path=receipt_path(folder, wanted.description.run),
        key=wanted.key,
    )
    try:
        async with foreground(starting) as process:
            commands.started(process)
            ended = await process.wait()
            await commands.settled()
            if report.is_connected:
                await asyncio.to_thread(_deliver_agent, wanted, folder)
            state, reason = judged(ended, commands.killed_by)
            report.end(state, reason=reason, exit=exit_json(ended, time.monotonic() - began))
    except CannotStart as error:
        commands.refuse_waiting(str(error))
        report.end(RunState.FAILED, reason="cannot start", error=str(error), exit={"code": status_of(error)})
        raise
    return ended.status


def _deliver_agent(wanted: Supervision, folder: Path) -> None:
    deliver_agent(folder, wanted.description.run, url=wanted.url, token=wanted.token, seconds=AGENT_SECONDS)


def judged(ended: Exit, killed_by: Order | None) -> tuple[RunState, str]:
    """The run's last state and why: killed where the hub ordered it, else by how the command ended."""
    left = f"; {ended.survivors} outlived it" + (" and were killed" if ended.empty else "") if ended.survivors else ""
    if killed_by is not None:
        why = f"killed by {killed_by.by}" + (f": {killed_by.text}" if killed_by.text else "")
        return RunState.KILLED, why + left
    if ended.code == 0:
        return RunState.COMPLETED, f"exit status 0{left}"
    return RunState.FAILED, (f"ended by {ended.signal}" if ended.signal else f"exit status {ended.status}") + left


def child_environment(
    environment: Mapping[str, str], *, hub: str, token: str | None, run: str, data_dir: Path
) -> dict[str, str]:
    """The command's environment: where the hub is, as whom, and which run it is."""
    ours = {"OPSCONSOLE_HUB": hub, "OPSCONSOLE_RUN": run, "OPSCONSOLE_DATA_DIR": str(data_dir)}
    if token is not None:
        ours["OPSCONSOLE_TOKEN"] = token
    return {**environment, **ours}


def own_run(environment: Mapping[str, str] = os.environ) -> str | None:
    """The run that this process itself belongs to, where it is supervised."""
    return environment.get("OPSCONSOLE_RUN") or None
