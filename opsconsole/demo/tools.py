"""The demo agents' tools: real commands, SQL and HTTP in the scratch directory.

A tool's result says what ran, so that a model whose arguments an operator edited can see it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

OUTPUT_CHARS_MAX = 8_000
"""What a model sees of a command's or a server's output; the rest is cut."""

ROWS_MAX = 200
"""Rows a model sees of a query."""

COMMAND_SECONDS_MAX = 60.0
HTTP_SECONDS_MAX = 30.0
SQL_WAIT_SECONDS = 10.0
"""How long a write waits for the shop's own."""

TABLES = frozenset({"orders", "refunds", "ledger"})


def root() -> Path:
    """The scratch directory, from the environment."""
    return Path(os.environ["OPSCONSOLE_DEMO_DIR"]).resolve()


# These are on the default policy's list of read-only tools: they run without an operator.


def list_files(directory: str) -> list[dict[str, Any]]:
    """List the files under a directory with their sizes, as `du` counts them."""
    lines = _run("du", "-ak", "--", str(_inside(directory).relative_to(root()))).splitlines()
    sizes = (line.split("\t", 1) for line in lines)
    return [{"path": path, "kilobytes": int(size)} for size, path in sizes if (root() / path).is_file()]


def grep(pattern: str, path: str) -> list[str]:
    """Search a file for lines that match a pattern; gives the last ones."""
    found = _run("grep", "-n", "-e", pattern, "--", str(_inside(path).relative_to(root())), codes=(0, 1))
    return found.splitlines()[-ROWS_MAX:]


def read_file(path: str) -> str:
    """Read a text file."""
    return _inside(path).read_text(encoding="utf-8", errors="backslashreplace")[:OUTPUT_CHARS_MAX]


def read_table(table: str, where: dict[str, Any] | None = None, limit: int = 20) -> list[dict[str, Any]]:
    """Read rows of a table of the shop, filtered by equal columns."""
    if table not in TABLES:
        raise ValueError(f"no table {table!r}; there are {', '.join(sorted(TABLES))}")
    names = {name for _, name, *_ in _rows(f"PRAGMA table_info({table})")}
    if unknown := set(where or ()) - names:
        raise ValueError(f"{table} has no column {', '.join(sorted(unknown))}")
    condition = " AND ".join(f"{name} = :{name}" for name in where or ()) or "1"
    rows = _rows(f"SELECT * FROM {table} WHERE {condition} LIMIT {min(limit, ROWS_MAX):d}", where or {})
    return [dict(row) for row in rows]


def search(query: str) -> list[dict[str, Any]]:
    """Search the shop's support tickets, over HTTP."""
    found = httpx.get(f"{_shop()}/search", params={"q": query}, timeout=HTTP_SECONDS_MAX, trust_env=False)
    return [dict(ticket) for ticket in found.raise_for_status().json()]


def http_get_status(path: str) -> dict[str, Any]:
    """Ask the shop's server for a path and tell its status."""
    response = httpx.get(f"{_shop()}{path}", timeout=HTTP_SECONDS_MAX, trust_env=False)
    if response.is_server_error:
        raise ConnectionError(f"{path}: {response.status_code} {response.text[:200]}")
    return {"path": path, "status": response.status_code}


def think(thought: str) -> str:
    """Write a thought down."""
    return f"noted: {thought[:200]}"


def search_files(directory: str, query: str) -> str:
    """Search an archive directory for a text."""
    _inside(directory)
    return _run(sys.executable, "-P", "-m", "opsconsole.demo.stuck_archive", seconds=None)


# These ask an operator.

RISKS = {"sql": "high", "shell": "critical", "http_post": "medium"}
"""What the author of an agent that uses the SDK says of each; the policy may know better."""


def sql(statement: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Execute one SQL statement on the shop's database."""
    with closing(sqlite3.connect(root() / "shop.db", timeout=SQL_WAIT_SECONDS)) as database:
        cursor = database.execute(statement, parameters or {})
        rows = cursor.fetchmany(ROWS_MAX)
        database.commit()
        return {"statement": statement, "parameters": parameters, "rows_changed": max(cursor.rowcount, 0), "rows": rows}


def shell(command: str) -> dict[str, Any]:
    """Run a shell command in the shop's directory."""
    done = subprocess.run(
        [shutil.which("sh") or "/bin/sh", "-c", command],
        cwd=root(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    output = done.stdout.decode("utf-8", "backslashreplace")[:OUTPUT_CHARS_MAX]
    return {"command": command, "exit_code": done.returncode, "output": output}


def http_post(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post a JSON body to the shop's server."""
    response = httpx.post(f"{_shop()}{path}", json=body, timeout=HTTP_SECONDS_MAX, trust_env=False)
    return {"path": path, "status": response.status_code, "body": response.json()}


def _inside(path: str) -> Path:
    """The path in the scratch directory. Raises: ValueError for one that leads out of it."""
    whole = (root() / path).resolve()
    if not whole.is_relative_to(root()):
        raise ValueError(f"{path!r} leads out of the shop's directory")
    return whole


def _run(*command: str, seconds: float | None = COMMAND_SECONDS_MAX, codes: tuple[int, ...] = (0,)) -> str:
    """The output of a command without a shell. Raises: OSError when it ends with another status than `codes`."""
    done = subprocess.run(
        command, cwd=root(), stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
    )
    if done.returncode not in codes:
        raise OSError(done.stderr.decode("utf-8", "backslashreplace").strip()[:OUTPUT_CHARS_MAX])
    return done.stdout.decode("utf-8", "backslashreplace")


def _rows(query: str, parameters: dict[str, Any] | None = None) -> list[sqlite3.Row]:
    """The rows of a query on a connection that cannot write."""
    with closing(
        sqlite3.connect(f"{(root() / 'shop.db').as_uri()}?mode=ro", uri=True, timeout=SQL_WAIT_SECONDS)
    ) as database:
        database.row_factory = sqlite3.Row
        return database.execute(query, parameters or {}).fetchmany(ROWS_MAX)


def _shop() -> str:
    return os.environ["OPSCONSOLE_DEMO_SHOP"]
