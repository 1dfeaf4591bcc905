"""What must hold after a storm, read from the files that it left: journals' truth against the hub's record."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsconsole.domain.digest import call_digest
from opsconsole_storage import SqliteStore, StoredBatch
from opsconsole_storage.audit_reader import open_snapshot
from opsconsole_storage.verify import verify

Stream = tuple[str, str]
"""(run, point/generation)"""
SAMPLE = 5
"""Differences quoted of each kind."""


@dataclass(slots=True)
class Findings:
    """What is wrong, in words, and how much was looked at."""

    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def differ(self, what: str, items: Iterable[Any]) -> None:
        """Each item is one thing that should not be."""
        found = list(items)
        if found:
            self.problems.append(f"{len(found)} {what}: {found[:SAMPLE]}")


def lines(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The JSON lines of files; one that a killed process left torn would be an error, as they are written whole."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def entries(directory: Path) -> list[dict[str, Any]]:
    """The audit's entries, oldest first."""
    with open_snapshot(directory) as reader:
        return [json.loads(entry.body) | {"seq": entry.seq} for entry in reader.entries()]


async def stored_events(directory: Path) -> list[StoredBatch]:
    """Every batch of the hub's event log."""
    store = await SqliteStore.open(directory, clock=lambda: 0.0)
    try:
        found: list[StoredBatch] = []
        while page := await store.events.read(found[-1].position if found else 0, 500):
            found += page
        return found
    finally:
        await store.close()


def check_events(findings: Findings, batches: list[StoredBatch], journalled: list[dict[str, Any]]) -> None:
    """No event is lost, changed, repeated or invented."""
    hub: dict[Stream, dict[int, Any]] = {}
    repeated: list[tuple[Stream, int]] = []
    for stored in batches:
        name = (stored.batch.run, stored.batch.gen)
        known = hub.setdefault(name, {})
        for event in json.loads(stored.batch.body):
            if event["seq"] in known and name[1] != "hub":
                repeated.append((name, event["seq"]))
            known[event["seq"]] = event
    agents: dict[Stream, dict[int, Any]] = {}
    for line in journalled:  # the last line of a number counts: a transaction that a kill undid is numbered again
        agents.setdefault((line["run"], line["gen"]), {})[line["seq"]] = json.loads(line["body"])
    findings.differ("events stored twice", repeated)
    for stream, events in agents.items():
        ours = hub.get(stream, {})
        findings.counts["events"] += len(events)
        findings.differ(f"events of {stream} lost", sorted(set(events) - set(ours)))
        findings.differ(f"events of {stream} invented", sorted(set(ours) - set(events)))
        findings.differ(
            f"events of {stream} changed", [seq for seq in events if seq in ours and ours[seq] != events[seq]]
        )
        findings.differ(f"holes in {stream}", sorted(set(range(1, max(events) + 1)) - set(ours)))


def check_decisions(
    findings: Findings, audit: list[dict[str, Any]], acknowledged: list[tuple[str, str]], asked: set[str]
) -> None:
    """Each approval is decided once; every decision told to an operator is on record, and no other."""
    decided = [entry for entry in audit if entry["kind"] == "approval.decided"]
    findings.counts["approvals"] = len({entry["approval"] for entry in audit if entry["kind"] == "approval.requested"})
    findings.counts["decisions"] = len(decided)
    findings.counts["decisions acknowledged"] = len(acknowledged)
    times = Counter(entry["approval"] for entry in decided)
    findings.differ("approvals decided twice", [approval for approval, count in times.items() if count > 1])
    on_record = {(entry["command"], entry["approval"]) for entry in decided}
    findings.differ("decisions acknowledged and not on record", set(acknowledged) - on_record)
    findings.differ("decisions nobody made", {command for command, _ in on_record} - asked)
    requested = Counter(
        (entry["run"], entry["call"], entry["call_digest"]) for entry in audit if entry["kind"] == "approval.requested"
    )
    findings.differ("calls asked about twice", [call for call, count in requested.items() if count > 1])


def check_executions(findings: Findings, executed: list[dict[str, Any]], audit: list[dict[str, Any]]) -> None:
    """Nothing runs twice, and nothing runs that was not allowed on record with exactly these arguments."""
    times = Counter((line["run"], line["call"]) for line in executed)
    findings.counts["executions"] = len(executed)
    findings.differ("calls executed twice", [call for call, count in times.items() if count > 1])
    allowed = {(entry["run"], entry["call"], _allowed_digest(entry)) for entry in audit if _allows(entry)}
    ran = {(line["run"], line["call"], call_digest(line["tool"], line["args"])) for line in executed}
    findings.differ("executions without an allow on record", ran - allowed)
    findings.differ("alarms of a gate that was passed", [e for e in audit if e["kind"] == "call.unpermitted"])


def _allows(entry: dict[str, Any]) -> bool:
    if entry["kind"] == "approval.decided":
        return entry["answer"] in ("approve", "edit")
    return bool(entry["kind"] == "call.verdict" and entry["outcome"] == "allow")


def _allowed_digest(entry: dict[str, Any]) -> str:
    edited = entry.get("edited_args") if entry.get("answer") == "edit" else None
    return entry["call_digest"] if edited is None else call_digest(entry["tool"], edited)


def check_audit(findings: Findings, directory: Path) -> None:
    """The log verifies."""
    report = verify(directory)
    findings.counts["audit entries"] = report.entries
    findings.differ("problems of the audit", report.problems)


def undelivered(journals: Path) -> dict[str, int]:
    """Events that still wait in journals, by file."""
    left = {}
    for path in journals.rglob("*.db"):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
        except sqlite3.OperationalError:  # deleted just now: delivered
            continue
        finally:
            connection.close()
        if count:
            left[path.name] = count
    return left
