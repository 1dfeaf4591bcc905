"""Runs the fuzz targets: `python -m tests.fuzz [names] [--seconds 60]`; each is a module here with `fuzz_one(data)`.

A target must neither raise nor take longer than 0.1 s of its own time on any bytes. Each is searched by hypothesis and
then by atheris, which is guided by coverage; where atheris is not installed, that is said and the half is left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HANG_SECONDS = 0.1
INPUT_BYTES_MAX = 4_096
MUTATIONS_MAX = 8
PIECES_MAX = 80
"""Of which hypothesis puts an input together."""
TRIED_MIN = 25
"""However slow the machine: a search that tried nothing found nothing out."""
EXAMPLES_A_ROUND = 500
MEMORY_BYTES_MAX = 6 * 2**30
"""Address space of one search: what eats more is a failure, and must not be one of the machine."""
GRACE_SECONDS = 120.0
"""Beyond the time of a search, for loading and for making a failing input smaller; then it hangs."""
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


def search_at_random(name: str, seconds: float, seed: int, inputs_max: int = sys.maxsize) -> int:
    """Gives how many inputs were tried; the input that failed is in the message of what is raised."""
    fuzz_one, seeds = load(name)
    run, dice = watched(fuzz_one), random.Random(seed)
    kept, tried, until = list(seeds), 0, time.monotonic() + seconds
    for data in seeds:
        run(data)
    while tried < TRIED_MIN or (tried < inputs_max and time.monotonic() < until):
        data = mutated(dice.choice(kept), dice, seeds)
        tried += 1
        try:
            run(data)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, input {tried}: {data!r}") from error
        if len(kept) < 1_000 and dice.random() < 0.05:
            kept.append(data)
    return tried


def search_with_hypothesis(name: str, seconds: float, seed: int) -> int:
    """Gives how many inputs were tried; a failing one is made as small as it gets and told in what is raised."""
    import hypothesis
    from hypothesis import strategies

    fuzz_one, seeds = load(name)
    run, until, tried = watched(fuzz_one), time.monotonic() + seconds, 0
    pieces = sorted({*TOKENS, *seeds, *(word for data in seeds for word in data.split())})
    piece = strategies.one_of(strategies.sampled_from(pieces), strategies.binary(max_size=12))
    inputs = strategies.lists(piece, max_size=PIECES_MAX).map(lambda parts: b"".join(parts)[:INPUT_BYTES_MAX])
    settings = hypothesis.settings(
        max_examples=EXAMPLES_A_ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        run(data)

    for data in seeds:
        run(data)
    while time.monotonic() < until:
        seed += 1
        hypothesis.seed(seed)(settings(hypothesis.given(inputs)(one)))()
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
            f"-timeout={int(GRACE_SECONDS)}",
            "-verbosity=0",
            "-print_final_stats=1",
            f"-artifact_prefix={corpus}/",
        ]
        atheris.Setup([sys.argv[0], *flags, corpus], watched(fuzz_one))
        atheris.Fuzz()


SEARCHES: dict[str, Callable[[str, float, int], int]] = {
    "hypothesis": search_with_hypothesis,
    "random": search_at_random,
}


def main() -> int:
    """All targets, one process each; the status tells whether every one held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("names", nargs="*", help="targets; all without")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each, and each way [60]")
    parser.add_argument("--seed", type=int, default=1, help="of hypothesis [1]")
    parser.add_argument("--only", choices=("atheris", *SEARCHES), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    if asked.only == "atheris":
        search_guided(asked.names[0], asked.seconds)
    if asked.only:
        tried = SEARCHES[asked.only](asked.names[0], asked.seconds, asked.seed)
        print(f"{asked.names[0]}: {tried:,} inputs, all held")
        return 0
    ways = ["hypothesis", "atheris"]
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed in this environment: the searches guided by coverage are left out")
        ways.remove("atheris")
    failed = [f"{name} ({way})" for name in asked.names or targets() for way in ways if not _held(name, way, asked)]
    print(f"failed: {', '.join(failed)}" if failed else "every target held")
    return 1 if failed else 0


def _held(name: str, way: str, asked: argparse.Namespace) -> bool:
    """One search in a process of its own; one that does not end has failed."""
    command = [sys.executable, "-m", "tests.fuzz", name, "--only", way]
    print(f"{name}: {asked.seconds:g} s of {way}", flush=True)
    command += ["--seconds", str(asked.seconds), "--seed", str(asked.seed)]
    try:
        return subprocess.run(command, check=False, timeout=asked.seconds + GRACE_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"{name}: hangs")
        return False


if __name__ == "__main__":
    sys.exit(main())
