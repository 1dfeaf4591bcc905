"""The policy file at work in a hub: loaded at the start, taken up when it changes, refused when it is bad."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from opsconsole.errors import ConfigError
from opsconsole.hub import upkeep
from opsconsole.hub.policy_file import PolicyFile
from tests.support.hub import PATIENCE_SECONDS, RunningHub, running_hub

FIRST = """
version = 1
name = "first"
[[rules]]
id = "look"
tool = "peek"
decision = "allow"
"""
SECOND = FIRST.replace('"first"', '"second"').replace('"peek"', '"peek|look"')
BAD = FIRST.replace('decision = "allow"', 'decison = "allow"')


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.01)
    path = tmp_path / "policy.toml"
    path.write_text(FIRST)
    return path


async def answers(hub: RunningHub, path: str) -> dict[str, Any]:
    async with hub.http("operator") as client:
        return dict((await client.get(path)).json())


async def until(hold: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if found := await hold():
                return found
            await asyncio.sleep(0.01)


def put(path: Path, text: str) -> None:
    """All of it at once: the hub may look at any moment."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


async def entries(hub: RunningHub, kind: str) -> list[dict[str, Any]]:
    found = await answers(hub, "/v1/audit?limit=200")
    return [entry for entry in found["entries"] if entry.get("kind") == kind]


async def test_the_hub_knows_its_policy_by_name_and_hash(tmp_path: Path, policy: Path) -> None:
    async with running_hub(tmp_path / "data", policy=policy) as hub:
        info = await answers(hub, "/v1/info")
    assert (info["policy"], info["policy_hash"][:7], info["alerts"]) == ("first", "sha256:", [])


async def test_a_hub_does_not_start_with_a_bad_policy_and_tells_every_problem(tmp_path: Path, policy: Path) -> None:
    put(policy, BAD.replace("version = 1", "version = 2"))
    with pytest.raises(ConfigError) as refused:
        async with running_hub(tmp_path / "data", policy=policy):
            pass
    assert ["line 2: version" in str(refused.value), "decison" in str(refused.value)] == [True, True]


async def test_a_changed_file_is_taken_up_and_its_difference_is_on_record(tmp_path: Path, policy: Path) -> None:
    async with running_hub(tmp_path / "data", policy=policy) as hub:
        before = (await answers(hub, "/v1/info"))["policy_hash"]
        put(policy, SECOND)
        change = (await until(lambda: _changes(hub, 2)))[-1]
        after = (await answers(hub, "/v1/info"))["policy_hash"]
    assert (change["before"], change["hash"]) == (before, after)
    assert '+tool = "peek|look"' in change["diff"].splitlines()


async def _changes(hub: RunningHub, count: int) -> list[dict[str, Any]]:
    found = await entries(hub, "policy.changed")
    return sorted(found, key=lambda entry: entry["seq"]) if len(found) >= count else []


async def test_a_bad_change_keeps_the_old_policy_and_alarms_once(tmp_path: Path, policy: Path) -> None:
    async with running_hub(tmp_path / "data", policy=policy) as hub:
        before = (await answers(hub, "/v1/info"))["policy_hash"]
        put(policy, BAD)
        await until(lambda: entries(hub, "policy.rejected"))
        put(policy, BAD + "\n")
        info = await answers(hub, "/v1/info")
        assert (info["policy_hash"], [one["kind"] for one in info["alerts"]]) == (before, ["policy_rejected"])
        assert len(await entries(hub, "policy.rejected")) == 1


@pytest.mark.parametrize("half", ["", FIRST.replace('"peek"', '"look"')], ids=["no policy", "another policy"])
async def test_a_file_that_is_being_written_is_read_when_it_is_whole(
    tmp_path: Path, policy: Path, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    read = PolicyFile._bytes

    def amid(file: PolicyFile, path: Path) -> bytes:
        found = read(file, path)
        if found.decode() == half:
            put(path, SECOND)
        return found

    monkeypatch.setattr(PolicyFile, "_bytes", amid)
    async with running_hub(tmp_path / "data", policy=policy) as hub:
        put(policy, half)
        changes = await until(lambda: _changes(hub, 2))
        rejected = await entries(hub, "policy.rejected")
        named = (await answers(hub, "/v1/info"))["policy"]
    assert (len(changes), rejected, named) == (2, [], "second")


async def test_the_alarm_ends_when_the_file_is_good_again(tmp_path: Path, policy: Path) -> None:
    async with running_hub(tmp_path / "data", policy=policy) as hub:
        put(policy, BAD)
        await until(lambda: entries(hub, "policy.rejected"))
        put(policy, FIRST)

        async def calm() -> bool:
            return not (await answers(hub, "/v1/info"))["alerts"]

        await until(calm)


async def test_a_change_while_the_hub_was_down_is_on_record_with_its_difference(tmp_path: Path, policy: Path) -> None:
    async with running_hub(tmp_path / "data", policy=policy):
        pass
    put(policy, SECOND)
    async with running_hub(tmp_path / "data", policy=policy) as hub:
        first, second = await until(lambda: _changes(hub, 2))
    assert (first["before"], second["before"]) == ("", first["hash"])
    assert '-name = "first"' in second["diff"].splitlines()


async def test_a_file_that_the_policy_names_is_watched_as_well(tmp_path: Path, policy: Path) -> None:
    put(policy, FIRST + '[tools.peek]\nschema = "peek.json"\n')
    put(tmp_path / "peek.json", '{"type": "object"}')
    async with running_hub(tmp_path / "data", policy=policy) as hub:
        put(tmp_path / "peek.json", '{"type": "object", "properties": {"at": {"type": "string"}}}')
        first, second = await until(lambda: _changes(hub, 2))
    assert (first["hash"] != second["hash"], second["diff"]) == (True, "")


async def test_consoles_follow_the_hub_s_own_row(tmp_path: Path, policy: Path) -> None:
    async with running_hub(tmp_path / "data", policy=policy) as hub, hub.console() as console:
        first = (await console.follow("hub"))["rows"][0]
        put(policy, BAD)
        alarmed = await console.row(lambda row: bool(row["alerts"]))
    assert (first["policy"], first["alerts"], alarmed["alerts"][0]["level"]) == ("first", [], "critical")
