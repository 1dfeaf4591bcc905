"""A model provider on loopback that plays scripts in three APIs and delivers them well or badly; it holds no model."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import re
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httptools

from tests.support import model_anthropic, model_chat, model_delivery, model_responses
from tests.support.model_script import MARK, Delivery, Fault, Play, Refused, Script, Turn, script_from

UNSCRIPTED = Script(turns=[Turn(text="Hello from the scripted model. Grüße, 世界 👋.")], repeats=True)
"""What a conversation hears that names no script."""
PATIENCE_SECONDS = 60.0
"""How long its thread may take to begin and to end, on a machine that does much else."""
REQUEST_BYTES_MAX = 67_108_864
"""Of one request; larger ones are refused as the real APIs do."""
STREAMS = re.compile(rb'"stream": ?true')
USAGE = re.compile(rb'"include_usage": ?true')
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    529: "Overloaded",
}


@dataclass(slots=True, kw_only=True)
class Seen:
    """One request as it came, and what became of its answer."""

    number: int
    api: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: dict[str, Any]
    script: str
    status: int = 0
    at: float = field(default_factory=time.monotonic)
    aborted_at: float | None = None
    """On the clock of `time.monotonic`: when the other side went away in the middle of the answer."""
    finished: bool = False
    writes: int = 0
    """Pieces of the answer that were sent."""
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to end a stall before its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One model API: how it checks, answers, streams and fails."""

    name: str
    path: str
    check: Callable[..., Any]
    answer: Callable[[Play, Mapping[str, Any]], dict[str, Any]]
    frames: Callable[[Play, Mapping[str, Any]], Iterator[tuple[str, str]]]
    failure: Callable[[Refused], dict[str, Any]]
    failing_frame: Callable[[Refused], tuple[str, str]]


CHAT, RESPONSES, ANTHROPIC = APIS = (
    Api(
        name="chat",
        path="/v1/chat/completions",
        check=model_chat.check,
        answer=model_chat.answer,
        frames=model_chat.frames,
        failure=model_chat.failure,
        failing_frame=model_chat.failing_frame,
    ),
    Api(
        name="responses",
        path="/v1/responses",
        check=model_responses.check,
        answer=model_responses.answer,
        frames=model_responses.frames,
        failure=model_chat.failure,
        failing_frame=model_responses.failing_frame,
    ),
    Api(
        name="messages",
        path="/v1/messages",
        check=model_anthropic.check,
        answer=model_anthropic.answer,
        frames=model_anthropic.frames,
        failure=model_anthropic.failure,
        failing_frame=model_anthropic.failing_frame,
    ),
)


class Upstream:
    """The provider: scripts by name, what each conversation has heard so far, and every request that came.

    `keys`: what may stand in `authorization` or `x-api-key`; any where empty. `quick`: what names no
    script is answered from bytes made once, unread and unnoted, for measuring what stands before it.
    """

    def __init__(
        self, *, keys: frozenset[str] = frozenset(), unscripted: Script = UNSCRIPTED, quick: bool = False
    ) -> None:
        self.keys = keys
        self.quick = quick
        self.unscripted = unscripted
        self.scripts: dict[str, Script] = {}
        self.seen: list[Seen] = []
        self.memory: dict[str, tuple[str, list[dict[str, Any]]]] = {}
        self._heard: dict[str, int] = {}
        self._prepared: dict[tuple[str, bool, bool], bytes] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()

    def script(self, name: str, *turns: Turn, repeats: bool = False) -> None:
        """What the conversation of this name will hear."""
        self.scripts[name] = Script(turns=turns, repeats=repeats)

    def calls(self, script: str) -> list[Seen]:
        """The requests of a conversation, in their order."""
        return [one for one in self.seen if one.script == script]

    def receive(self, api: Api, target: str, headers: Mapping[str, str], raw: bytes) -> Seen:
        """Notes a request. Raises: Refused."""
        parts = urlsplit(target)
        seen = Seen(
            number=next(self._numbers),
            api=api.name,
            path=parts.path,
            query=parse_qs(parts.query),
            headers=headers,
            body={},
            script="",
        )
        self.seen.append(seen)
        seen.body = _json_body(raw)
        seen.script = self._script_of(raw, seen.body)
        self._check_key(api, headers)
        return seen

    def _script_of(self, raw: bytes, body: Mapping[str, Any]) -> str:
        if found := MARK.search(raw):
            return found[1].decode()
        return self.memory.get(str(body.get("previous_response_id")), ("", []))[0]

    def _check_key(self, api: Api, headers: Mapping[str, str]) -> None:
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.keys and key not in self.keys):
            raise Refused(401, "invalid x-api-key" if api is ANTHROPIC else "Incorrect API key provided.")
        if api is ANTHROPIC and "anthropic-version" not in headers:
            raise Refused(400, "anthropic-version: header is required")

    def prepared(self, target: str, raw: bytes) -> bytes | None:
        """The whole answer to a request that names no script, head and all; None where one must look closer."""
        api = next((one for one in APIS if target.partition("?")[0] == one.path), None)
        if api is None or MARK.search(raw):
            return None
        key = (api.name, bool(STREAMS.search(raw)), bool(USAGE.search(raw)))
        if key not in self._prepared:
            self._prepared[key] = self._prepare(api, json.loads(raw))
        return self._prepared[key]

    def _prepare(self, api: Api, body: Mapping[str, Any]) -> bytes:
        turn = self.unscripted.turns[0]
        play = Play(turn=turn, key="unscripted", model=str(body["model"]), at=int(time.time()))
        if not body.get("stream"):
            data = json.dumps(api.answer(play, body), ensure_ascii=False).encode()
            return _head(200, {"content-type": "application/json", "content-length": str(len(data))}) + data
        frames = model_delivery.framed(api.frames(play, body), turn.delivery)
        head = _head(200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
        return head + b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames) + b"0\r\n\r\n"

    def play(self, api: Api, seen: Seen) -> Play:
        """The next turn of the conversation. Raises: Refused."""
        conversation: list[dict[str, Any]] = []
        if api is RESPONSES:
            conversation = api.check(seen.body, {name: items for name, (_, items) in self.memory.items()})
        else:
            api.check(seen.body)
        script = self.scripts.get(seen.script) if seen.script else self.unscripted
        if script is None:
            raise Refused(400, f"no script is named {seen.script!r}")
        with self._lock:
            number = self._heard.get(seen.script, 0)
            self._heard[seen.script] = number + 1
        turn = script.turn(number)
        if turn is None:
            raise Refused(400, f"the script {seen.script!r} has no turn {number + 1}")
        key = f"{re.sub('[^A-Za-z0-9]', '', seen.script)}x{seen.number}"
        play = Play(turn=turn, key=key, model=turn.model or str(seen.body["model"]), at=int(time.time()))
        if api is RESPONSES and seen.body.get("store", True) and turn.fault is None:
            answer = api.answer(play, seen.body)
            self.memory[answer["id"]] = (seen.script, [*conversation, *answer["output"]])
        return play


def _json_body(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise Refused(400, "The body of the request is not an object.")
    return body


class Conversation(asyncio.Protocol):
    """One connection: requests one after another, each answered by a task that ends when the other side goes."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._headers, self._body = b"", dict[str, str](), bytearray()
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[tuple[str, str, dict[str, str], bytes, bool]] = []
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.transport.close()

    # What the parser finds.

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", {}, bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if len(self._body) <= REQUEST_BYTES_MAX:
            self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        keep = self._parser.should_keep_alive()
        if self.upstream.quick and self._task is None and keep:
            data = self.upstream.prepared(self._target.decode("latin-1"), bytes(self._body))
            if data is not None:
                self.transport.write(data)
                return
        self._waiting.append((method, self._target.decode("latin-1"), self._headers, bytes(self._body), keep))
        if self._task is None:
            self._next()

    def _next(self) -> None:
        self._task = None
        if self._waiting and not self.transport.is_closing():
            self._task = asyncio.get_running_loop().create_task(self._serve(*self._waiting.pop(0)))

    # How one request is answered.

    async def _serve(self, method: str, target: str, headers: dict[str, str], raw: bytes, keep: bool) -> None:
        try:
            await self._answer(method, target, headers, _decoded(headers, raw))
        except Refused as refused:
            self._send_json(refused.status, model_chat.failure(refused))
        if not keep:
            self.transport.close()
        self._next()

    async def _answer(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> None:
        path = urlsplit(target).path
        api = next((one for one in APIS if path == one.path), None)
        if api is not None and method == "POST":
            await self._answer_turn(api, target, headers, raw)
        elif document := self._other(method, path, target, raw):
            self._send_json(200, document)
        else:
            raise Refused(404, f"Invalid URL ({method} {path})")

    def _other(self, method: str, path: str, target: str, raw: bytes) -> dict[str, Any] | None:
        if method == "GET" and path == "/v1/models":
            models = [
                {"id": name, "object": "model", "created": 0, "owned_by": "scripted"} for name in ("gpt-4o-mini",)
            ]
            return {"object": "list", "data": models}
        if method == "POST" and path == "/v1/messages/count_tokens":
            body = _json_body(raw)
            model_anthropic.check(body, counting=True)
            return {"input_tokens": len(raw) // 4}
        if method == "POST" and path == "/v1/embeddings":
            body = _json_body(raw)
            given = body["input"] if isinstance(body["input"], list) else [body["input"]]
            rows = [{"object": "embedding", "index": at, "embedding": [0.0, 1.0]} for at, _ in enumerate(given)]
            used = len(raw) // 4
            usage = {"prompt_tokens": used, "total_tokens": used}
            return {"object": "list", "data": rows, "model": body["model"], "usage": usage}
        if method == "POST" and path == "/scripted/script":
            body = _json_body(raw)
            self.upstream.scripts[body["name"]] = script_from(body)
            return {"ok": True}
        if method == "GET" and path == "/scripted/seen":
            script = parse_qs(urlsplit(target).query).get("script", [""])[0]
            seen = self.upstream.calls(script)
            return {"seen": [{"api": one.api, "status": one.status, "body": one.body} for one in seen]}
        return None

    async def _answer_turn(self, api: Api, target: str, headers: dict[str, str], raw: bytes) -> None:
        seen = None
        try:
            seen = self.upstream.receive(api, target, headers, raw)
            play = self.upstream.play(api, seen)
        except Refused as refused:
            if seen is None and self.upstream.seen:
                seen = self.upstream.seen[-1]
            if seen is not None:
                seen.status, seen.finished = refused.status, True
            self._send_json(refused.status, api.failure(refused))
            return
        try:
            await self._deliver(api, seen, play)
            seen.finished = True
        except asyncio.CancelledError:
            seen.aborted_at = time.monotonic()

    async def _deliver(self, api: Api, seen: Seen, play: Play) -> None:
        turn = play.turn
        delivery = turn.delivery
        if delivery.first_delay_seconds:
            await asyncio.sleep(delivery.first_delay_seconds)
        if turn.fault is not None:
            seen.status = turn.fault.status
            self._send_fault(api, turn.fault, turn.headers)
            return
        seen.status = 200
        streams = bool(seen.body.get("stream"))
        content_type = "text/event-stream; charset=utf-8" if streams else "application/json"
        writes = self._writes(api, seen, play, streams)
        encoding = delivery.encoding if delivery.encoding in seen.headers.get("accept-encoding", "") else ""
        head = (
            {"content-type": content_type, "transfer-encoding": "chunked"} | _identity(api, play) | dict(turn.headers)
        )
        if encoding:
            head["content-encoding"] = encoding
            writes = model_delivery.encoded(writes, encoding)
        self.transport.write(_head(200, head))
        await self._send(api, seen, delivery, writes)

    def _writes(self, api: Api, seen: Seen, play: Play, streams: bool) -> Iterator[bytes]:
        delivery = play.turn.delivery
        if not streams:
            whole = json.dumps(api.answer(play, seen.body), ensure_ascii=False).encode()
            return model_delivery.cut([whole], delivery)
        framed = model_delivery.framed(api.frames(play, seen.body), delivery)
        return model_delivery.cut(framed, delivery)

    async def _send(self, api: Api, seen: Seen, delivery: Delivery, writes: Iterator[bytes]) -> None:
        apart = delivery.cut in ("torn", "bytes") and not delivery.delay_seconds
        for number, data in enumerate(writes):
            if number == delivery.die_after:
                self._die(api, delivery)
                return
            if number == delivery.stall_after:
                with suppress(TimeoutError):
                    async with asyncio.timeout(delivery.stall_seconds):
                        await seen.goes_on.wait()
            if delivery.delay_seconds:
                await asyncio.sleep(delivery.delay_seconds)
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
            seen.writes += 1
            if apart:
                await asyncio.sleep(0)
            await self._writable.wait()
        self.transport.write(b"0\r\n\r\n")

    def _die(self, api: Api, delivery: Delivery) -> None:
        if delivery.death == "reset":
            raw = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        elif delivery.death == "close":
            self.transport.close()
        else:
            if delivery.death == "error":
                frame = api.failing_frame(Refused(529 if api is ANTHROPIC else 500, "Overloaded"))
                data = b"".join(model_delivery.framed([frame], delivery))
                self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.transport.write(b"0\r\n\r\n")

    def _send_fault(self, api: Api, fault: Fault, headers: Mapping[str, str]) -> None:
        body = api.failure(Refused(fault.status, fault.message))
        self._send_json(fault.status, body, dict(headers) | dict(fault.headers))

    def _send_json(self, status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(document, ensure_ascii=False).encode()
        head = {"content-type": "application/json", "content-length": str(len(data))} | dict(headers or {})
        self.transport.write(_head(status, head) + data)


def _identity(api: Api, play: Play) -> dict[str, str]:
    """The headers that name an answer, as each provider sends them."""
    if api is ANTHROPIC:
        return {"request-id": f"req_{play.key}", "anthropic-organization-id": "scripted"}
    return {"x-request-id": f"req_{play.key}", "openai-version": "2020-10-01", "openai-processing-ms": "12"}


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Scripted')}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _decoded(headers: Mapping[str, str], raw: bytes) -> bytes:
    if len(raw) > REQUEST_BYTES_MAX:
        raise Refused(413, "Request exceeds the maximum size")
    encoding = headers.get("content-encoding", "identity")
    if encoding == "identity":
        return raw
    if encoding not in ("gzip", "deflate"):
        raise Refused(400, f"content-encoding {encoding} is not supported")
    with suppress(OSError, zlib.error):
        return gzip.decompress(raw) if encoding == "gzip" else zlib.decompress(raw)
    raise Refused(400, f"the body is no {encoding}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningUpstream:
    """A provider that serves in a thread of this process; its scripts and what it saw may be used from any thread."""

    url: str
    provider: Upstream
    loop: asyncio.AbstractEventLoop

    def script(self, name: str, *turns: Turn, repeats: bool = False) -> None:
        """What the conversation of this name will hear."""
        self.provider.script(name, *turns, repeats=repeats)

    def calls(self, script: str) -> list[Seen]:
        """The requests of a conversation, in their order."""
        return self.provider.calls(script)

    def go_on(self, script: str) -> None:
        """Ends the stalls of a conversation's answers."""
        for seen in self.calls(script):
            self.loop.call_soon_threadsafe(seen.goes_on.set)


async def serving(upstream: Upstream, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
    """A listening server in this loop."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Conversation(upstream), host, port, backlog=1024)


def url_of(server: asyncio.Server) -> str:
    """Where it listens."""
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://{host}:{port}"


@contextmanager
def running_upstream(**options: Any) -> Iterator[RunningUpstream]:
    """A provider in a thread with a loop of its own, for synchronous and asynchronous tests alike."""
    upstream = Upstream(**options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="scripted-upstream", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serving(upstream), loop).result(PATIENCE_SECONDS)
    try:
        yield RunningUpstream(url=url_of(server), provider=upstream, loop=loop)
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(PATIENCE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_SECONDS)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _main(options: argparse.Namespace) -> None:
    delivery = Delivery(delay_seconds=options.delay_seconds)
    text = "word " * options.words
    turn = Turn(text=text, piece_characters=5, delivery=delivery) if options.words else UNSCRIPTED.turns[0]
    quick = not options.delay_seconds
    upstream = Upstream(unscripted=Script(turns=[turn], repeats=True), quick=quick)
    server = await serving(upstream, options.host, options.port)
    print(json.dumps({"url": url_of(server)}), flush=True)
    async with server:
        await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    """Serves until it is ended; prints one line of JSON with its URL first."""
    parser = argparse.ArgumentParser(prog="model_upstream", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--words", type=int, default=0, help="of what is not scripted, one a frame")
    parser.add_argument("--delay-seconds", type=float, default=0.0, help="before each frame of what is not scripted")
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
