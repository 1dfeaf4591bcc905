"""Where `audit` reads from: a data directory's own files, or a hub over HTTP, both through one small interface."""

from __future__ import annotations

import base64
import csv
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TextIO

from opsconsole.cli.client import HubClient, connect
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed, OpsconsoleError
from opsconsole_storage import verify as records
from opsconsole_storage.audit_reader import open_snapshot
from opsconsole_storage.audit_schema import AUDIT_NAME
from opsconsole_storage.contract import Entry
from opsconsole_storage.errors import StorageError
from opsconsole_storage.export import write_csv, write_json_lines

PAGE_ENTRIES = 500
"""Entries asked for at once."""
PLACE = ("seq", "at", "key")
"""What an entry has before its body."""
VERIFY_SECONDS = 600.0
"""A million entries take seconds; a slow disk takes its time."""


class AuditSource(Protocol):
    """One record. Every method raises an OpsconsoleError when it cannot be read."""

    name: str

    def entries(self, **filters: Any) -> list[dict[str, Any]]:
        """The newest entries that pass (with `after`, the oldest after it), in order."""
        ...

    def entry(self, seq: int) -> dict[str, Any]:
        """One entry."""
        ...

    def export(self, after: int, form: str, target: TextIO) -> int:
        """Writes every entry after `after` as `jsonl` or `csv`; the number of entries."""
        ...

    def verify(self, public_key: str | None, checkpoint_copy: Path | None) -> dict[str, Any]:
        """The report on every stored byte."""
        ...

    def proof(self, seq: int) -> str:
        """The inclusion proof of one entry, as JSON."""
        ...

    def consistency(self, size: int) -> str:
        """The proof that the first `size` entries are unchanged, as JSON."""
        ...

    def checkpoint(self) -> str:
        """The latest signed note."""
        ...


class AuditDirectory:
    """The files of a data directory, beside a running hub or of one that is gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.name = str(directory / AUDIT_NAME)

    def entries(self, **filters: Any) -> list[dict[str, Any]]:
        limit, after = filters["limit"], filters.get("after")
        passing = (entry for entry in map(flat, self._read(after or 0)) if passes(entry, **filters))
        if after is None:
            return list(deque(passing, maxlen=limit))
        return [entry for _, entry in zip(range(limit), passing, strict=False)]

    def entry(self, seq: int) -> dict[str, Any]:
        for entry in self._read(seq - 1):
            if entry.seq == seq:
                return flat(entry)
            break
        raise CommandFailed(f"there is no entry {seq} in {self.name}", code="not_found")

    def export(self, after: int, form: str, target: TextIO) -> int:
        return (write_csv if form == "csv" else write_json_lines)(self._read(after), target)

    def _read(self, after: int) -> Iterator[Entry]:
        with _told(self.name):
            yield from records.read_entries(self._directory, after)

    def verify(self, public_key: str | None, checkpoint_copy: Path | None) -> dict[str, Any]:
        return asdict(records.verify(self._directory, checkpoint_copy=checkpoint_copy, public_key=public_key))

    def proof(self, seq: int) -> str:
        with _told(self.name):
            return records.inclusion_proof(self._directory, seq).to_json()

    def consistency(self, size: int) -> str:
        with _told(self.name):
            return records.consistency_proof(self._directory, size).to_json()

    def checkpoint(self) -> str:
        with _told(self.name), open_snapshot(self._directory) as reader:
            return reader.note()


class AuditOverHttp:
    """A hub's record, through its own reading of it: an export holds what it says, not the stored bytes."""

    def __init__(self, client: HubClient) -> None:
        self._client = client
        self.name = client.url

    def entries(self, **filters: Any) -> list[dict[str, Any]]:
        newest = None if filters.get("after") is not None else 1
        found: list[dict[str, Any]] = self._client.get("audit", newest=newest, **filters).get("entries", [])
        return sorted(found, key=lambda entry: int(entry["seq"]))

    def entry(self, seq: int) -> dict[str, Any]:
        return self._client.get("audit", str(seq))

    def export(self, after: int, form: str, target: TextIO) -> int:
        rows = csv.writer(target)
        if form == "csv":
            rows.writerow((*PLACE, "body"))
        number = 0
        for document in self._pages(after):
            number += 1
            body = {name: value for name, value in document.items() if name not in PLACE}
            place = {name: document[name] for name in PLACE}
            if form == "csv":
                rows.writerow((*place.values(), json.dumps(body)))
            else:
                target.write(json.dumps({**place, "body": body}) + "\n")
        return number

    def _pages(self, after: int) -> Iterator[dict[str, Any]]:
        while True:
            page = self._client.get("audit", after=after, limit=PAGE_ENTRIES)
            yield from page["entries"]
            reached = int(page.get("looked_to", 0))
            if reached <= after:
                return
            after = reached

    def verify(self, public_key: str | None, checkpoint_copy: Path | None) -> dict[str, Any]:
        if public_key or checkpoint_copy:
            raise CommandFailed(
                "a key or checkpoint of yours is compared with the files themselves: run this on the hub's machine, "
                "without --hub",
                code="bad_request",
            )
        return self._client.get("audit", "verify", patience_seconds=VERIFY_SECONDS)

    def proof(self, seq: int) -> str:
        return json.dumps(self._client.get("audit", str(seq), "proof"), indent=2)

    def consistency(self, size: int) -> str:
        return json.dumps(self._client.get("audit", "consistency", since=size), indent=2)

    def checkpoint(self) -> str:
        return str(self._client.get("audit", "checkpoint").get("checkpoint", ""))


@contextmanager
def open_source(settings: Settings) -> Iterator[AuditSource]:
    """The hub that was named with --hub; else the data directory's files where there are any; else the hub."""
    directory = AuditDirectory(settings.data_dir)
    if settings.source["hub"] != "--hub" and Path(directory.name).exists():
        yield directory
        return
    with connect(settings, Role.OPERATOR) as client:
        yield AuditOverHttp(client)


def flat(entry: Entry) -> dict[str, Any]:
    """An entry as the hub shows it: number, key and time before the fields of its body."""
    try:
        body = json.loads(entry.body)
    except (ValueError, RecursionError):
        body = None
    fields = body if isinstance(body, dict) else {"body_base64": base64.b64encode(entry.body).decode()}
    return {**fields, "seq": entry.seq, "key": entry.key, "at": entry.at}


def passes(entry: dict[str, Any], **filters: Any) -> bool:
    """Whether an entry passes all filters given; a filter of None lets all pass."""
    return all(_TESTS[name](entry, value) for name, value in filters.items() if value is not None and name in _TESTS)


def _of_kind(entry: dict[str, Any], wanted: str) -> bool:
    kind, beginning = str(entry.get("kind", "")), wanted.rstrip("*")
    return kind.startswith(beginning) if wanted.endswith(("*", ".")) else kind == beginning


def _about(entry: dict[str, Any], run: str) -> bool:
    return entry.get("run") == run or run in (entry.get("runs") or []) or entry["key"] == f"run/{run}"


def _by(entry: dict[str, Any], actor: str) -> bool:
    who = entry.get("who")
    return (who.get("principal") if isinstance(who, dict) else who) == actor


_TESTS: dict[str, Callable[[dict[str, Any], Any], bool]] = {
    "before": lambda entry, before: entry["seq"] < before,
    "since": lambda entry, since: entry["at"] >= since,
    "kind": _of_kind,
    "run": _about,
    "actor": _by,
    "text": lambda entry, text: text.lower() in json.dumps(entry, ensure_ascii=False).lower(),
}


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Storage's errors as ours."""
    try:
        yield
    except (LookupError, ValueError) as error:
        raise CommandFailed(str(error), code="not_found") from None
    except (StorageError, sqlite3.Error, OSError) as error:
        raise OpsconsoleError(f"{name} cannot be read: {error}") from None
