"""The audit over HTTP: pages, filters, single entries, proofs and verification."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from opsconsole.hub import http_audit
from opsconsole.hub.admission import Fact
from opsconsole.hub.http_audit import PAGE_ENTRIES
from opsconsole_storage import Entry, StorageError
from opsconsole_storage.proofs import ConsistencyProof, InclusionProof
from tests.support.hub import RunningHub, eventually


async def write(hub: RunningHub, kind: str, number: int = 1, **details: Any) -> None:
    """Entries of a kind, durable."""
    assert hub.service is not None
    inner = hub.service.parts.hub
    for count in range(number):
        inner.fact(Fact(kind=kind, principal=None, details={"count": count, **details}))
    await eventually(lambda: not inner.recorder.records_waiting)


async def page(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    response = await client.get(f"/v1/audit?{query}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_an_entry_is_its_place_and_what_its_body_says(hub: RunningHub) -> None:
    await write(hub, "test.one")
    async with hub.http() as client:
        (entry,) = (await page(client, "kind=test.one"))["entries"]
        assert (entry["key"], entry["kind"], entry["count"]) == ("hub/test.one", "test.one", 0)
        assert (await client.get(f"/v1/audit/{entry['seq']}")).json() == entry


async def test_pages_follow_each_other_forwards(hub: RunningHub) -> None:
    await write(hub, "test.many", 25)
    async with hub.http() as client:
        found: list[int] = []
        after = 0
        while len(found) < 25:
            body = await page(client, f"kind=test.many&limit=10&after={after}")
            found += [entry["count"] for entry in body["entries"]]
            after = body["looked_to"]
    assert found == list(range(25))


async def test_pages_follow_each_other_backwards(hub: RunningHub) -> None:
    await write(hub, "test.many", 25)
    async with hub.http() as client:
        newest = await page(client, "kind=test.many&limit=10&newest=1")
        older = await page(client, f"kind=test.many&limit=10&before={newest['entries'][0]['seq']}")
    assert [entry["count"] for entry in newest["entries"]] == list(range(15, 25))
    assert [entry["count"] for entry in older["entries"]] == list(range(5, 15))


@pytest.mark.parametrize("query", ["limit=3", "limit=3&newest=1"])
async def test_few_wanted_entries_are_found_among_many(hub: RunningHub, query: str) -> None:
    await write(hub, "test.rare", 3)
    await write(hub, "test.many", 2 * PAGE_ENTRIES)
    async with hub.http() as client:
        assert [entry["count"] for entry in (await page(client, f"kind=test.rare&{query}"))["entries"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("kind=test.a", 2),
        ("kind=test.*", 5),
        ("kind=test.", 5),
        ("kind=test", 0),
        ("run=run_7", 3),
        ("kind=test.*&actor=hub", 5),
        ("actor=nobody", 0),
        ("text=NEEDLE", 3),
        ("kind=test.a&text=needle", 0),
    ],
)
async def test_entries_are_found_by_what_they_say(hub: RunningHub, query: str, number: int) -> None:
    await write(hub, "test.a", 2)
    await write(hub, "test.b", 3, run="run_7", what="a needle")
    async with hub.http() as client:
        assert len((await page(client, query))["entries"]) == number


async def test_an_entry_is_proven_to_a_third_party(disk_hub: RunningHub) -> None:
    await write(disk_hub, "test.proven")
    async with disk_hub.http() as client:
        (entry,) = (await page(client, "kind=test.proven"))["entries"]
        proof = InclusionProof.from_json((await client.get(f"/v1/audit/{entry['seq']}/proof")).text)
        checkpoint = (await client.get("/v1/audit/checkpoint")).json()
    public_key = (disk_hub.data_dir / "audit.pub").read_text()
    assert proof.check(public_key).key == "hub/test.proven"
    assert checkpoint["checkpoint"].splitlines()[1] == str(checkpoint["head"])


async def test_an_entry_that_is_not_there_has_no_proof(disk_hub: RunningHub) -> None:
    async with disk_hub.http() as client:
        assert (await client.get("/v1/audit/99999/proof")).status_code == 404


async def test_that_the_log_only_grew_is_proven_from_any_earlier_head(disk_hub: RunningHub) -> None:
    async with disk_hub.http() as client:
        old = (await client.get("/v1/audit/checkpoint")).json()
        await write(disk_hub, "test.later", 3)
        proof = ConsistencyProof.from_json((await client.get(f"/v1/audit/consistency?since={old['head']}")).text)
    public_key = (disk_hub.data_dir / "audit.pub").read_text()
    assert proof.check(public_key, old["checkpoint"]) >= old["head"] + 3


async def test_a_log_that_is_shorter_than_asked_about_says_so(disk_hub: RunningHub) -> None:
    async with disk_hub.http() as client:
        answer = await client.get("/v1/audit/consistency?since=99999")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize("path", ["consistency?since=0", "verify", "1/proof"])
@pytest.mark.parametrize(
    "problem", [OSError("the disk is away"), StorageError("the file is damaged")], ids=["os", "storage"]
)
async def test_a_log_that_cannot_be_read_is_an_outage(
    disk_hub: RunningHub, monkeypatch: pytest.MonkeyPatch, path: str, problem: Exception
) -> None:
    def fails(*_: object) -> None:
        raise problem

    for name in ("consistency_proof", "inclusion_proof", "verify"):
        monkeypatch.setattr(http_audit, name, fails)
    async with disk_hub.http() as client:
        answer = await client.get(f"/v1/audit/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_failed")


async def test_the_whole_log_is_verified_beside_the_running_hub(disk_hub: RunningHub) -> None:
    await write(disk_hub, "test.many", 30)
    async with disk_hub.http() as client:
        report = (await client.get("/v1/audit/verify")).json()
    assert (report["ok"], report["problems"], report["entries"] >= 30) == (True, [], True)


async def test_an_agent_may_not_read_the_audit(hub: RunningHub) -> None:
    async with hub.http("agent") as client:
        assert (await client.get("/v1/audit")).status_code == 403


def test_no_body_of_an_entry_says_which_entry_it_is() -> None:
    entry = Entry(seq=7, key="run/a", at=2.5, body=b'{"seq": 1, "key": "run/b", "at": 0.0, "kind": "kill"}')
    assert http_audit.shown(entry) == {"seq": 7, "key": "run/a", "at": 2.5, "kind": "kill"}


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_an_entry_whose_body_is_none_of_ours_is_shown_by_its_place(body: bytes) -> None:
    assert http_audit.shown(Entry(seq=7, key="k", at=2.5, body=body)) == {"seq": 7, "key": "k", "at": 2.5}


@pytest.mark.parametrize("seq", ["0", "9" * 16, "9" * 17, "9" * 30, "-1", "٣", "x"])
async def test_a_number_that_no_entry_has_is_not_found(disk_hub: RunningHub, seq: str) -> None:
    async with disk_hub.http() as client:
        answers = [await client.get(f"/v1/audit/{seq}{what}") for what in ("", "/proof")]
    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize("backwards", [False, True])
async def test_one_request_looks_through_so_many_entries_and_says_where_to_go_on(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    monkeypatch.setattr(http_audit, "LOOKED_AT_MAX", 10)
    await write(hub, "test.many", 40)
    async with hub.http() as client:
        head = (await page(client, "limit=1"))["head"]
        end, looked = head + 1 if backwards else 0, []
        for _ in range(3):
            looked.append(await page(client, f"kind=test.none&{'before' if backwards else 'after'}={end}"))
            end = looked[-1]["looked_to"]
    assert [one["entries"] for one in looked] == [[]] * 3
    reached = [one["looked_to"] for one in looked]
    assert reached == ([head + 1 - 10, head + 1 - 20, head + 1 - 30] if backwards else [10, 20, 30])
