"""What was seen of a hub's audit is remembered, and a log that no longer holds it is told from one that does."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from opsconsole.cli.audit_pins import PINS_FILE, AuditWitness, Pin, Pins, compared
from opsconsole.console.view.witnessed import Witnessed
from opsconsole.errors import ConfigError
from opsconsole_storage.sqlite_store import SqliteStore
from opsconsole_storage.verify import consistency_proof
from tests.cli.conftest import Run
from tests.cli.fake_hub import Answer, FakeHub, refusal


def add(directory: Path, *bodies: str) -> None:
    """Entries at the end of a log, signed with its key."""

    async def fill() -> None:
        store = await SqliteStore.open(directory, clock=lambda: 1_000.0)
        for body in bodies:
            await store.log.append("run/a", body.encode(), at=1_000.0)
        await store.close()

    directory.mkdir(exist_ok=True)
    asyncio.run(fill())


def proof(directory: Path, since: int = 0) -> str:
    return consistency_proof(directory, since).to_json()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three entries."""
    add(tmp_path / "log", "one", "two", "three")
    return tmp_path / "log"


@pytest.fixture
def pin(log: Path) -> Pin:
    """Its head, as it was seen at 50."""
    _, pin = compared(None, proof(log), now=50.0)
    assert pin is not None
    return pin


def test_the_first_head_is_believed_and_pinned(log: Path) -> None:
    found, pin = compared(None, proof(log), now=50.0)
    assert pin is not None
    assert found == Witnessed(size=3, root=pin.head().root.hex())
    assert (pin.head().size, pin.seen_at) == (3, 50.0)


def test_a_log_that_only_grew_holds_what_was_seen_and_its_new_head_is_pinned(log: Path, pin: Pin) -> None:
    add(log, "four", "five")
    found, newer = compared(pin, proof(log, 3), now=60.0)
    assert newer is not None
    assert found == Witnessed(size=5, root=newer.head().root.hex(), before=3, seen_at=50.0)
    assert (newer.head().size, newer.seen_at) == (5, 60.0)


def test_a_shorter_log_is_said_to_be_shorter_and_the_old_head_stays(log: Path, pin: Pin, tmp_path: Path) -> None:
    add(tmp_path / "cut")
    forged(log, tmp_path / "cut", "one", "two")
    found, newer = compared(pin, proof(tmp_path / "cut"), now=60.0)
    assert (found.broken, found.before, found.seen_at, newer) == ("the hub now shows 2 entries", 3, 50.0, None)


@pytest.mark.parametrize("since", [0, 3], ids=["proof-of-nothing", "proof-of-its-own-past"])
def test_another_history_under_the_same_key_is_found(log: Path, pin: Pin, tmp_path: Path, since: int) -> None:
    forged(log, tmp_path / "forged", "one", "TWO", "three", "four")
    found, newer = compared(pin, proof(tmp_path / "forged", since), now=60.0)
    assert (found.broken, newer) == ("among the 4 entries that it shows now they are others", None)


def test_another_log_with_a_key_of_its_own_is_found(pin: Pin, tmp_path: Path) -> None:
    add(tmp_path / "other", "one", "two", "three", "four")
    found, newer = compared(pin, proof(tmp_path / "other", 3), now=60.0)
    assert (found.broken, newer) == ("it is another log, signed with another key", None)


def test_a_head_whose_signature_does_not_hold_is_never_pinned(log: Path) -> None:
    document = json.loads(proof(log))
    document["checkpoint"] = document["checkpoint"].replace("\n3\n", "\n4\n")
    found, newer = compared(None, json.dumps(document), now=60.0)
    assert found.broken.startswith("the head that the hub shows is not signed as it should be")
    assert newer is None


def forged(log: Path, target: Path, *bodies: str) -> None:
    """Another history, written by whoever holds the log's key."""
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    add(target)
    for name in ("audit.db", "audit.checkpoint"):
        (target / name).unlink()
    for name in ("audit.key", "audit.pub"):
        shutil.copy(log / name, target / name)
    add(target, *bodies)


def test_what_was_seen_outlives_the_process_and_only_its_owner_may_read_it(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "state" / PINS_FILE
    AuditWitness(Pins(path), "http://hub").compare(proof(log), now=50.0)
    assert AuditWitness(Pins(path), "http://hub").since() == 3
    assert AuditWitness(Pins(path), "http://another").since() == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_file_it_is_remembered_as_long_as_the_process_lives(log: Path) -> None:
    witness = AuditWitness(Pins(None), "http://hub")
    assert witness.since() == 0
    witness.compare(proof(log), now=50.0)
    assert witness.since() == 3


def test_what_another_process_sees_while_the_hub_answers_is_no_contradiction(log: Path, tmp_path: Path) -> None:
    one, two = (AuditWitness(Pins(tmp_path / PINS_FILE), "http://hub") for _ in range(2))
    one.compare(proof(log, one.since()), now=50.0)
    asked = proof(log, one.since())
    add(log, "four")
    two.compare(proof(log, two.since()), now=60.0)
    assert one.compare(asked, now=61.0).is_kept
    assert one.since() == 4


def test_a_later_head_of_another_process_is_not_taken_back(log: Path, pin: Pin, tmp_path: Path) -> None:
    add(log, "four")
    pins = Pins(tmp_path / PINS_FILE)
    AuditWitness(pins, "http://hub").compare(proof(log), now=60.0)
    pins.keep("http://hub", pin)
    assert AuditWitness(pins, "http://hub").since() == 4


def test_pins_of_a_later_format_are_not_read_as_these(pin: Pin, tmp_path: Path) -> None:
    path = tmp_path / PINS_FILE
    Pins(path).keep("http://hub", pin)
    path.write_text(path.read_text().replace("pins/1", "pins/2"))
    with pytest.raises(ConfigError, match=r"it is not of the format opsconsole\.audit\.pins/1"):
        Pins(path).get("http://hub")


@pytest.mark.parametrize("text", ["", "[]", '{"format": "opsconsole.audit.pins/1", "pins": {"http://hub": {}}}'])
def test_a_file_that_cannot_be_read_is_no_reason_to_believe_anything(tmp_path: Path, text: str) -> None:
    (tmp_path / PINS_FILE).write_text(text)
    with pytest.raises(ConfigError, match="cannot be used"):
        AuditWitness(Pins(tmp_path / PINS_FILE), "http://hub").since()


def test_a_pin_whose_signature_does_not_hold_is_no_reason_to_believe_anything(pin: Pin, tmp_path: Path) -> None:
    path = tmp_path / PINS_FILE
    Pins(path).keep("http://hub", pin)
    path.write_text(path.read_text().replace(r"\n3\n", r"\n1\n"))
    with pytest.raises(ConfigError, match="cannot be used: no valid signature"):
        AuditWitness(Pins(path), "http://hub").since()


def test_another_log_that_is_trusted_anew_is_kept_though_it_is_shorter(pin: Pin, tmp_path: Path) -> None:
    add(tmp_path / "other", "one")
    _, other = compared(None, proof(tmp_path / "other"), now=60.0)
    assert other is not None
    pins = Pins(tmp_path / PINS_FILE)
    pins.keep("http://hub", pin)
    pins.keep("http://hub", other)
    assert pins.get("http://hub") == other


def test_of_very_many_hubs_those_seen_longest_ago_are_forgotten(
    pin: Pin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.cli.audit_pins.PINS_MAX", 2)
    pins = Pins(tmp_path / PINS_FILE)
    for name, seen_at in (("late", 30.0), ("early", 10.0), ("later", 40.0)):
        pins.keep(name, replace(pin, seen_at=seen_at))
    assert [name for name in ("early", "late", "later") if pins.get(name)] == ["late", "later"]


def test_only_the_pin_that_is_meant_is_forgotten(pin: Pin, tmp_path: Path) -> None:
    pins = Pins(tmp_path / PINS_FILE)
    for name in ("one", "two"):
        pins.keep(name, pin)
    assert (pins.forget("one"), pins.forget("one"), pins.get("one"), pins.get("two")) == (True, False, None, pin)


def test_pins_are_on_the_disk_before_they_take_the_place_of_the_old_ones(
    pin: Pin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / PINS_FILE
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        with open(f"/dev/fd/{descriptor}", encoding="utf-8") as file:
            synced.append(file.read())
        assert not path.exists()

    monkeypatch.setattr("os.fsync", sync)
    Pins(path).keep("http://hub", pin)
    assert synced == [path.read_text()]


@pytest.mark.parametrize("text", ["[" * 100_000, "INFINITY"], ids=["too-deep", "infinity"])
def test_a_proof_that_cannot_be_read_is_broken_and_never_a_crash(log: Path, pin: Pin, text: str) -> None:
    text = text.replace("INFINITY", proof(log, 3).replace('"old_size": 3', '"old_size": Infinity'))
    found, newer = compared(pin, text, now=60.0)
    assert found.broken.startswith("the head that the hub shows is not signed as it should be")
    assert newer is None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks there")
@pytest.mark.parametrize("act", ["keep", "forget"])
def test_two_processes_that_write_pins_lose_none(pin: Pin, tmp_path: Path, act: str) -> None:
    import fcntl

    path = tmp_path / PINS_FILE
    Pins(path).keep("http://old", pin)
    work = partial(Pins(path).keep, "http://one", pin) if act == "keep" else partial(Pins(path).forget, "http://old")
    with (tmp_path / f".{PINS_FILE}.lock").open("a") as other, ThreadPoolExecutor() as pool:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = pool.submit(work)
        document = json.loads(path.read_text())
        document["pins"]["http://two"] = document["pins"]["http://old"]
        assert not wait([done], timeout=0.2).done  # it waits for who writes
        path.write_text(json.dumps(document))
        fcntl.flock(other, fcntl.LOCK_UN)
        done.result(timeout=60)
    kept = {"http://old", "http://one", "http://two"} if act == "keep" else {"http://two"}
    assert json.loads(path.read_text())["pins"].keys() == kept


class TestTheCommand:
    @pytest.fixture
    def shown(self, hub: FakeHub, log: Path) -> list[Path]:
        """The directory whose log the hub shows, the last one of the list."""
        directories = [log]

        def answer() -> Answer:
            since = int(hub.asked[-1][2]["since"])
            try:
                return 200, json.loads(proof(directories[-1], since))
            except ValueError as error:
                return refusal(409, "conflict", str(error))

        hub.overrides["GET", "/v1/audit/consistency"] = answer
        return directories

    def test_a_record_that_holds_what_was_seen_is_proven(self, cli: Run, shown: list[Path], log: Path) -> None:
        first = cli("audit", "pinned")
        add(log, "four")
        again = cli("audit", "pinned", "--json")
        assert (first.exit_code, again.exit_code) == (0, 0)
        assert first.stdout.endswith("of 3 pinned, the first seen here\n")
        document = json.loads(again.stdout)
        assert (document["ok"], document["size"], document["before"]) == (True, 4, 3)

    def test_a_record_that_was_cut_exits_8_each_time_until_it_is_forgotten(
        self, cli: Run, shown: list[Path], log: Path, tmp_path: Path
    ) -> None:
        cli("audit", "pinned")
        forged(log, tmp_path / "cut", "one", "two")
        shown.append(tmp_path / "cut")
        for _ in range(2):
            done = cli("audit", "pinned")
            assert done.exit_code == 8
            assert "the audit no longer contains what this console saw at" in done.stdout
            assert done.stdout.endswith("(3 entries): the hub now shows 2 entries\n")
        assert cli("audit", "pinned", "--forget").exit_code == 0
        assert cli("audit", "pinned").exit_code == 0

    def test_a_hub_that_proves_nothing_is_not_believed(self, cli: Run, hub: FakeHub) -> None:
        hub.overrides["GET", "/v1/audit/consistency"] = lambda: refusal(503, "unavailable", "this store keeps no files")
        done = cli("audit", "pinned")
        assert done.exit_code == 8
        assert done.stdout.startswith("? not compared with what this console saw: the hub gives no proof")
