"""The audit over HTTP, read-only: pages with filters, single entries, proofs, the checkpoint and its verification."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from opsconsole.hub.admission import Refusal
from opsconsole.hub.answers import answer, flag, not_found, number
from opsconsole.hub.desk.principal import Principal
from opsconsole_storage import Entry, Log, StorageError, Store
from opsconsole_storage.verify import consistency_proof, inclusion_proof, verify

LIMIT_MAX = 1_000
PAGE_ENTRIES = 500
"""Read and filtered at once."""
LOOKED_AT_MAX = 200_000
"""Entries that one request looks through; the answer says where to go on."""
FILTER_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What an entry must have; empty asks nothing."""

    kind: str = ""
    run: str = ""
    actor: str = ""
    text: str = ""

    def passes(self, shown: dict[str, Any], entry: Entry) -> bool:
        """Whether an entry is wanted. `kind` ending in a dot or `*` means all that begin with it."""
        kind = str(shown.get("kind", ""))
        wanted = self.kind.rstrip("*")
        by_kind = kind.startswith(wanted) if self.kind.endswith(("*", ".")) else kind == wanted
        who = shown.get("who")
        name = str(who.get("principal", "")) if isinstance(who, dict) else ""
        return (
            (not self.kind or by_kind)
            and (not self.run or shown.get("run") == self.run or entry.key == f"run/{self.run}")
            and (not self.actor or name == self.actor)
            and (not self.text or self.text.lower().encode() in entry.body.lower())
        )


def shown(entry: Entry) -> dict[str, Any]:
    """An entry for people and scripts: its place, and its body's fields."""
    try:
        body = from_json(entry.body)
    except ValueError:
        body = None
    place = {"seq": entry.seq, "key": entry.key}
    return {**body, **place, "at": entry.at} if isinstance(body, dict) else {**place, "at": entry.at}


def _page(entries: list[Entry], wanted: Filter) -> list[dict[str, Any]]:
    found = []
    for entry in entries:
        document = shown(entry)
        if wanted.passes(document, entry):
            found.append(document)
    return found


class AuditPages:
    """The handlers; every one is for observers and above."""

    def __init__(self, storage: Store, directory: Path | None) -> None:
        self._storage = storage
        self._log: Log = storage.log
        self._directory = directory

    async def page(self, request: Request, _principal: Principal) -> Response:
        """A page of entries in order, oldest or (with `newest` or `before`) newest of what was asked for."""
        limit = number(request, "limit", 100, low=1, high=LIMIT_MAX)
        wanted = Filter(
            **{name: request.query_params.get(name, "")[:FILTER_CHARS_MAX] for name in ("kind", "run", "actor", "text")}
        )
        head = await self._log.head()
        before = number(request, "before", head + 1, low=1)
        after = number(request, "after", 0)
        backwards = flag(request, "newest") or "before" in request.query_params
        look = self._backwards if backwards else self._forwards
        entries, reached = await look(after, min(before, head + 1), limit, wanted)
        return answer({"head": head, "entries": entries, "looked_to": reached})

    async def _forwards(self, after: int, before: int, limit: int, wanted: Filter) -> tuple[list[dict[str, Any]], int]:
        found: list[dict[str, Any]] = []
        end = min(before - 1, after + LOOKED_AT_MAX)
        while after < end and len(found) < limit:
            page = [entry for entry in await self._log.read(after, PAGE_ENTRIES) if entry.seq <= end]
            if not page:
                return found, end
            found += await asyncio.to_thread(_page, page, wanted)
            after = page[-1].seq
        return found[:limit], int(found[limit - 1]["seq"]) if len(found) >= limit else after

    async def _backwards(self, after: int, before: int, limit: int, wanted: Filter) -> tuple[list[dict[str, Any]], int]:
        found: list[dict[str, Any]] = []
        end = max(after, before - 1 - LOOKED_AT_MAX)
        while before - 1 > end and len(found) < limit:
            start = max(end, before - 1 - PAGE_ENTRIES)
            page = [entry for entry in await self._log.read(start, PAGE_ENTRIES) if entry.seq < before]
            found = await asyncio.to_thread(_page, page, wanted) + found
            before = start + 1
        kept = found[-limit:]
        return kept, int(kept[0]["seq"]) if len(found) >= limit else before

    async def one(self, request: Request, _principal: Principal) -> Response:
        """One entry."""
        seq = _seq(request)
        entries = await self._log.read(seq - 1, 1)
        if not entries or entries[0].seq != seq:
            raise not_found(f"there is no entry {seq}")
        return answer(shown(entries[0]))

    async def proof(self, request: Request, _principal: Principal) -> Response:
        """The proof that an entry stands in the log."""
        seq = _seq(request)
        directory = self._files()
        try:
            proof = await asyncio.to_thread(inclusion_proof, directory, seq)
        except LookupError as error:
            raise not_found(str(error)) from None
        except (StorageError, OSError, sqlite3.Error) as error:
            raise Refusal(status=503, code="storage_failed", message=str(error)) from None
        return Response(proof.to_json(), media_type="application/json")

    async def consistency(self, request: Request, _principal: Principal) -> Response:
        """The proof that the log starts with its first `since` entries, and its signed head; 409: it is shorter."""
        since = number(request, "since", 0)
        directory = self._files()
        try:
            proof = await asyncio.to_thread(consistency_proof, directory, since)
        except LookupError as error:
            raise not_found(str(error)) from None
        except ValueError as error:
            raise Refusal(status=409, code="conflict", message=str(error)) from None
        except (StorageError, OSError, sqlite3.Error) as error:
            raise Refusal(status=503, code="storage_failed", message=str(error)) from None
        return Response(proof.to_json(), media_type="application/json")

    async def checkpoint(self, _request: Request, _principal: Principal) -> Response:
        """The latest signed checkpoint, and how long the log is by it (its second line)."""
        note = self._storage.checkpoint()
        return answer({"checkpoint": note, "head": int(note.splitlines()[1])})

    async def verify(self, _request: Request, _principal: Principal) -> Response:
        """Every stored byte compared with the signed checkpoints; takes seconds on a long log."""
        check: Callable[[], Any] = partial(verify, self._files())
        try:
            report = await asyncio.to_thread(check)
        except (StorageError, OSError, sqlite3.Error) as error:
            raise Refusal(status=503, code="storage_failed", message=str(error)) from None
        return answer(asdict(report))

    def _files(self) -> Path:
        if self._directory is None:
            raise Refusal(status=503, code="unavailable", message="this store keeps no files")
        return self._directory


def _seq(request: Request) -> int:
    text = str(request.path_params["seq"])
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 16):
        raise not_found("entries are numbered from 1")
    return int(text)
