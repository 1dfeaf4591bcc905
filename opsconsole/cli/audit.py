"""`audit`: read, verify, prove and export the record, from the data directory or through a hub; it changes nothing."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click

from opsconsole.cli import output
from opsconsole.cli.audit_pins import PINS_FILE, AuditWitness, Pins
from opsconsole.cli.audit_source import open_source
from opsconsole.cli.client import HubClient, connect
from opsconsole.cli.exits import Exit
from opsconsole.cli.options import json_option, shared_options
from opsconsole.config import Settings
from opsconsole.console.clock import local_zone
from opsconsole.console.view.witnessed import Witnessed, witnessed_words
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed
from opsconsole.protocol.audit_words import audit_words, kind_of
from opsconsole_storage.proofs import ConsistencyProof, InclusionProof

HEADERS = ("SEQ", "WHEN", "KIND", "WHO", "ABOUT", "WHAT")
WORDS_CHARS = 160
"""Of the last column; `audit show` prints an entry whole."""


@click.group()
def audit() -> None:
    """Read, verify, prove and export the record.

    With --hub it is asked over HTTP; without, the audit.db of the data directory is read itself, hub or no hub.
    """


@audit.command("list")
@click.option("--after", type=click.IntRange(min=0), help="Only entries with a higher number, oldest first.")
@click.option("--before", type=click.IntRange(min=1), help="Only entries with a lower number.")
@click.option("--limit", default=50, type=click.IntRange(1, 1_000), help="At most so many, the newest [50].")
@click.option("--kind", help="Only this kind, e.g. approval.decided; a final * means all that begin so.")
@click.option("--run", help="Only entries about this run.")
@click.option("--actor", help="Only what this principal did.")
@click.option("--text", help="Only entries that hold this text.")
@json_option
@shared_options
def list_entries(settings: Settings, as_json: bool, **filters: Any) -> None:
    """List entries, newest last."""
    with open_source(settings) as source:
        entries = source.entries(**filters)
    if as_json:
        output.echo_json(entries)
    elif entries:
        output.echo(output.table(HEADERS, [_cells(entry) for entry in entries], frozenset({0})))
    else:
        output.note("no such entries")


@audit.command()
@click.argument("seq", type=click.IntRange(min=1))
@json_option
@shared_options
def show(settings: Settings, seq: int, as_json: bool) -> None:
    """Show one entry whole."""
    with open_source(settings) as source:
        entry = source.entry(seq)
    if as_json:
        output.echo_json(entry)
    else:
        output.echo(output.block(json.dumps(entry, indent=2, ensure_ascii=False), ""))


@audit.command()
@click.option(
    "--public-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A copy of audit.pub, kept elsewhere.",
)
@click.option(
    "--checkpoint-copy", type=click.Path(dir_okay=False, path_type=Path), help="The second checkpoint file of the hub."
)
@json_option
@shared_options
def verify(settings: Settings, public_key: Path | None, checkpoint_copy: Path | None, as_json: bool) -> Exit:
    """Check every stored byte against the signed checkpoints; 8 if anything was changed or is missing."""
    key = public_key.read_text() if public_key else None
    with open_source(settings) as source:
        report = source.verify(key, checkpoint_copy or settings.server.checkpoint_copy)
    is_whole = report.get("ok") is True
    if as_json:
        output.echo_json(report)
    elif is_whole:
        first = report.get("first", 1)
        kept = "" if first == 1 else f" (entries before {first} were pruned, and the record says so)"
        root = output.cell(report.get("root"), 80)
        output.echo(f"verified: {report.get('entries')} entries of {source.name}, root {root}{kept}")
    else:
        output.echo(f"NOT VERIFIED: {source.name}")
        output.echo("\n".join(f"  {output.cell(problem, 400)}" for problem in report.get("problems", [])))
    return Exit.OK if is_whole else Exit.UNVERIFIED


@audit.command()
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only entries with a higher number.")
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="A new file [stdout].")
@shared_options
def export(settings: Settings, form: str, after: int, target: Path | None) -> None:
    """Write all entries as JSON Lines or CSV."""
    with open_source(settings) as source:
        if target is None:
            source.export(after, form, sys.stdout)
            sys.stdout.flush()
            return
        with _new_file(target) as file:
            number = source.export(after, form, file)
    output.note(f"{number} entries in {target}")


@audit.command()
@click.argument("seq", type=click.IntRange(min=1), required=False)
@click.option(
    "--since", type=click.IntRange(min=0), metavar="SIZE", help="Prove that the first SIZE entries are unchanged."
)
@click.option("--check", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Check a proof instead.")
@click.option("--public-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The key to trust.")
@shared_options
def prove(settings: Settings, seq: int | None, since: int | None, check: Path | None, public_key: Path | None) -> Exit:
    """Print a proof that entry SEQ stands in the record, for anybody to check; or check one."""
    if sum(one is not None for one in (seq, since, check)) != 1:
        raise click.UsageError("give one of SEQ, --since SIZE and --check FILE")
    if check is not None:
        return _check_proof(check, public_key)
    with open_source(settings) as source:
        proof = source.proof(seq) if seq is not None else source.consistency(since or 0)
    click.echo(proof)
    return Exit.OK


@audit.command()
@shared_options
def checkpoint(settings: Settings) -> None:
    """Print the latest signed checkpoint; keep it elsewhere, and nobody can cut the record unnoticed."""
    with open_source(settings) as source:
        click.echo(source.checkpoint(), nl=False)


@audit.command()
@click.option("--forget", is_flag=True, help="Trust whatever head the hub shows next, as if none had been seen.")
@json_option
@shared_options
def pinned(settings: Settings, as_json: bool, forget: bool) -> Exit:
    """Have the hub prove that its record holds what was seen from here, and pin its newest signed head; 8 if not."""
    pins = Pins(settings.data_dir / PINS_FILE)
    with connect(settings, Role.OPERATOR) as client:
        try:
            if forget:
                return _forget(pins, client.url, as_json)
            found = _witnessed(AuditWitness(pins, client.url), client)
        except OSError as error:
            raise CommandFailed(f"{PINS_FILE} cannot be written: {error.strerror}", code="storage_failed") from None
    if as_json:
        output.echo_json({"hub": client.url, "ok": found.is_kept, **asdict(found)})
    else:
        output.echo(witnessed_words(found, local_zone())[0])
    return Exit.OK if found.is_kept else Exit.UNVERIFIED


def _forget(pins: Pins, hub: str, as_json: bool) -> Exit:
    was_there = pins.forget(hub)
    if as_json:
        output.echo_json({"hub": hub, "forgotten": was_there})
    else:
        output.echo(f"forgotten: the head seen of {hub}" if was_there else f"no head of {hub} was pinned")
    return Exit.OK


def _witnessed(witness: AuditWitness, client: HubClient) -> Witnessed:
    try:
        proof = client.get("audit", "consistency", since=witness.since())
    except CommandFailed as refused:
        if refused.code != "conflict":
            return witness.unproven(f"the hub gives no proof ({refused})")
        proof = client.get("audit", "consistency", since=0)  # it is shorter: how long it is now is signed
    return witness.compare(json.dumps(proof), now=time.time())


def _check_proof(path: Path, public_key: Path | None) -> Exit:
    key = public_key.read_text() if public_key else None
    text = path.read_text(encoding="utf-8")
    try:
        if ConsistencyProof.FORMAT in text:
            held = f"the first {ConsistencyProof.from_json(text).old_size} entries stand unchanged in the record"
            ConsistencyProof.from_json(text).check(key)
        else:
            held = f"entry {InclusionProof.from_json(text).check(key).seq} stands in the record"
    except ValueError as error:
        output.note(f"not proven: {output.cell(str(error), 400)}")
        return Exit.UNVERIFIED
    output.echo(f"proven: {held}" + ("" if key else " (by the proof's own key: give --public-key to trust it)"))
    return Exit.OK


def _new_file(target: Path) -> TextIO:
    try:
        return target.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise CommandFailed(f"{target} cannot be written: {error.strerror}", code="bad_request") from None


def _cells(entry: dict[str, Any]) -> list[str]:
    who = entry.get("who") or {}
    return [
        str(entry.get("seq")),
        output.clock(entry.get("at")),
        output.cell(kind_of(entry), 30),
        output.cell(who.get("principal") if isinstance(who, dict) else who, 24),
        output.cell(entry.get("run") or entry.get("approval"), 34),
        audit_words(entry, limit=WORDS_CHARS),
    ]
