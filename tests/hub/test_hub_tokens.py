"""Tokens: made once, stored only as hashes, ended at once; every change in the audit; and the hub's backup."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opsconsole_storage import DiskFull, MemoryStore
from tests.support.hub import RunningHub, hub_process, mint, running_hub

FILES = {"operator.token": "operator", "admin.token": "admin", "agent.token": "agent", "gateway.token": "gateway"}


async def kinds(hub: RunningHub, kind: str) -> list[dict[str, Any]]:
    async with hub.http() as client:
        return list((await client.get(f"/v1/audit?kind={kind}")).json()["entries"])


async def test_the_first_start_writes_tokens_that_only_their_owner_can_read(hub: RunningHub) -> None:
    modes = {name: stat.S_IMODE((hub.data_dir / name).stat().st_mode) for name in [*FILES, "hub.json"]}
    assert modes == dict.fromkeys([*FILES, "hub.json"], 0o600)
    for name, role in FILES.items():
        lines = (hub.data_dir / name).read_text().splitlines()
        assert len(lines) == 1
        if role not in ("agent", "gateway"):
            async with hub.http(token=lines[0]) as client:
                assert (await client.get("/v1/info")).json()["role"] == role


async def test_secrets_are_stored_only_as_hashes(disk_hub: RunningHub) -> None:
    token = (await mint(disk_hub, "operator"))["token"]
    secret = token.split("_", 2)[2]
    names = [path for path in disk_hub.data_dir.iterdir() if path.is_file() and not path.name.endswith(".token")]
    assert [path.name for path in names if secret.encode() in path.read_bytes()] == []


async def test_a_new_token_works_and_is_listed_without_its_secret(hub: RunningHub) -> None:
    made = await mint(hub, "observer", ttl_seconds=60.0)
    async with hub.http(token=made["token"]) as client, hub.http("admin") as admin:
        assert (await client.get("/v1/info")).json()["role"] == "observer"
        listed = (await admin.get("/v1/tokens")).json()["tokens"]
    (row,) = [row for row in listed if row["id"] == made["id"]]
    assert (row["name"], row["created_by"], row["expires_at"] is not None) == ("a observer", "admin@bootstrap", True)
    assert made["token"] not in str(listed)


async def test_a_console_is_told_when_its_token_ends(hub: RunningHub) -> None:
    made = await mint(hub, "operator", ttl_seconds=60.0)
    async with hub.http("admin") as admin:
        listed = (await admin.get("/v1/tokens")).json()["tokens"]
    (row,) = [row for row in listed if row["id"] == made["id"]]
    async with hub.console(made["token"]) as console, hub.console() as forever:
        assert (console.welcome["token_ends"], forever.welcome.get("token_ends")) == (row["expires_at"], None)


async def test_making_and_revoking_are_in_the_audit_with_who_did_it(hub: RunningHub) -> None:
    made = await mint(hub, "operator")
    async with hub.http("admin") as admin:
        await admin.delete(f"/v1/tokens/{made['id']}")
    created = [entry for entry in await kinds(hub, "token.created") if entry["token_id"] == made["id"]]
    revoked = await kinds(hub, "token.revoked")
    assert [entry["who"]["principal"] for entry in created + revoked] == ["admin@bootstrap", "admin@bootstrap"]
    assert revoked[0]["token_id"] == made["id"]


async def test_a_revoked_token_opens_nothing_also_after_a_restart(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        made = await mint(hub, "operator")
        async with hub.http("admin") as admin:
            await admin.delete(f"/v1/tokens/{made['id']}")
            assert (await admin.delete(f"/v1/tokens/{made['id']}")).status_code == 200
    async with running_hub(tmp_path) as hub, hub.http(token=made["token"]) as client:
        assert (await client.get("/v1/info")).status_code == 401


@pytest.mark.parametrize("role", ["operator", "agent"])
async def test_only_an_admin_makes_tokens(hub: RunningHub, role: str) -> None:
    async with hub.http(role) as client:
        assert (await client.post("/v1/tokens", json={"name": "x", "role": "admin"})).status_code == 403
        assert (await client.get("/v1/tokens")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "", "role": "operator"},
        {"name": "x", "role": "root"},
        {"name": "a\x1b[31mred", "role": "operator"},
        {"name": "x", "role": "operator", "ttl_seconds": 0},
        {"name": "x", "role": "operator", "agent_prefix": "a"},
    ],
)
async def test_a_token_that_makes_no_sense_is_not_made(hub: RunningHub, body: dict[str, Any]) -> None:
    async with hub.http("admin") as admin:
        assert (await admin.post("/v1/tokens", json=body)).status_code == 422


async def test_a_token_that_cannot_be_recorded_is_not_made(tmp_path: Path) -> None:
    store = MemoryStore()
    async with running_hub(tmp_path, store=store) as hub, hub.http("admin") as admin:
        store.refuse(DiskFull("no space"))
        response = await admin.post("/v1/tokens", json={"name": "x", "role": "operator"})
        store.refuse(None)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "storage_failed")
        assert [row["name"] for row in (await admin.get("/v1/tokens")).json()["tokens"] if row["name"] == "x"] == []


async def test_a_restart_keeps_the_tokens(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        first = {name: (tmp_path / name).read_text() for name in FILES}
        made = await mint(hub, "operator")
    async with running_hub(tmp_path) as hub, hub.http(token=made["token"]) as client:
        assert (await client.get("/v1/info")).status_code == 200
        assert {name: (tmp_path / name).read_text() for name in FILES} == first


async def test_a_deleted_token_file_is_replaced_and_its_token_ends(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        old = hub.token("operator")
    (tmp_path / "operator.token").unlink()
    (tmp_path / "admin.token").write_text("rubbish")
    (tmp_path / "agent.token").chmod(0o644)
    async with running_hub(tmp_path) as hub, hub.http(token=old) as client, hub.http("admin") as admin:
        assert (await client.get("/v1/info")).status_code == 401
        assert (await admin.get("/v1/info")).status_code == 200
        assert stat.S_IMODE((tmp_path / "agent.token").stat().st_mode) == 0o600


async def test_a_backup_is_a_directory_that_a_hub_starts_with(disk_hub: RunningHub, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    async with disk_hub.agent() as agent, disk_hub.http("admin") as admin:
        await agent.begin()
        assert (await admin.post("/v1/backup", json={"target": str(target)})).status_code == 200
        assert (await admin.post("/v1/backup", json={"target": str(target)})).status_code == 409
        assert (await admin.post("/v1/backup", json={"target": "relative"})).status_code == 422
    async with running_hub(target) as copy, copy.http() as client:
        assert [row["run"] for row in (await client.get("/v1/runs")).json()["rows"]] == ["run_1"]


async def test_only_an_admin_makes_backups(hub: RunningHub, tmp_path: Path) -> None:
    async with hub.http() as client:
        assert (await client.post("/v1/backup", json={"target": str(tmp_path / "x")})).status_code == 403


def test_a_database_from_a_newer_version_is_refused_with_a_word(tmp_path: Path) -> None:
    with hub_process(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "hub.db")) as database, database:
        database.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('opsconsole.hub', 'later', 'x')"
        )
    with pytest.raises(RuntimeError, match="ended with 5"), hub_process(tmp_path):
        pass


async def test_a_login_of_a_minted_token_names_its_bearer(hub: RunningHub) -> None:
    made = await mint(hub, "operator")
    async with hub.console(made["token"]):
        pass
    logins = [entry for entry in await kinds(hub, "login") if entry["who"]["token"] == made["id"]]
    assert [entry["who"]["principal"] for entry in logins] == ["a operator"]


async def test_an_agents_token_that_live_runs_need_ends_only_by_force(hub: RunningHub) -> None:
    made = await mint(hub, "agent")
    path = f"/v1/tokens/{made['id']}"
    async with hub.agent(token=made["token"]) as agent, hub.http("admin") as admin:
        await agent.begin()
        refused = await admin.delete(path)
        listed = (await admin.get("/v1/tokens")).json()["tokens"]
        forced = await admin.delete(f"{path}?force=1")
        assert (await agent.closed())[0] == 4501
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["current"]) == (409, "precondition_failed", {"runs": ["run_1"]})
    assert [row["revoked_at"] for row in listed if row["id"] == made["id"]] == [None]
    assert forced.status_code == 200
    assert [entry["runs_left"] for entry in await kinds(hub, "token.revoked")] == [1]


async def test_an_agents_token_whose_runs_have_ended_is_revoked_at_once(hub: RunningHub) -> None:
    made, other = await mint(hub, "agent"), await mint(hub, "operator")
    async with hub.agent(token=made["token"]) as agent, hub.agent(run="run_2") as stranger:
        await agent.begin()
        await stranger.begin()
        await agent.stored(await agent.emit({"type": "state", "state": "completed"}))
    async with hub.http("admin") as admin:
        answers = [await admin.delete(f"/v1/tokens/{token['id']}") for token in (made, other)]
    assert [answer.status_code for answer in answers] == [200, 200]
