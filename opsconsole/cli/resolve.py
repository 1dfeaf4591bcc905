"""Finds what an id on the command line means: whole, a beginning, or as the console shows it; it never guesses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from opsconsole.cli.client import LIST_MAX, HubClient
from opsconsole.domain.ids import is_id, short_id
from opsconsole.domain.text import safe_line
from opsconsole.errors import CommandFailed

LISTED_MAX = 10
"""Candidates named when a beginning fits several."""


def match(wanted: str, ids: Iterable[str], what: str, prefix: str) -> str:
    """The one id that is `wanted`, begins with it (with or without its usual `prefix`), or is shown so by the console.

    A whole id is itself, whatever else begins so; without its prefix it is no more than one of those that begin so.

    Raises: CommandFailed, `not_found` or `ambiguous` with the candidates.
    """
    known = set(ids)
    if wanted in known and wanted.startswith(prefix):
        return wanted
    begins = (wanted, prefix + wanted)
    found = sorted(one for one in known if wanted and (one.startswith(begins) or short_id(one) == wanted))
    if len(known) >= LIST_MAX and wanted not in found:
        # A list this long is cut: what is not on it may begin the same.
        raise CommandFailed(
            f"{safe_line(wanted)!r} is no whole id, and there are too many {what}s for a beginning: give the whole id",
            code="ambiguous" if found else "not_found",
        )
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandFailed(f"there is no {what} {safe_line(wanted)!r}", code="not_found")
    raise CommandFailed(f"{safe_line(wanted)!r} may be any of {len(found)} {what}s: {listed(found)}", code="ambiguous")


def listed(ids: Sequence[str]) -> str:
    """Ids in a sentence: the first ones, and how many more."""
    more = f" and {len(ids) - LISTED_MAX} more" if len(ids) > LISTED_MAX else ""
    return ", ".join(safe_line(one) for one in ids[:LISTED_MAX]) + more


def one_run(client: HubClient, wanted: str) -> str:
    """The id of one run. Raises: CommandFailed."""
    found, problems = many_runs(client, [wanted])
    for problem in problems.values():
        raise problem
    return found[0]


def many_runs(client: HubClient, wanted: Sequence[str]) -> tuple[list[str], dict[str, CommandFailed]]:
    """The ids that are clear, in order and each once, and what is wrong with each of the others."""
    found: dict[str, None] = {}
    problems: dict[str, CommandFailed] = {}
    known: list[str] | None = None
    for text in wanted:
        try:
            exists = _exists(client, text)
            if exists and text.startswith("run_"):
                found[text] = None
                continue
            if known is None:
                known = [str(row.get("run", "")) for row in client.rows("runs", live=0)]
            found[match(text, [*known, text] if exists else known, "run", "run_")] = None
        except CommandFailed as error:
            if error.code not in ("not_found", "ambiguous"):
                raise
            problems[text] = error
    return list(found), problems


def one_approval(client: HubClient, wanted: str) -> dict[str, Any]:
    """The row of one approval, pending ones first. Raises: CommandFailed."""
    pending = {str(row["approval"]): row for row in client.rows("approvals", status="pending")}
    try:
        return pending[match(wanted, pending, "approval", "apr_")]
    except CommandFailed as error:
        if error.code != "not_found":
            raise
    every = {str(row["approval"]): row for row in client.rows("approvals", status="all")}
    return every[match(wanted, every, "approval", "apr_")]


def _exists(client: HubClient, run: str) -> bool:
    if not is_id(run):
        return False
    try:
        client.get("runs", run)
    except CommandFailed as error:
        if error.code != "not_found":
            raise
        return False
    return True
