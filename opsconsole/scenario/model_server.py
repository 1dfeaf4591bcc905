"""Serves a case's answers on loopback in the three model APIs, from a thread; what they are is told in `playing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from opsconsole.gateway.providers import PROVIDERS
from opsconsole.scenario.playing import Playing, Reply

BODY_BYTES_MAX = 67_108_864
"""Of one request, as the real APIs have it."""
CONNECTION_SECONDS_MAX = 60.0
"""A kept connection that says nothing is closed."""
STOP_SECONDS = 0.02
"""How often the server looks whether it is to stop."""
KEY = "sk-recorded"
"""Official clients want one; nothing is checked."""


class ModelServer(ThreadingHTTPServer):
    """One case on one port."""

    daemon_threads = True

    def __init__(self, playing: Playing) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.playing = playing

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes the official clients of every provider come here."""
        found = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        for provider in PROVIDERS.values():
            found |= dict.fromkeys(provider.url_variables, self.url + provider.base_path)
            found[provider.key_variable] = KEY
        return found

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle of an answer is no event: agents are stopped."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "recorded-model/1"
    timeout = CONNECTION_SECONDS_MAX
    server: ModelServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            body = b'{"error": {"message": "a body of known length, please", "type": "invalid_request_error"}}'
            self._send(Reply(status=413, content_type="application/json", body=body))
            return
        self._send(self.server.playing.ask(urlsplit(self.path).path, self.rfile.read(int(length))))

    def do_GET(self) -> None:
        is_list = urlsplit(self.path).path == "/v1/models"
        body = b'{"object": "list", "data": []}' if is_list else b'{"error": {"message": "no such endpoint"}}'
        self._send(Reply(status=200 if is_list else 404, content_type="application/json", body=body))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the report tells what came."""


@contextmanager
def serving(playing: Playing) -> Iterator[ModelServer]:
    """A server while the block lasts."""
    server = ModelServer(playing)
    thread = Thread(target=server.serve_forever, args=(STOP_SECONDS,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
