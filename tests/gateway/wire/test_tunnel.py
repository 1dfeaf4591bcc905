"""The way through a proxy: what it is asked, what it hears, and that TLS goes through it to the provider itself."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from opsconsole.gateway.upstream import Answer
from opsconsole.gateway.wire.outgoing import UpstreamFailed
from opsconsole.gateway.wire.pool import Pool
from opsconsole.gateway.wire.tunnel import proxy_for

WORDS = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwords"
HOST = "provider.test"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def serving(answer: object, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)  # type: ignore[arg-type]
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def pool() -> AsyncIterator[Pool]:
    found = Pool(connect_seconds=60.0, read_seconds=60.0)
    try:
        yield found
    finally:
        found.close()


def trusted(folder: Path) -> ssl.SSLContext:
    """A server's TLS for HOST; its certificate is in `folder`, to be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_a_plain_request_goes_to_the_proxy_with_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(WORDS)
        writer.close()

    async with serving(proxy) as port, pool() as found:
        monkeypatch.setenv("http_proxy", f"http://ana:secret@127.0.0.1:{port}")
        assert await Answer(await found.ask("GET", f"http://{HOST}:99/v1/models", [], b"")).body() == b"words"
    first = b"GET http://provider.test:99/v1/models HTTP/1.1\r\nhost: provider.test:99\r\n"
    assert (asked[0].startswith(first), b"proxy-authorization: Basic " in asked[0]) == (True, True)


async def test_a_secure_request_goes_through_the_proxy_to_the_provider_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[bytes] = []
    piped: list[bytes] = []

    async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n{}"))
        writer.write(WORDS)
        await writer.drain()
        await reader.read()
        writer.close()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            piped.append(data)
            writer.write(data)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        piped.append(await reader.readuntil(b"\r\n\r\n"))
        there, here = await asyncio.open_connection("127.0.0.1", secure_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, here), pipe(there, writer), return_exceptions=True)

    context = trusted(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with serving(provider, context) as secure_port, serving(proxy) as port, pool() as found:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        headers = [(b"authorization", b"Bearer sk-secret")]
        assert await Answer(await found.ask("POST", f"https://{HOST}/v1", headers, b"{}")).body() == b"words"
    assert (b"Bearer sk-secret" in asked[0], b"sk-secret" in b"".join(piped)) == (True, False)
    assert piped[0] == b"CONNECT provider.test:443 HTTP/1.1\r\nhost: provider.test:443\r\n\r\n"


@pytest.mark.parametrize("said", [b"HTTP/1.1 407 Who?\r\n\r\n", b"hello", b"\r\n\r\n"], ids=["407", "no head", "empty"])
async def test_a_proxy_that_lets_nobody_through_is_told(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with serving(proxy) as port, pool() as found:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises(UpstreamFailed, match="cannot be asked: TunnelRefused"):
            await found.ask("POST", f"https://{HOST}/v1", [], b"{}")


def test_a_place_on_this_machine_and_one_that_is_excepted_have_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "excepted.test")
    found = [proxy_for("https", host, None) for host in ("127.0.0.1", "localhost", "excepted.test", HOST)]
    assert [one is not None for one in found] == [False, False, False, True]


def test_a_proxy_that_nobody_here_can_speak_to_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ValueError, match="socks5"):
        proxy_for("https", HOST, None)
