"""The hub as a process: starts it, tells how to reach it, stops it on a signal; it knows no routes and no frames."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import sys
from pathlib import Path

from opsconsole.errors import ConfigError
from opsconsole.hub.accounts import BOOTSTRAP
from opsconsole.hub.service import INFO_NAME, Service
from opsconsole.hub.settings import HubSettings
from opsconsole.sdk.event_loop import loop_factory
from opsconsole_storage import CannotOpen, Locked, NewerSchema, ReadOnly, Tampered

SWITCH_SECONDS = 0.001
"""How long a storage thread may keep the interpreter from the loop; Python's 5 ms are most of a decision's way."""

EXIT_OK = 0
EXIT_CONFIG = 2
EXIT_LOCKED = 4
EXIT_STORAGE = 5

ADVICE: dict[type[CannotOpen], str] = {
    NewerSchema: "Start the version of opsconsole that wrote it, or restore a backup into another --data-dir.",
    ReadOnly: "Give the hub's user the right to write there, free space, or name another --data-dir.",
    Tampered: (
        "The audit is not what its signed checkpoints say. Keep the directory as it is, run "
        "`opsconsole audit verify` on it, and start with a backup or a new --data-dir."
    ),
}
"""What to do when storage refuses; the first that fits."""

COLLECT_AFTER = (50_000, 20, 100)
"""Objects made and not freed, and younger collections, between two looks for cycles."""

log = logging.getLogger(__name__)


def serve(settings: HubSettings) -> int:
    """Run a hub until SIGTERM or SIGINT.

    Gives the exit code: 0 ended in order, 2 wrong settings, 4 another hub holds the directory, 5 storage refuses.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(settings))
    except ConfigError as error:
        return _refuse(EXIT_CONFIG, str(error))
    except Locked as error:
        return _refuse(EXIT_LOCKED, _who_holds(settings.data_dir, error))
    except CannotOpen as error:
        advice = next((text for kind, text in ADVICE.items() if isinstance(error, kind)), "")
        return _refuse(EXIT_STORAGE, f"{error}. {advice}".strip())
    except OSError as error:
        return _refuse(EXIT_STORAGE, f"{settings.data_dir}: {error}. {ADVICE[ReadOnly]}")
    return EXIT_OK


async def _serve(settings: HubSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = Service(settings)
    await service.start()
    _collect_seldom()
    print(_greeting(service), flush=True)
    try:
        await stop.wait()
    finally:
        await service.stop()


def _collect_seldom() -> None:
    """Frames make no cycles: looking for them as often as Python does costs a tenth of the throughput, and pauses."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _greeting(service: Service) -> str:
    directory = service.settings.data_dir
    lines = [f"opsconsole hub at {service.url}, data in {directory}"]
    if service.parts.made:
        names = {name for name, _ in service.parts.made}
        lines += ["Tokens were written, readable only by you:"]
        lines += [f"  {directory / name}  ({role})" for name, role in BOOTSTRAP.items() if name in names]
        lines += [
            "On this machine `opsconsole` finds them by itself. Elsewhere:",
            f"  OPSCONSOLE_HUB={service.url} OPSCONSOLE_TOKEN=<the operator token> opsconsole",
            "Agents connect with OPSCONSOLE_HUB and the agent token, or under `opsconsole run -- <command>`.",
        ]
    return "\n".join(lines)


def _who_holds(directory: Path, error: Locked) -> str:
    try:
        info = json.loads((directory / INFO_NAME).read_text())
        return f"a hub is already running there: {info['url']}, process {info['pid']} ({error})"
    except (OSError, ValueError, KeyError, TypeError):
        return f"another hub holds the directory ({error})"


def _refuse(code: int, message: str) -> int:
    print(f"opsconsole hub: {message}", file=sys.stderr, flush=True)
    return code
