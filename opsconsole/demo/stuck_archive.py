"""A search that never ends, as on a dead network share: it ignores SIGTERM, and so does its escaped child."""

from __future__ import annotations

import signal
import subprocess

HANGS_SECONDS = 86_400
"""Longer than any demo."""


def main() -> None:
    """Never returns by itself; only SIGKILL ends it, and its child lives in a session of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # ignored signals stay ignored across exec
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    subprocess.Popen(["sleep", str(HANGS_SECONDS)], start_new_session=True)
    subprocess.run(["sleep", str(HANGS_SECONDS)], check=False)


if __name__ == "__main__":
    main()
