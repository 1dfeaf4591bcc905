"""Raises the demo as one supervised tree, opens the console on it, and takes it down with proof; stage.py plays it.

One tree means one proof: whatever the demo's processes start, and however they escape, nothing is left behind. If this
process itself is killed, the tree's reaper kills the tree.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from opsconsole.demo.scratch import make_scratch
from opsconsole.demo.surroundings import Places, environment
from opsconsole.errors import CannotStart
from opsconsole.supervisor.ladder import LadderSettings
from opsconsole.supervisor.process import SupervisedProcess
from opsconsole.supervisor.receipts import Exit, KillReceipt

LADDER = LadderSettings(cooperative_ms=12_000, term_ms=1_000, verify_ms=5_000)
"""The stage gets time to stop agents, hub and servers in this order; then the tree is killed as it is."""

READY_SECONDS = 180.0
"""Beyond the stage's own limits for each part: past it, the stage hangs."""

KILL_WAIT_SECONDS = 10.0
"""How long the hub may take to prove that every run is dead, before the whole tree is killed anyway."""

LOOK_SECONDS = 0.05
HTTP_SECONDS_MAX = 15.0
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end the demo, as Ctrl-C does."""

UNPROVEN = 3
"""Exit status when something may have been left behind."""

T = TypeVar("T")


def run_demo(
    *, data_dir: Path | None, port: int, console: bool, keep: bool, chosen: Mapping[str, Any] | None = None
) -> int:
    """Runs the demo until the console is quit, or without one until Ctrl-C; the exit status.

    `data_dir` (the hub's, kept at the end) defaults to a new temporary one, removed at the end unless `keep`. `port` 0
    is any free one. `chosen` are settings of the console: theme, keys and so on. Gives 0 when everything it started is
    proven dead, 1 when it could not start, 3 without proof.
    Raises: UnsupportedPlatform.
    """
    for number in ENDS:
        signal.signal(number, signal.default_int_handler)
    places = _make_places(data_dir)
    backstage = _Backstage(places, port)
    status = 1
    try:
        urls = backstage.start()
        _show(places, urls, console=console, chosen=chosen or {})
        status = 0
    except CannotStart as error:
        print(f"opsconsole demo: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        status = 130
    finally:
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)  # stopping takes seconds, and must not be stopped
        proven = backstage.stop()
        _leave(places, keep=keep or data_dir is not None, base_too=not keep)
    return status if proven else UNPROVEN


def _show(places: Places, urls: dict[str, str], *, console: bool, chosen: Mapping[str, Any]) -> None:
    """Opens the console until it is quit; without one, says where to connect and waits for Ctrl-C or SIGTERM."""
    if console:
        from opsconsole.console.settings import ConsoleSettings  # textual is heavy, and only this way needs it
        from opsconsole.console.start import run_console

        token = (places.data / "operator.token").read_text().strip()
        own = (("sql", f"sqlite:{places.shop / 'shop.db'}"),)
        looks = {**chosen, "previews": (*own, *chosen.get("previews", ()))}
        run_console(ConsoleSettings(url=urls["hub"], token=token, log_path=places.logs / "console.log", **looks))
        return
    print(
        f"The demo runs. Connect from another terminal:\n\n  opsconsole --hub {urls['hub']} --data-dir {places.data}\n"
    )
    print(f"The agents work in {places.shop}. Ctrl-C stops everything.", flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


class _Backstage:
    """The supervised tree, on an event loop in a thread of its own: the console has the main thread."""

    def __init__(self, places: Places, port: int) -> None:
        self._places = places
        self._port = port
        self._process: SupervisedProcess | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo", daemon=True)

    def start(self) -> dict[str, str]:
        """Starts the stage and waits until all is up; gives the URLs. Raises: CannotStart, UnsupportedPlatform."""
        self._thread.start()
        return self._await(self._start())

    def stop(self) -> bool:
        """Kills the tree, says what was stopped, and whether that is proven."""
        receipt = self._await(self._stop()) if self._process else None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        return receipt is None or receipt.proof == "process"

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    async def _start(self) -> dict[str, str]:
        places = self._places
        command = [
            sys.executable,
            "-P",
            "-m",
            "opsconsole.demo.stage",
            str(places.base),
            str(places.data),
            str(self._port),
        ]
        with _streams(places.logs / "stage.log") as (nothing, log):
            self._process = await SupervisedProcess.start(
                command,
                env=environment(os.environ, places),
                cwd=places.base,
                settings=LADDER,
                receipt_path=places.data / "demo-receipt.json",
                stdio=(nothing, log, log),
            )
            ended = asyncio.ensure_future(self._process.wait())
            try:
                return await _urls(places.ready, ended)
            finally:
                ended.cancel()

    async def _stop(self) -> KillReceipt:
        assert self._process is not None
        for line in await _kill_runs(self._places):
            print(line)
        receipt = await self._process.kill(now=False, cooperative=self._ask_to_end)
        await self._process.close()
        for step in receipt.steps:
            print(f"  {step.name:<12} {step.ms:9.1f} ms  {step.outcome}")
        left = ", ".join(f"{info.name} ({info.pid})" for info in receipt.survivors)
        found = f"LEFT: {left}" if left else "nothing is left"
        print(f"stopped the demo's processes: {found} (proof: {receipt.proof})")
        return receipt

    async def _ask_to_end(self) -> bool:
        return self._process is not None and await self._process.signal(signal.SIGTERM)


async def _urls(ready: Path, ended: asyncio.Future[Exit]) -> dict[str, str]:
    until = time.monotonic() + READY_SECONDS
    while not (urls := _read_urls(ready)):
        if ended.done():
            said = ended.result().last_output
            raise CannotStart(said[-1] if said else "the demo's stage ended at once")
        if time.monotonic() > until:
            raise CannotStart(f"the demo is not up after {READY_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
    return urls


def _read_urls(ready: Path) -> dict[str, str]:
    """The URLs once the stage has written them, else nothing."""
    try:
        urls: dict[str, str] = json.loads(ready.read_text())
    except FileNotFoundError:
        return {}
    return urls


async def _kill_runs(places: Places) -> list[str]:
    """Kills every live run through the hub, as an operator would, so that the audit holds it; a line for each."""
    hub = _read_urls(places.ready).get("hub")
    if hub is None:
        return []
    try:
        token = (places.data / "operator.token").read_text().strip()
        async with httpx.AsyncClient(
            base_url=hub, headers={"Authorization": f"Bearer {token}"}, timeout=HTTP_SECONDS_MAX, trust_env=False
        ) as http:
            names = {row["run"]: row["agent"] for row in (await http.get("/v1/runs?live=1")).json()["rows"]}
            if not names:
                return []
            kill = {
                "cmd": f"cmd_demo{time.time_ns()}",
                "do": "kill",
                "all": True,
                "mode": "now",
                "note": "the demo ends",
            }
            said = (await http.post("/v1/commands", json=kill)).json()
            if not said.get("ok"):
                return [f"the hub did not take the kill: {said.get('message', '')}"]
            report = (await http.get(f"/v1/commands/{kill['cmd']}", params={"wait": KILL_WAIT_SECONDS})).json()
    except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError) as error:
        return [f"the hub could not be asked to kill the runs ({type(error).__name__}); the processes are killed now"]
    return [f"  killed {names.get(run['run'], run['run']):<12} (proof: {run['proof']})" for run in report["runs"]]


@contextmanager
def _streams(log: Path) -> Iterator[tuple[int, int]]:
    """Handles of an empty input and of a log."""
    with open(os.devnull, "rb") as nothing, log.open("ab") as sink:
        yield nothing.fileno(), sink.fileno()


def _make_places(data_dir: Path | None) -> Places:
    base = Path(tempfile.mkdtemp(prefix="opsconsole-demo-")).resolve()
    places = Places(base=base, data=(data_dir or base / "data").absolute())
    for directory in (places.data, places.shop, places.logs):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.config.touch()
    make_scratch(places.shop)
    return places


def _leave(places: Places, *, keep: bool, base_too: bool) -> None:
    """Removes what nobody asked to keep, and says where the rest lies."""
    if base_too:
        shutil.rmtree(places.base, ignore_errors=True)
    if keep:
        print(f"the audit lies in {places.data}: opsconsole --data-dir {places.data} audit verify")
