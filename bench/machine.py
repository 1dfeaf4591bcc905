"""Facts of the machine that a measurement depends on; no names, no addresses, no paths."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version
from typing import Any

LIBRARIES = ("opsconsole", "websockets", "uvicorn", "starlette", "pydantic", "textual")


def facts() -> dict[str, Any]:
    """Cores, versions, and how busy the machine is with other things."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_average": load_average(),
    }


def load_average() -> list[float]:
    """Over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]
