"""`connect()` for agents written with asyncio: the hub as an agent sees it; the link runs in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.run import Run
from opsconsole.sdk.run_host import RunHost
from opsconsole.sdk.settings import read_settings


class Hub:
    """The hub. Enter it with `async with`; it connects in the background and stays out of the agent's way."""

    def __init__(self, host: RunHost) -> None:
        self.host = host

    @property
    def connected(self) -> bool:
        """Whether the hub is in reach now."""
        return self.host.link.view.up

    async def wait_connected(self, timeout_seconds: float) -> bool:
        """Waits until the hub is in reach; False if it was not within the time, or refuses this agent."""
        return await asyncio.to_thread(self.host.link.wait_up, timeout_seconds)

    def run(
        self,
        agent: str,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        parent: str | None = None,
        key: str | None = None,
        on_hub_lost: OnHubLost | None = None,
    ) -> Run:
        """A run, to be entered with `async with`.

        Its id is new; or the supervisor's (OPSCONSOLE_RUN), for the first run of the process; or, with `key`, that of
        the run of this agent and key that a process of this machine began and did not end. Within another run, it is a
        child.
        """
        opening = {"agent": agent, "name": name, "labels": labels, "parent": parent, "key": key}
        return Run(self.host, opening | {"policy": on_hub_lost or OnHubLost()})

    async def __aenter__(self) -> Hub:
        await asyncio.to_thread(self.host.start)
        self._pulse = asyncio.create_task(self.host.pulse.beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pulse.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pulse
        await asyncio.to_thread(self.host.stop)


def connect(
    hub: str | None = None,
    *,
    token: str | None = None,
    data_dir: str | Path | None = None,
    client: str = "",
) -> Hub:
    """The hub at `hub` (else OPSCONSOLE_HUB, else this machine's), with `token` (else OPSCONSOLE_TOKEN, else the agent
    token in the data directory), journals under `data_dir` (else OPSCONSOLE_DATA_DIR, else the user's).

    Raises: ConfigError when the hub's address is none.
    """
    return Hub(RunHost(read_settings(hub=hub, token=token, data_dir=data_dir), client=client))
