"""A hub as far as the command line can see: real HTTP on loopback, answers set by the test, requests kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Answer = tuple[int, dict[str, Any]]
TOKEN = "ops_test_secret"


def refusal(status: int, code: str, message: str = "no") -> Answer:
    """An error as the hub words it."""
    return status, {"error": {"code": code, "message": message}}


def run_row(run: str, **changes: Any) -> dict[str, Any]:
    """A run as the board shows it."""
    row = {
        "key": run,
        "run": run,
        "agent": "researcher",
        "state": "working",
        "link": "live",
        "link_since": 1_000.0,
        "turns": 3,
        "cost_usd": 0.25,
        "started_at": 1_000.0,
        "progress_at": 1_001.0,
    }
    return row | changes


def approval_row(approval: str, **changes: Any) -> dict[str, Any]:
    """A held call as the queue shows it."""
    row = {
        "key": approval,
        "approval": approval,
        "run": "run_A",
        "agent": "researcher",
        "call": "call_1",
        "kind": "tool_call",
        "tool": "sql",
        "args": {"query": "DELETE FROM users"},
        "digest": "sha256:shown",
        "call_digest": "sha256:call",
        "risk": "high",
        "rule": "default:ask",
        "why": "not on the list",
        "requested_at": 1_000.0,
        "expires_at": 2_000.0,
        "status": "pending",
    }
    return row | changes


@dataclass
class FakeHub:
    """`runs`, `approvals` and `reports` are what it holds; `overrides` answers a (method, path) instead."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    approvals: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    present: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=lambda: {"status": "applied", "settled": True, "runs": []})
    tokens: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=lambda: {"ok": True, "status": "recorded"})
    overrides: dict[tuple[str, str], Callable[[], Answer | None]] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""
    clock: float | None = None
    """What its answers say the time is, where they do."""

    def start(self) -> ThreadingHTTPServer:
        """Listens on a free port of loopback, in a thread."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                place = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                answer = hub.answer(self.command, unquote(place.path), dict(parse_qsl(place.query)), body, known)
                if answer is None:
                    self.close_connection = True
                    return
                data = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _serve

            def log_message(self, format: str, *args: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        return server

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, known: bool) -> Answer | None:
        """The answer, or None to hang up without one."""
        self.asked.append((method, path, query, body))
        if (method, path) in self.overrides:
            return self.overrides[method, path]()
        if not known:
            return refusal(401, "unauthorised", "this token is not known")
        parts = path.removeprefix("/v1/").split("/")
        return self._post(parts, body) if method == "POST" else self._get(method, parts, query)

    def _get(self, method: str, parts: list[str], query: dict[str, str]) -> Answer:
        match parts:
            case ["info"]:
                return 200, {"version": "0.1.0", "principal": "operator", "role": "operator", "started_at": 1_000.0}
            case ["limits"]:
                return 200, {"rows": self.limits}
            case ["present"]:
                return 200, {"rows": self.present}
            case ["runs"]:
                every = query.get("live") == "0"
                rows = [row for row in self.runs.values() if every or not row.get("ended_at")]
                return 200, self._timed(rows=rows[-int(query.get("limit", 1_000)) :])
            case ["runs", run] if run in self.runs:
                mine = [row for row in self.approvals.values() if row["run"] == run]
                return 200, self._timed(row=self.runs[run], approvals=mine)
            case ["runs", _, "events"]:
                return 200, {"events": self.events if int(query.get("after") or 0) < 1 else []}
            case ["approvals"]:
                every = query.get("status") == "all"
                return 200, self._timed(
                    rows=[row for row in self.approvals.values() if every or row["status"] == "pending"]
                )
            case ["commands", cmd]:
                return 200, {"cmd": cmd, **self.report}
            case ["tokens"]:
                return 200, {"tokens": self.tokens}
            case ["tokens", token] if method == "DELETE":
                return 200, {"id": token, "revoked": True}
            case _:
                return refusal(404, "not_found", f"there is no {'/'.join(parts)}")

    def _timed(self, **answer: Any) -> dict[str, Any]:
        return answer if self.clock is None else {**answer, "time": self.clock}

    def _post(self, parts: list[str], body: Any) -> Answer:
        match parts:
            case ["commands"]:
                self.commands.append(body)
                if body["do"] == "claim":
                    self.approvals[body["approval"]]["claimed_by"] = body["text"] or None
                return 200, {"t": "res", "cmd": body["cmd"], **self.result}
            case ["tokens"]:
                return 201, {"id": "tok_1", "token": "ops_1_secret", **body}
            case _:
                return 200, {"ok": True, **body}
