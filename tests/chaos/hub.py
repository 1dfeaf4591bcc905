"""A hub as a real process on one port that is killed and started again, with short beats so that loss shows soon."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import httpx

from tests.support.hub import eventually

START_SECONDS = 60.0

SERVE = """
import sys
from pathlib import Path
from opsconsole.hub.serve import serve
from opsconsole.hub.settings import HubSettings, ShellLimits
directory, port, beat = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
limits = ShellLimits(beat_seconds=beat, records_seconds=2.0)
sys.exit(serve(HubSettings(data_dir=directory, port=port, limits=limits, turns=None, tokens=None, cost_usd=None)))
"""
BEAT_SECONDS = 0.6


class HubProcess:
    """One data directory and whoever serves it now, on a port that is held for it."""

    def __init__(self, data_dir: Path, port: int, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self.data_dir = data_dir
        self.port = port
        self._beat_seconds = beat_seconds
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self._process: Popen[bytes] | None = None

    def token(self, role: str = "operator") -> str:
        """The bootstrap token of a role."""
        return (self.data_dir / f"{role}.token").read_text().strip()

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", SERVE, str(self.data_dir), str(self.port), str(self._beat_seconds)]
        with (self.data_dir / "hub.out").open("ab") as out:
            self._process = Popen(command, stdin=DEVNULL, stdout=out, stderr=out)  # noqa: ASYNC220  it is waited for
        self.starts += 1
        async with httpx.AsyncClient() as client, asyncio.timeout(START_SECONDS):
            while not await self._is_ready(client):
                if self._process.poll() is not None:
                    raise RuntimeError(f"the hub ended with {self._process.returncode}: {self.output()[-2_000:]}")
                await asyncio.sleep(0.02)

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.url}/readyz", timeout=1.0)).status_code == 200
        except httpx.HTTPError:
            return False

    def output(self) -> str:
        """What it and its predecessors printed."""
        return (self.data_dir / "hub.out").read_text()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        assert self._process is not None
        process = self._process
        process.terminate()
        await eventually(lambda: process.poll() is not None, START_SECONDS)

    async def get(self, path: str, **params: Any) -> Any:
        """JSON of an operator's request."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=START_SECONDS) as client:
            response = await client.get(path, params=params)
        response.raise_for_status()
        return json.loads(response.content)
