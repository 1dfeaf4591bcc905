"""Run by a test: writers that are killed in the middle, one after another, each in a process of its own.

Usage: kill_rounds.py DIRECTORY ROUNDS. Prints one JSON object: what was acknowledged and what of it was found.
"""

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

from opsconsole_storage.audit_file import entry_from
from opsconsole_storage.audit_reader import open_snapshot
from opsconsole_storage.contract import Batch
from opsconsole_storage.event_files import EventFiles
from opsconsole_storage.sqlite_store import SqliteStore, open_audit
from opsconsole_storage.verify import verify

NOON = 1_800_000_000.0
Acknowledged = tuple[str, int, str]


def clock() -> float:
    return NOON


async def write_for_ever(directory: Path, pipe: int, round_number: int) -> None:
    """Append and publish from many tasks, and tell every acknowledgement through the pipe."""
    store = await SqliteStore.open(directory, clock=clock)

    async def write(writer: int) -> None:
        for number in range(100_000):
            body = f"{round_number}/{writer}/{number}"
            seq = await store.log.append(f"writer/{writer}", body.encode(), at=NOON)
            position = await store.events.publish(
                Batch(run=f"run/{writer}", gen="g", first_seq=number, count=1, at=NOON, body=body.encode())
            )
            os.write(pipe, f"log {seq} {body}\nevents {position} {body}\n".encode())

    await asyncio.gather(*(write(writer) for writer in range(8)))


def one_round(directory: Path, round_number: int, wanted: int) -> list[Acknowledged]:
    """What a writer acknowledged before it was killed, in the middle of its work."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(write_for_ever(directory, writing, round_number))
        finally:
            os._exit(1)
    os.close(writing)
    received = b""
    while received.count(b"\n") < wanted and (chunk := os.read(reading, 4096)):
        received += chunk
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(reading, 65_536):
        received += chunk
    os.close(reading)
    lines = (line.split(" ") for line in received.decode().splitlines() if line)
    return [(kind, int(number), body) for kind, number, body in lines]


def found_after(directory: Path, acknowledged: list[Acknowledged]) -> set[Acknowledged]:
    """What of it a new process finds, through the checks that a hub does at its start."""
    open_audit(directory, None).close()
    found: set[Acknowledged] = set()
    with open_snapshot(directory) as reader:
        first = min(number for kind, number, _ in acknowledged if kind == "log")
        for entry in map(
            entry_from, reader.connection.execute("SELECT seq, key, at, body FROM entry WHERE seq >= ?", (first,))
        ):
            found.add(("log", entry.seq, entry.body.decode()))
    files = EventFiles(directory, clock)
    first = min(number for kind, number, _ in acknowledged if kind == "events")
    for stored in files.read(first - 1, 1_000_000, None):
        found.add(("events", stored.position, stored.batch.body.decode()))
    files.close_readers()
    return found


def main(directory: Path, rounds: int) -> None:
    """Kill `rounds` writers and print what became of what they acknowledged."""
    chance = random.Random(20270115)
    everything: list[Acknowledged] = []
    lost = 0
    for round_number in range(rounds):
        acknowledged = one_round(directory, round_number, wanted=chance.randrange(2, 200))
        lost += len(set(acknowledged) - found_after(directory, acknowledged))
        everything += acknowledged
    positions = [number for kind, number, _ in everything if kind == "events"]
    print(
        json.dumps(
            {
                "acknowledged": len(everything),
                "lost": lost,
                "positions_given_twice": len(positions) - len(set(positions)),
                "problems": verify(directory).problems,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
