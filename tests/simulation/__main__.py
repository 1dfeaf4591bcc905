"""Plays shifts again by their seeds and prints their stories: `python -m tests.simulation SEED [LAST_SEED]`."""

from __future__ import annotations

import sys
import traceback

from tests.simulation.shift import Shift
from tests.simulation.stage import Violated


def main(arguments: list[str]) -> int:
    """Exit code 0 when every promise held, 1 when one was broken, 2 on wrong usage."""
    if len(arguments) not in (1, 2) or not all(argument.isdigit() for argument in arguments):
        print(__doc__)
        return 2
    first, last = int(arguments[0]), int(arguments[-1])
    for seed in range(first, last + 1):
        shift = Shift(seed)
        try:
            shift.play()
        except Exception as broken:  # the program's edge: whatever ends a shift early, its story is wanted
            print("\n".join([*shift.stage.story, f"seed {seed}: {broken!r}"]))
            if not isinstance(broken, Violated):
                traceback.print_exc(file=sys.stdout)
            return 1
        if first == last:
            print("\n".join(shift.stage.story))
    print(f"{last - first + 1} shifts, every promise held")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
