"""A client's bytes: which of them are requests, which are refused, and what a connection does after its answer."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable

import pytest

from opsconsole.gateway import http_server, request_body
from opsconsole.gateway.wire import incoming
from opsconsole.gateway.wire.exchange import Exchange
from opsconsole.gateway.wire.headers import HEAD_BYTES_MAX, HEADERS_MAX
from tests.gateway.wire.listening import Listening, listening, silent, until

CLOSE = b"connection: close\r\n"
GET = b"GET /a HTTP/1.1\r\nhost: x\r\n"


def post(body: bytes, *headers: bytes, version: bytes = b"1.1") -> bytes:
    head = b"POST /a?b=c HTTP/%b\r\nhost: x\r\ncontent-length: %d\r\n" % (version, len(body))
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


def status_of(answer: bytes) -> bytes:
    return answer[9:12]


# -- what is read ------------------------------------------------------------------------------------------------------


async def test_a_request_is_read_and_its_answer_written() -> None:
    async with listening() as place:
        answer = await place.says(post(b"words", b"connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nx-path: /a\r\ncontent-length: 5\r\n")
    assert answer.endswith(b"\r\n\r\nwords")
    assert (place.asked[0].method, place.asked[0].query) == ("POST", b"b=c")


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_a_request_means_the_same_wherever_it_is_cut(cut: int) -> None:
    sent = post(b"words", b"connection: close")
    async with listening() as place:
        reader, writer = await place.connect()
        writer.write(sent[:cut])
        await until(lambda: place.server.connections)
        await asyncio.sleep(0.01)
        writer.write(sent[cut:])
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert answer.endswith(b"\r\n\r\nwords")


async def test_a_body_in_chunks_is_one_body_and_its_trailers_are_nobodys() -> None:
    sent = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n" + CLOSE
    sent += b"\r\n2;x=y\r\nwo\r\n3\r\nrds\r\n0\r\nauthorization: Bearer other\r\n\r\n"
    async with listening() as place:
        assert (await place.says(sent)).endswith(b"words")
        assert "authorization" not in place.asked[0].headers


async def test_one_connection_serves_one_request_after_another() -> None:
    async with listening() as place:
        reader, writer = await place.connect()
        for number in range(3):
            writer.write(post(b"%d" % number))
            assert (await reader.readuntil(b"\r\n\r\n%d" % number)).startswith(b"HTTP/1.1 200")
        writer.close()
        assert len(place.asked) == 3


@pytest.mark.parametrize(("again", "is_the_same"), [(b"x: a", True), (b"x: b", False), (b"x: a\r\nx: a", False)])
async def test_headers_that_come_again_are_read_once_and_others_anew(again: bytes, is_the_same: bool) -> None:
    async with listening() as place:
        reader, writer = await place.connect()
        for number, header in enumerate((b"x: a", again)):
            writer.write(post(b"y" * (number + 1), header))
            await reader.readuntil(b"\r\n\r\n" + b"y" * (number + 1))
        writer.close()
        first, second = place.asked
        assert (second.head is first.head, second.headers["x"]) == (is_the_same, again[-1:].decode())


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it() -> None:
    async with listening() as place:
        reader, writer = await place.connect()
        writer.write(post(b"", b"expect: 100-continue", b"connection: close").replace(b"length: 0", b"length: 5"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"words")
        assert (await reader.read()).endswith(b"words")
        writer.close()


async def test_a_target_as_proxies_are_asked_is_its_path() -> None:
    async with listening() as place:
        await place.says(b"GET http://elsewhere/a/b?c HTTP/1.1\r\nhost: x\r\n" + CLOSE + b"\r\n")
        assert (place.asked[0].path, place.asked[0].query) == ("/a/b", b"c")


# -- what two servers could read differently ---------------------------------------------------------------------------

SMUGGLED = {
    "two framings": b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two framings, turned": b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: 4\r\ncontent-length: 4\r\n\r\nabcd",
    "two lengths in one": b"content-length: 4, 4\r\n\r\nabcd",
    "a signed length": b"content-length: +4\r\n\r\nabcd",
    "a space before the colon": b"content-length : 4\r\n\r\nabcd",
    "a folded header": b"x: a\r\n b\r\ncontent-length: 4\r\n\r\nabcd",
    "a bare LF": b"x: a\ncontent-length: 4\r\n\r\nabcd",
    "a bare CR": b"x: a\rb: c\r\ncontent-length: 4\r\n\r\nabcd",
    "a NUL": b"x: a\0b\r\ncontent-length: 4\r\n\r\nabcd",
    "another coding": b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding that is not last": b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a coding nobody knows": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks with bare LF": b"transfer-encoding: chunked\r\n\r\n4\nabcd\n0\n\n",
}


@pytest.mark.parametrize("name", list(SMUGGLED))
async def test_a_request_that_could_be_read_in_two_ways_is_not_read(name: str) -> None:
    async with listening() as place:
        answer = await place.says(b"POST /a HTTP/1.1\r\nhost: x\r\n" + SMUGGLED[name] + GET + b"\r\n")
        assert (status_of(answer) in (b"400", b"501"), answer.count(b"\r\n\r\n"), place.asked) == (True, 1, [])


async def test_chunks_of_an_old_client_are_not_read() -> None:
    sent = b"POST /a HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
    async with listening() as place:
        assert (status_of(await place.says(sent)), place.asked) == (b"501", [])


async def test_a_second_request_before_the_first_answer_breaks_the_connection() -> None:
    async with listening(silent) as place:
        reader, writer = await place.connect()
        writer.write(GET + b"\r\n")
        await until(lambda: place.asked)
        writer.write(GET + b"\r\n")
        assert await reader.read() == b""
        assert (place.asked[0].gone, len(place.asked)) == (True, 1)
        writer.close()


async def test_two_requests_at_once_are_none() -> None:
    async with listening() as place:
        assert b"200" not in await place.says((GET + b"\r\n") * 2)


UPGRADE = b"connection: upgrade\r\nupgrade: "
POST = b"POST /a HTTP/1.1\r\nhost: x\r\n"
OTHER_PROTOCOLS = {
    "websocket": GET + UPGRADE + b"websocket\r\n\r\n",
    "tunnel": b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "body": POST + UPGRADE + b"h2c\r\ncontent-length: 5\r\n\r\nwords",
    "chunks": POST + UPGRADE + b"h2c\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwords\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", list(OTHER_PROTOCOLS))
async def test_another_protocol_is_not_spoken(name: str) -> None:
    async with listening() as place:
        assert status_of(await place.says(OTHER_PROTOCOLS[name])) == b"426"


async def test_a_wish_for_another_protocol_is_not_heard_and_what_follows_is_not_read() -> None:
    async with listening() as place:
        answer = await place.says(GET + UPGRADE + b"h2c\r\n\r\n" + GET + b"\r\n")
    assert (status_of(answer), b"connection: close" in answer, len(place.asked)) == (b"200", True, 1)


async def test_a_wish_for_another_protocol_hides_no_framing() -> None:
    sent = POST + UPGRADE + b"h2c\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    async with listening() as place:
        assert (status_of(await place.says(sent)), place.asked) == (b"501", [])


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"hello\r\n\r\n"])
async def test_what_is_no_request_is_refused_and_nothing_more_is_read(sent: bytes) -> None:
    async with listening() as place:
        assert (status_of(await place.says(sent)), place.asked) == (b"400", [])


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_a_head_has_a_most_number_of_headers() -> None:
    async with listening() as place:
        sent = GET + b"".join(b"x-%d: y\r\n" % number for number in range(HEADERS_MAX + 1)) + b"\r\n"
        assert (status_of(await place.says(sent)), place.asked) == (b"431", [])


async def test_a_head_without_an_end_is_refused() -> None:
    async with listening() as place:
        reader, writer = await place.connect()
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"a" * (HEAD_BYTES_MAX + 1))
        assert status_of(await reader.readuntil(b"\r\n\r\n")) == b"431"
        writer.close()
        await until(lambda: not place.server.connections)


async def test_trailers_without_an_end_are_not_read_on() -> None:
    async with listening() as place:
        reader, writer = await place.connect()
        writer.write(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: ")
        for _ in range(4):
            writer.write(b"a" * HEAD_BYTES_MAX)
        assert status_of(await reader.readuntil(b"\r\n\r\n")) == b"431"
        assert place.asked == []
        writer.close()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
async def test_a_body_beyond_the_limit_is_refused_and_its_connection_ends(
    monkeypatch: pytest.MonkeyPatch, is_chunked: bool
) -> None:
    monkeypatch.setattr(incoming, "BODY_BYTES_MAX", 4)
    monkeypatch.setattr(request_body, "BODY_BYTES_MAX", 4)
    chunks = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwords\r\n0\r\n\r\n"
    async with listening() as place:
        answer = await place.says(chunks if is_chunked else post(b"words"))
        assert (status_of(answer), answer[-17:]) == (b"413", b"request_too_large")


async def test_a_client_that_takes_too_long_over_its_head_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "HEAD_SECONDS", 0.001)
    monkeypatch.setattr(http_server, "LOOK_SECONDS", 0.01)
    async with listening() as place:
        reader, writer = await place.connect()
        writer.write(b"GET / HTT")
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_a_client_whose_body_pauses_too_long_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "BODY_QUIET_SECONDS", 0.001)
    monkeypatch.setattr(http_server, "LOOK_SECONDS", 0.01)
    async with listening() as place:
        reader, writer = await place.connect()
        writer.write(post(b"words")[:-1])
        assert await asyncio.wait_for(reader.read(), 30) == b""
        assert place.asked == []
        writer.close()


async def test_a_body_in_tiny_chunks_takes_no_more_memory_than_its_bytes() -> None:
    async with listening() as place:
        _, writer = await place.connect()
        await until(lambda: place.server.connections)
        [connection] = place.server.connections
        tracemalloc.start()
        connection.data_received(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 50_000)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        writer.close()
    assert taken < 1_000_000


# -- clients that do not read ------------------------------------------------------------------------------------------

LARGE = b"x" * 40_000_000
"""More than the kernel keeps."""


def large(exchange: Exchange) -> None:
    exchange.answer(200, [], LARGE)


def stream(exchange: Exchange) -> None:
    exchange.begin(200, [])
    exchange.write(LARGE)


async def unread(place: Listening, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that asks, and reads nothing yet."""
    reader, writer = await place.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(sent + b"\r\n")
    await until(lambda: place.asked)
    return reader, writer


@pytest.mark.parametrize("app", [large, stream], ids=["whole", "amid"])
@pytest.mark.parametrize("sent", [GET, GET + CLOSE], ids=["kept", "closes"])
async def test_a_client_that_takes_nothing_of_its_answer_is_cut(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, app: Callable[[Exchange], None]
) -> None:
    monkeypatch.setattr(incoming, "UNTAKEN_SECONDS", 0.05)
    monkeypatch.setattr(http_server, "LOOK_SECONDS", 0.01)
    async with listening(app) as place:
        _, writer = await unread(place, sent)
        await until(lambda: not place.server.connections)
        assert place.asked[0].gone == (app is stream)
        writer.close()


async def test_a_client_that_still_reads_a_large_answer_is_not_taken_for_an_idle_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incoming, "KEEP_ALIVE_SECONDS", 0.001)
    async with listening(large) as place:
        reader, writer = await unread(place, GET)
        [connection] = place.server.connections
        for seconds in (1.0, 2.0, 3.0):
            connection.look(asyncio.get_running_loop().time() + seconds)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).startswith(b"HTTP/1.1 200")
        assert len(await asyncio.wait_for(reader.readexactly(len(LARGE)), 30)) == len(LARGE)
        writer.close()


# -- answers -----------------------------------------------------------------------------------------------------------


def in_parts(exchange: Exchange) -> None:
    exchange.begin(200, [])
    exchange.write(b"wo")
    exchange.write(b"rds")
    exchange.end()


def cut(exchange: Exchange) -> None:
    exchange.begin(200, [])
    exchange.write(b"wo")
    exchange.cut()


async def test_an_answer_in_parts_goes_in_chunks() -> None:
    async with listening(in_parts) as place:
        answer = await place.says(GET + CLOSE + b"\r\n")
    assert answer.endswith(b"\r\n\r\n2\r\nwo\r\n3\r\nrds\r\n0\r\n\r\n")


async def test_an_old_client_gets_an_answer_that_ends_with_its_connection() -> None:
    async with listening(in_parts) as place:
        answer = await place.says(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    assert (answer.endswith(b"\r\n\r\nwords"), b"chunked" in answer) == (True, False)


async def test_a_cut_answer_has_no_end() -> None:
    async with listening(cut) as place:
        assert (await place.says(GET + b"\r\n")).endswith(b"2\r\nwo\r\n")


async def test_an_old_client_sees_a_cut_answer_as_a_broken_connection() -> None:
    async with listening(cut) as place:
        assert await place.says(b"GET / HTTP/1.0\r\n\r\n") == b"<reset>"


async def test_an_answer_without_a_body_has_none() -> None:
    async with listening(lambda exchange: exchange.answer(204, [], b"words")) as place:
        assert (await place.says(GET + CLOSE + b"\r\n")).endswith(b"\r\n\r\n")


async def test_an_answer_to_head_tells_its_length_only() -> None:
    async with listening(lambda exchange: exchange.answer(200, [], b"words")) as place:
        answer = await place.says(b"HEAD / HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert (b"content-length: 5" in answer, answer.endswith(b"\r\n\r\n")) == (True, True)


async def test_no_header_of_an_answer_begins_a_second_answer() -> None:
    async with listening(silent) as place:
        _, writer = await place.connect()
        writer.write(GET + b"\r\n")
        await until(lambda: place.asked)
        with pytest.raises(ValueError, match="line end"):
            place.asked[0].answer(200, [(b"x", b"a\r\n\r\nHTTP/1.1 200 OK")], b"")
        writer.close()


async def test_whoever_waits_hears_that_the_client_has_gone() -> None:
    async with listening(silent) as place:
        _, writer = await place.connect()
        writer.write(GET + b"\r\n")
        await until(lambda: place.asked)
        told: list[bool] = []
        place.asked[0].on_gone = lambda: told.append(True)
        writer.close()
        await until(lambda: told)
        place.asked[0].answer(200, [], b"")
        assert place.asked[0].gone


async def test_a_client_that_reads_slowly_is_full_until_it_has_caught_up() -> None:
    async with listening(silent) as place:
        reader, writer = await place.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET + b"\r\n")
        await until(lambda: place.asked)
        exchange, told = place.asked[0], list[bool]()
        exchange.on_room = lambda: told.append(exchange.is_full)
        exchange.begin(200, [])
        while not exchange.is_full:
            exchange.write(b"x" * 1_000_000)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(30):
            while not told:
                await reader.read(2**20)
        assert told == [False]
        writer.close()
