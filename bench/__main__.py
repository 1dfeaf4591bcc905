"""`python -m bench [NAMES] [--quick]`: runs benchmarks, prints a table, writes results.json; it measures nothing."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.machine import facts, load_average
from bench.result import Row, table

NAMES = (
    "startup",
    "guard",
    "events",
    "consoles",
    "latency",
    "kill",
    "console",
    "policy",
    "policy_facts",
    "detectors",
    "flow",
    "gateway",
    "chaos",
)
SHORT = {"facts": "policy_facts"}
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """Run what was asked for; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="The limits of the product, measured.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)} [all]")
    parser.add_argument("--quick", action="store_true", help="Shorter and less exact; results.json is left alone.")
    parser.add_argument("--seconds", type=float, help="How long chaos lasts [30].")
    parser.add_argument("--seed", type=int, help="The seed of chaos [1].")
    parser.add_argument("--minutes", type=float, help="How long the console's memory is watched [10].")
    given = parser.parse_args()
    given.names = [SHORT.get(name, name) for name in given.names]
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    options: dict[str, Any] = {"is_quick": given.quick}
    chosen = [name for name in NAMES if not given.names or name in given.names]
    rows: list[Row] = []
    loads: dict[str, list[float]] = {}
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        loads[name] = load_average()
        extra = {"seconds": given.seconds, "seed": given.seed} if name == "chaos" else {}
        extra |= {"minutes": given.minutes} if name == "console" else {}
        rows += importlib.import_module(f"bench.{name}").run(**options, **extra)
    print(table(rows))
    if not given.quick:
        _write(rows, loads)
    return 1 if any(row.reached is False for row in rows) else 0


def _write(rows: list[Row], loads: dict[str, list[float]]) -> None:
    """Replace the results of the benchmarks that ran; the others stay as they were."""
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"benches": {}}
    for name, load in loads.items():
        known["benches"][name] = {
            "at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
            "load_average_before": load,
            "rows": [row.to_json() for row in rows if row.bench == name],
        }
    known["machine"] = facts()
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
