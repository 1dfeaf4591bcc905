"""The shop over HTTP and its life: what agents can ask of it, and what happens in it by itself."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import httpx
import pytest

from opsconsole.demo.scratch import make_scratch
from opsconsole.demo.scripts import MISSING_ITEM
from opsconsole.demo.shop_server import PENDING_REFUNDS_MAX, REPORTS_MAX, ShopServer, pulse


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_scratch(tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def server(root: Path) -> Iterator[ShopServer]:
    server = ShopServer(root, pace=0)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def http(server: ShopServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


def pending(root: Path) -> int:
    with closing(sqlite3.connect(root / "shop.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM refunds WHERE status = 'pending'").fetchone()
        return int(count)


def test_tickets_are_found_by_any_word_of_the_query(http: httpx.Client) -> None:
    found = http.get("/search", params={"q": "late parcels"}).json()
    assert [ticket["ticket"] for ticket in found] == ["1043", "1044", "1045"]


def test_a_report_is_kept_under_its_number(http: httpx.Client) -> None:
    published = http.post("/reports", json={"title": "Late parcels"})
    assert (published.status_code, published.json()) == (201, {"id": 1})
    assert http.get("/reports").json() == [{"title": "Late parcels", "id": 1}]


def test_the_oldest_reports_go(server: ShopServer) -> None:
    for _ in range(REPORTS_MAX + 2):
        server.publish({})
    assert [server.reports[0]["id"], server.reports[-1]["id"]] == [3, REPORTS_MAX + 2]


def test_the_inventory_never_answers(http: httpx.Client) -> None:
    assert http.get(MISSING_ITEM).status_code == 503


def test_what_is_no_report_is_refused(http: httpx.Client) -> None:
    assert http.post("/reports", content=b"[1]").status_code == 400


def test_refunds_come_in_until_enough_are_pending(root: Path) -> None:
    before = pending(root)
    counts = []
    for number in range(4):
        pulse(root, random.Random(number))
        counts.append(pending(root))
    assert counts == [min(before + n, PENDING_REFUNDS_MAX) for n in (1, 2, 3, 4)]


def test_a_removed_log_comes_back_and_a_packed_one_does_not(root: Path) -> None:
    logs = root / "logs"
    for number in (6, 7, 8):
        pulse(root, random.Random(number))
    (logs / "checkout.log.1").unlink()
    (logs / "checkout.log.2").rename(logs / "checkout.log.2.gz")
    pulse(root, random.Random(0))
    assert ((logs / "checkout.log.1").exists(), (logs / "checkout.log.2").exists()) == (True, False)


def test_a_second_shop_is_not_made_over_the_first(root: Path) -> None:
    with pytest.raises(FileExistsError):
        make_scratch(root)
