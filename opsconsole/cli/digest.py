"""`digest`: what happened since a time, from the audit: for whoever takes the shift over; it changes nothing."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import click

from opsconsole.cli import output
from opsconsole.cli.audit_source import AuditDirectory, AuditSource, open_source
from opsconsole.cli.options import json_option, shared_options
from opsconsole.cli.present import now_of
from opsconsole.config import Settings
from opsconsole.console.clock import SystemClock, local_zone
from opsconsole.console.view.amounts import day_and_time
from opsconsole.console.view.digest import Digest, digest_details, digest_line, digest_of
from opsconsole.console.view.judges import Judge, judge_words, judges
from opsconsole.console.view.shift_lines import NOBODY
from opsconsole.console.view.since import since_of

PAGE = 1_000
ENTRIES_MAX = 200_000
"""Entries of one digest; a longer stretch of time says that it is cut."""


@click.command()
@click.option("--since", default="8h", metavar="TIME", help="02:00, 8h, or 2026-03-01 22:00 [8h].")
@json_option
@shared_options
def digest(settings: Settings, as_json: bool, since: str) -> None:
    """Sum up the shift: kills, decisions, what is left, what it cost, and how people decided."""
    zone = local_zone()
    try:
        begin = since_of(since, now=SystemClock().wall(), zone=zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    with open_source(settings) as source:
        entries, complete = entries_since(source, begin)
        now, unknown = now_of(settings, source)
    found = digest_of(entries, since=begin, complete=complete)
    people = judges(entry for entry in entries if entry["at"] >= begin)
    if as_json:
        told = {"approvals": found.approvals, "refusals": found.refusals, "judges": [_fields(one) for one in people]}
        output.echo_json({**_fields(found), **told, "now": now.as_json() if now else None})
        return
    output.echo(digest_line(found, day_and_time(begin, zone), now.standing() if now else None))
    output.echo("\n".join(f"  {line}" for line in digest_details(found)) or "  nothing else")
    if now is None:
        output.note(f"who is here now is not known: {unknown}")
    else:
        output.echo("\n".join(f"  now: {line}" for line in now.lines() or [NOBODY]))
    for one in people:
        output.echo(f"  {judge_words(one)}")
    for note in found.notes:
        output.echo(f"  note {day_and_time(note.at, zone)} {note.by} on {note.run}: {output.cell(note.text, 400)}")


def _fields(value: Digest | Judge) -> dict[str, Any]:
    named = {field.name: getattr(value, field.name) for field in fields(value)}
    return {**named, "notes": [asdict(note) for note in value.notes]} if isinstance(value, Digest) else named


def entries_since(source: AuditSource, begin: float) -> tuple[list[dict[str, Any]], bool]:
    """The entries from `begin` on in order, and whether they are all of them."""
    if isinstance(source, AuditDirectory):
        own = source.entries(since=begin, limit=ENTRIES_MAX)
        return own, len(own) < ENTRIES_MAX
    found: list[dict[str, Any]] = []
    before = None
    while len(found) < ENTRIES_MAX:
        page = source.entries(before=before, limit=PAGE)
        found = [*page, *found]
        if not page or page[0]["at"] < begin or page[0]["seq"] <= 1:
            return [entry for entry in found if entry["at"] >= begin], True
        before = page[0]["seq"]
    return [entry for entry in found if entry["at"] >= begin], False
