"""The long storm by hand: `python -m bench chaos --seconds 300 --seed 3`; CI runs a short one from the same code."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.result import Row
from tests.chaos.storm import storm

SECONDS = 30.0
QUICK_SECONDS = 10.0


def run(*, is_quick: bool, seconds: float | None, seed: int | None) -> list[Row]:
    """The rows of this benchmark: what was found wrong (none is allowed), and how much was done."""
    chosen = seed if seed is not None else int(time.time())
    length = seconds or (QUICK_SECONDS if is_quick else SECONDS)
    with TemporaryDirectory(prefix="opsconsole-bench-") as directory:
        findings, story = asyncio.run(storm(Path(directory), chosen, length))
    if findings.problems:
        print("\n".join([*story, *findings.problems]), file=sys.stderr)
    counts = dict(findings.counts)
    done = ", ".join(f"{counts[name]:,} {name}" for name in ("events", "decisions", "connections cut", "hub kill -9"))
    return [
        Row(
            bench="chaos",
            what=f"things wrong after {length:.0f} s of chaos, seed {chosen}: {done}",
            measured=float(len(findings.problems)),
            unit="",
            limit=0.0,
            more=counts | {"seed": chosen, "seconds": length, "problems": findings.problems},
        )
    ]
