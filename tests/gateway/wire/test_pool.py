"""A provider's bytes: what of them is an answer, when its connection serves again, and how a broken one is told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from opsconsole.gateway.upstream import Answer
from opsconsole.gateway.wire import outgoing
from opsconsole.gateway.wire.headers import HEAD_BYTES_MAX
from opsconsole.gateway.wire.outgoing import Outgoing, UpstreamFailed
from opsconsole.gateway.wire.pool import Pool
from tests.gateway.wire.listening import until

OK = b"HTTP/1.1 200 OK\r\n"
WORDS = OK + b"content-length: 5\r\n\r\nwords"
END = b"<end>"
"""The provider closes the connection here."""


@dataclass
class Provider:
    """Says what a test gives it, one list for each connection: one piece of bytes for each request."""

    says: list[list[bytes]]
    url: str = ""
    asked: list[list[bytes]] = field(default_factory=list)
    """What each connection was asked."""
    ended: int = 0
    """Connections that the other side has closed."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = self.says[len(self.asked)]
        asked: list[bytes] = []
        self.asked.append(asked)
        try:
            for said in mine:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                asked.append(head + (await reader.readexactly(int(lengths[0])) if lengths else b""))
                writer.write(said.removesuffix(END))
                await writer.drain()
                if said.endswith(END):
                    break
            else:
                await reader.read()
                self.ended += 1
        except (OSError, asyncio.IncompleteReadError):
            self.ended += 1
        finally:
            writer.close()


@asynccontextmanager
async def provider(*says: list[bytes], read_seconds: float = 60.0) -> AsyncIterator[tuple[Provider, Pool]]:
    """A provider and a pool that asks it."""
    found = Provider(list(says))
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, limit=2**26)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    pool = Pool(connect_seconds=60.0, read_seconds=read_seconds)
    try:
        yield found, pool
    finally:
        pool.close()
        server.close()


async def ask(pool: Pool, found: Provider, method: str = "POST", body: bytes = b"{}") -> bytes:
    return await Answer(await pool.ask(method, found.url, [(b"x", b"y")], body)).body()


# -- answers -----------------------------------------------------------------------------------------------------------

ANSWERS = {
    "length": b"content-length: 5\r\n\r\nwords",
    "chunks": b"transfer-encoding: chunked\r\n\r\n2\r\nwo\r\n3;a=b\r\nrds\r\n0\r\nx: trailer\r\n\r\n",
    "to the end": b"\r\nwords",
}


@pytest.mark.parametrize("cut", [1, 10, 17, 30, 42, 48])
@pytest.mark.parametrize("framing", list(ANSWERS))
async def test_an_answer_is_the_same_however_it_is_framed_and_cut(framing: str, cut: int) -> None:
    sent = OK + ANSWERS[framing]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in (sent[:cut], sent[cut:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.005)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        pool = Pool(connect_seconds=60.0, read_seconds=60.0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        assert await Answer(await pool.ask("GET", url, [], b"")).body() == b"words"
        pool.close()


async def test_a_request_goes_out_as_it_was_made() -> None:
    async with provider([WORDS]) as (found, pool):
        await ask(pool, found)
        place = found.url.removeprefix("http://").removesuffix("/v1").encode()
        assert found.asked == [[b"POST /v1 HTTP/1.1\r\nhost: " + place + b"\r\nx: y\r\ncontent-length: 2\r\n\r\n{}"]]


async def test_answers_before_the_answer_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
    async with provider([early + WORDS]) as (found, pool):
        assert await ask(pool, found) == b"words"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_without_a_body_ends_with_its_head(status: bytes) -> None:
    async with provider([b"HTTP/1.1 " + status + b"\r\n\r\n", WORDS]) as (found, pool):
        assert (await ask(pool, found), await ask(pool, found)) == (b"", b"words")


# -- connections -------------------------------------------------------------------------------------------------------


async def test_a_connection_serves_again() -> None:
    async with provider([WORDS, WORDS]) as (found, pool):
        assert (await ask(pool, found), await ask(pool, found), len(found.asked)) == (b"words", b"words", 1)


async def test_a_connection_that_is_to_be_closed_serves_once() -> None:
    closing = OK + b"connection: close\r\ncontent-length: 5\r\n\r\nwords"
    async with provider([closing], [WORDS]) as (found, pool):
        assert (await ask(pool, found), await ask(pool, found), len(found.asked)) == (b"words", b"words", 2)


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad", b"\r\n\r\nbad"])
async def test_an_answer_that_nobody_asked_for_is_nobodys(more: bytes) -> None:
    async with provider([WORDS + more], [WORDS]) as (found, pool):
        assert (await ask(pool, found), await ask(pool, found), len(found.asked)) == (b"words", b"words", 2)


async def test_what_comes_on_an_idle_connection_ends_it() -> None:
    async with provider([WORDS], [WORDS]) as (found, pool):
        arriving = await pool.ask("POST", found.url, [], b"{}")
        await Answer(arriving).body()
        [way] = pool._open
        way.data_received(WORDS)
        assert (await ask(pool, found), len(found.asked)) == (b"words", 2)


async def test_an_answer_that_is_aborted_closes_its_connection() -> None:
    async with provider([OK + b"content-length: 9\r\n\r\nwords"]) as (found, pool):
        Answer(await pool.ask("POST", found.url, [], b"{}")).abort()
        await until(lambda: found.ended)


async def test_whoever_leaves_while_asking_closes_the_connection() -> None:
    async with provider([b""]) as (found, pool):
        asking = asyncio.create_task(ask(pool, found))
        await until(lambda: found.asked and found.asked[0])
        asking.cancel()
        await until(lambda: found.ended)


@pytest.mark.parametrize("size", [5, 9], ids=["whole", "amid"])
async def test_whoever_leaves_as_their_answer_comes_breaks_nobody_elses_request(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    received = Outgoing.data_received
    asking: list[asyncio.Task[bytes]] = []

    async with provider([OK + b"content-length: %d\r\n\r\nwords" % size, WORDS], [WORDS]) as (found, pool):

        def come(way: Outgoing, data: bytes) -> None:
            if not asking[1:]:
                asking.append(asyncio.create_task(ask(pool, found)))
                asyncio.get_running_loop().call_soon(asking[0].cancel)
            received(way, data)

        monkeypatch.setattr(Outgoing, "data_received", come)
        asking.append(asyncio.create_task(ask(pool, found)))
        await asyncio.wait(asking)
        assert (await asking[1], len(found.asked)) == (b"words", 1 if size == 5 else 2)


async def test_a_head_that_comes_when_its_asker_has_left_is_nobodys() -> None:
    async with provider([b"", b""]) as (found, pool):
        asking = asyncio.create_task(ask(pool, found))
        await until(lambda: found.asked and found.asked[0])
        [way] = pool._open
        asking.cancel()
        way.data_received(WORDS)
        assert (way.is_open, await asyncio.wait([asking])) == (False, ({asking}, set()))


async def test_what_may_not_go_any_more_once_its_connection_is_open_is_not_sent() -> None:
    def stop() -> None:
        raise RuntimeError("not now")

    async with provider([WORDS]) as (found, pool):
        with pytest.raises(RuntimeError, match="not now"):
            await pool.ask("POST", found.url, [], b"{}", stop)
        assert ([way for way in pool._open if way.is_open], found.asked in ([], [[]])) == ([], True)


async def test_an_abort_that_comes_late_does_not_meet_the_next_answer() -> None:
    async with provider([WORDS, OK + b"content-length: 5\r\n\r\nw", WORDS]) as (found, pool):
        first = Answer(await pool.ask("POST", found.url, [], b"{}"))
        await first.body()
        second = Answer(await pool.ask("POST", found.url, [], b"{}"))
        first.abort()
        first.finish()
        await asyncio.sleep(0.01)
        assert (found.ended, second.status) == (0, 200)


async def test_a_stream_that_has_said_enough_leaves_its_connection_for_the_next() -> None:
    async with provider([OK + b"content-length: 5\r\n\r\nwords", WORDS]) as (found, pool):
        answer = Answer(await pool.ask("POST", found.url, [], b"{}"))
        await answer.pour(lambda data: True)
        answer.finish()
        assert (await ask(pool, found), len(found.asked)) == (b"words", 1)


async def test_a_stream_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "DRAIN_SECONDS", 0.01)
    async with provider([OK + b"content-length: 9\r\n\r\nwords"]) as (found, pool):
        answer = Answer(await pool.ask("POST", found.url, [], b"{}"))
        await answer.pour(lambda data: True)
        answer.finish()
        await until(lambda: found.ended)


async def test_a_reader_that_is_behind_holds_the_provider_back() -> None:
    size = 40_000_000
    async with provider([OK + b"content-length: %d\r\n\r\n" % size + b"x" * size]) as (found, pool):
        answer = Answer(await pool.ask("POST", found.url, [], b"{}"))
        came: list[int] = []

        def take(data: bytes) -> bool:
            came.append(len(data))
            answer.pause()
            return False

        pouring = asyncio.create_task(answer.pour(take))
        await until(lambda: came)
        before = sum(came)
        answer.resume()
        while not pouring.done():
            answer.resume()
            await asyncio.sleep(0)
        await pouring
        assert (before < size, sum(came)) == (True, size)


# -- what is no answer -------------------------------------------------------------------------------------------------

BROKEN = {
    "not HTTP": b"hello\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nxx",
    "two framings": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nwords",
    "another coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a bare LF": OK + b"x: a\ncontent-length: 5\r\n\r\nwords",
    "a folded header": OK + b"x: a\r\n b\r\ncontent-length: 5\r\n\r\nwords",
    "no end of its head": OK + b"x: " + b"a" * (HEAD_BYTES_MAX + 1),
    "an early end": OK + b"content-length: 9\r\n\r\nwords" + END,
    "an early end of chunks": OK + b"transfer-encoding: chunked\r\n\r\n5\r\nwords\r\n6\r\n" + END,
    "no word": END,
}


@pytest.mark.parametrize("name", list(BROKEN))
async def test_what_is_no_whole_answer_is_told_as_a_failure(name: str) -> None:
    async with provider([BROKEN[name]]) as (found, pool):
        with pytest.raises(UpstreamFailed):
            await ask(pool, found)
        assert not [way for way in pool._open if way.is_open]


async def test_a_silent_provider_is_given_up() -> None:
    async with provider([b""], read_seconds=0.05) as (found, pool):
        with pytest.raises(UpstreamFailed) as told:
            await ask(pool, found)
    assert (told.value.timed_out, told.value.may_cost) == (True, True)


async def test_a_provider_that_falls_silent_amid_its_answer_is_given_up() -> None:
    async with provider([OK + b"content-length: 9\r\n\r\nwords"], read_seconds=0.05) as (found, pool):
        with pytest.raises(UpstreamFailed) as told:
            await ask(pool, found)
    assert told.value.timed_out


async def test_a_place_where_nobody_listens_cannot_be_asked() -> None:
    async with provider() as (found, _):
        pass
    with pytest.raises(UpstreamFailed, match="cannot be asked"):
        await ask(Pool(connect_seconds=60.0, read_seconds=60.0), found)


async def test_what_changes_nothing_is_sent_again_where_a_kept_connection_had_ended() -> None:
    async with provider([WORDS, END], [WORDS]) as (found, pool):
        assert (await ask(pool, found, "GET"), await ask(pool, found, "GET")) == (b"words", b"words")


async def test_what_may_have_been_heard_is_not_sent_again() -> None:
    async with provider([WORDS, END], [WORDS]) as (found, pool):
        await ask(pool, found)
        with pytest.raises(UpstreamFailed):
            await ask(pool, found)
        assert len(found.asked) == 1


@pytest.mark.parametrize("url", ["ftp://x/v1", "x/v1", "http:///v1", "http://127.0.0.1:1/a b", "http://127.0.0.1:1/\n"])
async def test_an_address_that_is_none_is_not_asked(url: str) -> None:
    with pytest.raises(UpstreamFailed, match="address"):
        await Pool(connect_seconds=1.0, read_seconds=1.0).ask("POST", url, [], b"")


async def test_a_key_with_a_line_end_begins_no_second_request() -> None:
    async with provider([WORDS]) as (found, pool):
        with pytest.raises(UpstreamFailed):
            await pool.ask("POST", found.url, [(b"authorization", b"Bearer a\r\nx: y")], b"")
        assert found.asked == []


async def test_credentials_in_the_address_are_shown_where_the_client_shows_none() -> None:
    async with provider([WORDS, WORDS]) as (found, pool):
        found.url = found.url.replace("http://", "http://ana:s%40cret@")
        await ask(pool, found)
        await Answer(await pool.ask("POST", found.url, [(b"authorization", b"Bearer a")], b"")).body()
        [first, second] = found.asked[0]
    shown = b"authorization: Basic " + base64.b64encode(b"ana:s@cret")
    assert (shown in first, shown in second, b"Bearer a" in second) == (True, False, True)
