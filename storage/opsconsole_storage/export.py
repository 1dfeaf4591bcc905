"""Entries as JSON Lines and CSV, one at a time, so that a log of any length fits in memory; it reads no database."""

import base64
import csv
import json
from collections.abc import Iterable
from typing import Any, TextIO

from opsconsole_storage.contract import Entry

CSV_COLUMNS = ("seq", "at", "key", "body", "body_base64")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def entry_json(entry: Entry) -> dict[str, Any]:
    """The entry as JSON: `body` for reading, when it is JSON, and always `body_base64`, which is exact."""
    document: dict[str, Any] = {"seq": entry.seq, "key": entry.key, "at": entry.at}
    try:
        body = json.loads(entry.body)
        json.dumps(body, allow_nan=False)
        document["body"] = body
    except (ValueError, RecursionError):
        pass
    return document | {"body_base64": base64.b64encode(entry.body).decode()}


def write_json_lines(entries: Iterable[Entry], target: TextIO) -> int:
    """One JSON object a line, ASCII only; the number of entries."""
    count = 0
    for entry in entries:
        target.write(json.dumps(entry_json(entry)) + "\n")
        count += 1
    return count


def write_csv(entries: Iterable[Entry], target: TextIO) -> int:
    """A header and one row an entry; the number of entries. Open `target` with `newline=""`.

    A text that a spreadsheet would run as a formula gets a leading apostrophe; `body_base64` stays exact.
    """
    writer = csv.writer(target)
    writer.writerow(CSV_COLUMNS)
    count = 0
    for entry in entries:
        body = entry.body.decode("utf-8", "replace")
        exact = base64.b64encode(entry.body).decode()
        writer.writerow((entry.seq, repr(entry.at), _inert(entry.key), _inert(body), exact))
        count += 1
    return count


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
