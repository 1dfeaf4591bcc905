"""Serves the scripted model over the real Chat Completions API on loopback; what it says is scripts.py's."""

from __future__ import annotations

import json
import os
import random
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

from opsconsole.demo.chat_api import chunks, completion, fingerprint, problem
from opsconsole.demo.conversation import Conversation, Reply, read
from opsconsole.demo.lifeline import announce, serve_until_orphaned
from opsconsole.demo.scripts import FAULTS, answer

LATENCY_SECONDS = (0.3, 2.0)
"""How long an answer takes; drawn by the request, so that a repeated request takes as long."""

BODY_BYTES_MAX = 8_388_608
"""One request; the longest demo conversation is far below it."""

REMEMBERED_FAULTS = 4_096
"""Requests whose first attempt has failed; the oldest are forgotten."""

REQUESTS_PER_MINUTE = 600
"""What it says that it allows; six agents ask for a small part of it, and the refusals in the scripts are played."""

CONNECTION_SECONDS_MAX = 120.0
"""An idle kept-alive connection is closed after this long."""


class ModelServer(ThreadingHTTPServer):
    """`pace` scales every latency; 0 answers at once."""

    daemon_threads = True

    def __init__(self, *, port: int = 0, pace: float = 1.0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.pace = pace
        self._failed: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()
        self._asked: deque[float] = deque(maxlen=REQUESTS_PER_MINUTE)

    @property
    def url(self) -> str:
        """The value for OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def fault(self, request: Mapping[str, Any], conversation: Conversation) -> int | None:
        """The status that this attempt fails with, or None; a second attempt never fails."""
        status = FAULTS.get(conversation.agent, {}).get(conversation.turns)
        if status is None:
            return None
        name = fingerprint(request)
        with self._lock:
            if name in self._failed:
                return None
            self._failed[name] = None
            if len(self._failed) > REMEMBERED_FAULTS:
                self._failed.popitem(last=False)
        return status

    def allowance(self) -> dict[str, str]:
        """The headers that say how many requests are left of this minute's, this one counted."""
        now = time.monotonic()
        with self._lock:
            self._asked.append(now)
            while now - self._asked[0] > 60.0:
                self._asked.popleft()
            used = len(self._asked)
        return {
            "x-ratelimit-limit-requests": str(REQUESTS_PER_MINUTE),
            "x-ratelimit-remaining-requests": str(REQUESTS_PER_MINUTE - used),
            "x-ratelimit-reset-requests": f"{60.0 * used / REQUESTS_PER_MINUTE:.3f}s",
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle of an answer is no event: killed agents do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "scripted-model/1"
    timeout = CONNECTION_SECONDS_MAX
    server: ModelServer

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": []})
        else:
            self._send(404, problem(404, f"no such endpoint: {self.path}"))

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.path != "/v1/chat/completions":
            self._send(404, problem(404, f"no such endpoint: {self.path}"))
        elif not self.headers.get("Authorization", "").startswith("Bearer "):
            self._send(401, problem(401, "You didn't provide an API key."))
        elif (request := _request(body)) is None:
            self._send(400, problem(400, "the body is a JSON object with `model` and a list of `messages`"))
        else:
            self._answer(request)

    def _answer(self, request: dict[str, Any]) -> None:
        conversation = read(request["messages"], agent=str((request.get("metadata") or {}).get("agent", "")))
        status, allowance = self.server.fault(request, conversation), self.server.allowance()
        if status is not None:
            fault = problem(status, "the scripted model fails here on purpose")
            self._send(status, fault, {"Retry-After": "1", **allowance})
            return
        seconds = random.Random(fingerprint(request)).uniform(*LATENCY_SECONDS) * self.server.pace
        if request.get("stream"):
            self._stream(answer(conversation), request, seconds, allowance)
        else:
            time.sleep(seconds)
            self._send(200, completion(answer(conversation), request, created=int(time.time())), allowance)

    def _stream(self, reply: Reply, request: dict[str, Any], seconds: float, allowance: Mapping[str, str]) -> None:
        parts = list(chunks(reply, request, created=int(time.time())))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in allowance.items():
            self.send_header(name, value)
        self.end_headers()
        for part in parts:
            self._chunk(b"data: " + json.dumps(part).encode() + b"\n\n")
            time.sleep(seconds / len(parts))
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self._send(413, problem(413, f"a body of at most {BODY_BYTES_MAX} bytes, with its Content-Length"))
            return None
        return self.rfile.read(int(length))

    def _send(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the hub's timeline shows every model call."""


def _request(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("model"), str):
        return None
    messages = value.get("messages")
    usable = isinstance(messages, list) and all(isinstance(message, dict) for message in messages)
    return value if usable else None


def main() -> None:
    """Serves until its parent is gone; the first line on stdout is the base URL."""
    server = ModelServer(pace=float(os.environ.get("OPSCONSOLE_DEMO_PACE", "1")))
    announce(server.url)
    serve_until_orphaned(server)


if __name__ == "__main__":
    main()
