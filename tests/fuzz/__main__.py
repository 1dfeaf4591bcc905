"""Runs the fuzz targets: `python -m tests.fuzz [names] [--seconds 60]`; each is a module here with `fuzz_one(data)`.

A target must neither raise nor take longer than 0.1 s of its own time on any bytes. With atheris (a development
extra that not every platform has) the search is guided by coverage; without it the bytes are mutated at random.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HANG_SECONDS = 0.1
INPUT_BYTES_MAX = 4_096
MUTATIONS_MAX = 8
TOKENS = (b"'", b'"', b"\\", b"\0", b";", b"--", b"/*", b"*/", b"{", b"}", b"[", b"]", b"\r\n\r\n", b"data: ", b"$(")


def targets() -> list[str]:
    """The names of all targets."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith(("_", "test_")))


def load(name: str) -> tuple[Callable[[bytes], None], list[bytes]]:
    """A target and the inputs to begin with."""
    module = importlib.import_module(f"tests.fuzz.{name}")
    return module.fuzz_one, list(getattr(module, "SEEDS", ())) or [b""]


def watched(fuzz_one: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, failing on inputs that take too long: thrice, as a busy machine is no hang."""

    def run(data: bytes) -> None:
        for _ in range(3):
            before = time.thread_time()
            fuzz_one(data)
            if time.thread_time() - before <= HANG_SECONDS:
                return
        raise TimeoutError(f"took more than {HANG_SECONDS} s thrice: {data!r}")

    return run


def mutated(data: bytes, dice: random.Random, seeds: list[bytes]) -> bytes:
    """The input changed in a few places."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, MUTATIONS_MAX)):
        place = dice.randint(0, len(changed))
        match dice.randrange(5):
            case 0:
                changed[place:place] = dice.choice(TOKENS)
            case 1:
                changed[place : place + dice.randint(1, 8)] = dice.randbytes(dice.randint(0, 4))
            case 2:
                other = dice.choice(seeds)
                start = dice.randint(0, len(other))
                changed[place:place] = other[start : start + dice.randint(0, 64)]
            case 3:
                del changed[place : place + dice.randint(1, 64)]
            case _:
                changed[place:place] = changed[place : place + dice.randint(1, 32)] * dice.randint(1, 4)
    return bytes(changed[:INPUT_BYTES_MAX])


def search_at_random(name: str, seconds: float, seed: int) -> int:
    """Gives how many inputs were tried; the input that failed is in the message of what is raised."""
    fuzz_one, seeds = load(name)
    run, dice = watched(fuzz_one), random.Random(seed)
    kept, tried, until = list(seeds), 0, time.monotonic() + seconds
    for data in seeds:
        run(data)
    while time.monotonic() < until:
        data = mutated(dice.choice(kept), dice, seeds)
        tried += 1
        try:
            run(data)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, input {tried}: {data!r}") from error
        if len(kept) < 1_000 and dice.random() < 0.05:
            kept.append(data)
    return tried


def search_guided(name: str, seconds: float) -> None:
    """Ends the process: that is how atheris ends."""
    import atheris

    with atheris.instrument_imports(include=["opsconsole"]):
        fuzz_one, seeds = load(name)
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(data)
        flags = [
            f"-max_total_time={int(seconds)}",
            f"-max_len={INPUT_BYTES_MAX}",
            "-verbosity=0",
            f"-artifact_prefix={corpus}/",
        ]
        atheris.Setup([sys.argv[0], *flags, corpus], watched(fuzz_one))
        atheris.Fuzz()


def main() -> int:
    """All targets, one process each; the status tells whether every one held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("names", nargs="*", help="targets; all without")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each [60]")
    parser.add_argument("--seed", type=int, default=1, help="of the search at random [1]")
    parser.add_argument("--only", choices=("guided", "random"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only == "guided":
        search_guided(asked.names[0], asked.seconds)
    if asked.only == "random":
        print(f"{asked.names[0]}: {search_at_random(asked.names[0], asked.seconds, asked.seed):,} inputs, all held")
        return 0
    way = "guided" if importlib.util.find_spec("atheris") else "random"
    failed = []
    for name in asked.names or targets():
        command = [sys.executable, "-m", "tests.fuzz", name, "--only", way]
        print(f"{name}: {asked.seconds:g} s, {way}", flush=True)
        done = subprocess.run([*command, "--seconds", str(asked.seconds), "--seed", str(asked.seed)], check=False)
        failed += [name] if done.returncode else []
    print(f"failed: {', '.join(failed)}" if failed else "every target held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
