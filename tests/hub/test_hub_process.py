"""The hub as a real process: its exit codes, its signals, and what a restart or a kill -9 leaves behind."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from opsconsole.errors import ConfigError
from tests.support.hub import PATIENCE_SECONDS, SERVE, RunningHub, held_port, hub_process, note, running_hub

pytestmark = pytest.mark.process


def serve(data_dir: Path, host: str = "127.0.0.1", port: int = 0) -> tuple[int, str]:
    """Exit code and standard error of a hub that does not come up."""
    command = [sys.executable, "-c", SERVE, str(data_dir), host, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_second_hub_on_one_directory_is_told_who_holds_it(tmp_path: Path) -> None:
    with hub_process(tmp_path) as hub:
        code, said = serve(tmp_path)
        assert hub.process is not None
        assert code == 4
        assert f"process {hub.process.pid}" in said
        assert hub.url in said


def test_a_hub_beyond_loopback_without_tls_is_refused(tmp_path: Path) -> None:
    code, said = serve(tmp_path, host="0.0.0.0")
    assert (code, "--tls-cert" in said, "--insecure-bind" in said) == (2, True, True)
    assert not (tmp_path / "audit.db").exists()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with hub_process(tmp_path / "one") as hub:
        port = int(hub.url.rpartition(":")[2])
        code, said = serve(tmp_path / "two", port=port)
    assert (code, str(port) in said) == (2, True)


def test_a_changed_audit_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    with hub_process(tmp_path):
        pass
    (tmp_path / "audit.checkpoint").unlink()
    code, said = serve(tmp_path)
    assert (code, "opsconsole audit verify" in said) == (5, True)
    assert "Traceback" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    code, said = serve(tmp_path)
    assert (code, str(tmp_path) in said) == (5, True)


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    code, said = serve(tmp_path / "data")
    assert (code, "Traceback" in said) == (5, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: int) -> None:
    with hub_process(tmp_path) as hub:
        assert hub.process is not None
        hub.process.send_signal(number)
        assert hub.process.wait(PATIENCE_SECONDS) == 0
    assert not (tmp_path / "hub.json").exists()


def test_the_first_start_tells_how_to_connect(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path), "127.0.0.1", "0"]
    for expected in (True, False):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
            assert first.startswith("opsconsole hub at http://127.0.0.1:")
            assert (str(tmp_path / "operator.token") in rest) is expected
            assert (tmp_path / "operator.token").read_text().strip() not in first + rest


async def test_the_address_file_is_private_and_true(tmp_path: Path) -> None:
    with held_port() as port, hub_process(tmp_path, port=port) as hub:
        info = json.loads((tmp_path / "hub.json").read_text())
        assert hub.process is not None
        assert (info["url"], info["pid"]) == (hub.url, hub.process.pid)
        assert stat.S_IMODE((tmp_path / "hub.json").stat().st_mode) == 0o600


async def test_a_restart_keeps_runs_approvals_and_what_was_decided(tmp_path: Path) -> None:
    with hub_process(tmp_path) as hub:
        await work(hub)
    await check(tmp_path)


async def test_a_hub_killed_without_warning_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    with hub_process(tmp_path) as hub:
        await work(hub)
        assert hub.process is not None
        hub.process.kill()
        hub.process.wait()
    await check(tmp_path)


async def work(hub: RunningHub) -> None:
    """One call held, one decided, a hundred notes; all acknowledged."""
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await console.follow("approvals")
        await agent.propose("call_1", command="one")
        row = await console.row(lambda row: row.get("call") == "call_1")
        decision = {"approval": row["approval"], "answer": "approve", "digest": row["digest"]}
        assert (await console.command(cmd="cmd_1", do="decide", **decision))["ok"]
        await agent.propose("call_2", command="two")
        await console.row(lambda row: row.get("call") == "call_2")
        await agent.stored(await agent.emit(*(note(str(number)) for number in range(100))))


async def check(data_dir: Path) -> None:
    """A new hub on the directory knows all of it, and the agent goes on where it was."""
    async with running_hub(data_dir) as hub, hub.http() as client, hub.agent() as agent:
        assert agent.seq == 104
        verdict = await agent.next("cmd")
        assert (verdict["call"], verdict["outcome"]) == ("call_1", "allow")
        approvals = (await client.get("/v1/approvals?status=all")).json()["rows"]
        assert {row["call"]: row["status"] for row in approvals} == {"call_1": "approved", "call_2": "pending"}
        events = (await client.get("/v1/runs/run_1/events?tail=1&limit=100")).json()["events"]
        notes = [row["event"]["text"] for row in events if row["event"]["type"] == "note"]
        assert notes == [str(number) for number in range(100)]
        again = {"cmd": "cmd_1", "do": "decide", "approval": approvals[0]["approval"]}
        replay = await client.post("/v1/commands", json=again)
        assert replay.json()["error"]["code"] == "idempotency_conflict"
        assert (await client.get("/v1/audit/verify")).json()["ok"] is True


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(tz=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (directory / "key.pem").write_bytes(private)
    return directory / "cert.pem", directory / "key.pem"


async def test_with_a_certificate_everything_travels_encrypted(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(cert))
    async with running_hub(tmp_path / "data", tls_cert=cert, tls_key=key) as hub:
        assert hub.url.startswith("https://")
        headers = {"Authorization": f"Bearer {hub.token()}"}
        async with httpx.AsyncClient(
            base_url=hub.url, verify=trust, headers=headers, timeout=PATIENCE_SECONDS
        ) as client:
            assert (await client.get("/v1/info")).status_code == 200
        async with hub.socket("/v1/operator", hub.token(), ssl=trust) as console:
            await console.send(t="hello")
            assert (await console.receive())["t"] == "welcome"


@pytest.mark.parametrize("content", ["not a certificate", ""])
async def test_a_certificate_that_is_none_is_refused_with_a_word(tmp_path: Path, content: str) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=r"cert\.pem"):
        async with running_hub(tmp_path / "data", tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem"):
            pass


def test_the_logs_hold_no_token(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path), "127.0.0.1", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3].rstrip(",")
        token = (tmp_path / "operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}x"}
        httpx.get(f"{url}/v1/info?token={token}", headers=headers, timeout=PATIENCE_SECONDS)
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
    assert token.rpartition("_")[2] not in said
