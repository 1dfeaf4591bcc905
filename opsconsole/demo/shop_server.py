"""The demo's shop: a local HTTP service that agents call, and the life of the shop (refund requests, rotating logs)."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from opsconsole.demo.lifeline import announce, serve_until_orphaned
from opsconsole.demo.scratch import add_refund, write_log
from opsconsole.demo.scripts import MISSING_ITEM

BODY_BYTES_MAX = 1_048_576
"""One posted report; far above any."""

REPORTS_MAX = 1_000
"""Reports kept; the oldest go."""

PULSE_SECONDS = 20.0
"""How often something happens in the shop."""

TIMEOUT_SECONDS = 3.0
"""How long the inventory takes to fail."""

PENDING_REFUNDS_MAX = 8
ROTATED_LOGS_MAX = 8


class ShopServer(ThreadingHTTPServer):
    """The shop over one scratch directory, on a free loopback port; `pace` scales how long its inventory takes."""

    daemon_threads = True

    def __init__(self, root: Path, *, port: int = 0, pace: float = 1.0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.root = root
        self.pace = pace
        self.reports: list[dict[str, Any]] = []
        self._published = 0
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, report: dict[str, Any]) -> int:
        """Keeps a report; gives its number."""
        with self._lock:
            self._published += 1
            self.reports.append({**report, "id": self._published})
            del self.reports[:-REPORTS_MAX]
            return self._published

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle of an answer is no event: killed agents do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "shop/1"
    timeout = 120.0
    server: ShopServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        match url.path:
            case "/healthz" | "/carrier/status":
                self._send(200, {"status": "ok"})
            case "/search":
                self._send(200, search_tickets(self.server.root, " ".join(parse_qs(url.query).get("q", []))))
            case "/reports":
                self._send(200, self.server.reports)
            case path if path == MISSING_ITEM:
                time.sleep(TIMEOUT_SECONDS * self.server.pace)
                self._send(503, {"error": "the inventory does not answer"})
            case _:
                self._send(404, {"error": f"nothing at {url.path}"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self._send(413, {"error": f"a body of at most {BODY_BYTES_MAX} bytes"})
            return
        report = _json_object(self.rfile.read(int(length)))
        if self.path != "/reports":
            self._send(404, {"error": f"nothing at {self.path}"})
        elif report is None:
            self._send(400, {"error": "a report is a JSON object"})
        else:
            self._send(201, {"id": self.server.publish(report)})

    def _send(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the agents' timelines show every request."""


def search_tickets(root: Path, query: str) -> list[dict[str, str]]:
    """The tickets that hold any word of the query, plural or not."""
    stems = [word.lower().rstrip("s") for word in query.split()]
    found = []
    for path in sorted((root / "tickets").glob("*.txt")):
        text = path.read_text()
        if any(stem in text.lower() for stem in stems):
            title = next((line[9:] for line in text.splitlines() if line.startswith("Subject: ")), path.name)
            found.append({"ticket": path.stem, "title": title})
    return found


def pulse(root: Path, dice: random.Random) -> None:
    """One beat of the shop: a refund request more, a rotated log more, while there are few of each."""
    database = sqlite3.connect(root / "shop.db", timeout=10)
    try:
        (pending,) = database.execute("SELECT count(*) FROM refunds WHERE status = 'pending'").fetchone()
        if pending < PENDING_REFUNDS_MAX:
            add_refund(database, dice)
            database.commit()
    finally:
        database.close()
    free = [n for n in range(1, ROTATED_LOGS_MAX + 1) if not list((root / "logs").glob(f"checkout.log.{n}*"))]
    if free:
        write_log(root, free[0], dice)


def _live(root: Path, over: Event) -> None:
    dice = random.Random(11)
    while not over.wait(PULSE_SECONDS):
        pulse(root, dice)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def main() -> None:
    """Serves until its parent is gone; the first line on stdout is the shop's URL."""
    root = Path(os.environ["OPSCONSOLE_DEMO_DIR"])
    if not (root / "shop.db").exists():
        sys.exit(f"no shop in {root}")
    server = ShopServer(root, pace=float(os.environ.get("OPSCONSOLE_DEMO_PACE", "1")))
    over = Event()
    Thread(target=_live, args=(root, over), daemon=True).start()
    announce(server.url)
    serve_until_orphaned(server)
    over.set()


if __name__ == "__main__":
    main()
