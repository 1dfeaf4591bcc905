"""Looks up what a held call would do, in sources that are only read: a SQLite file, a folder of files; it runs no call.

A source is `sqlite:FILE` or `files:FOLDER`, by the name of the tool, from the settings.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opsconsole.console.view.effect import PLAN_LINES_MAX, Effect
from opsconsole.policy.facts.sql_counting import Counting, counting

LOOK_SECONDS_MAX = 1.0
"""Of the questions to a database; then they are broken off."""
ANSWER_SECONDS_MAX = 2.0
"""Until somebody hears of an effect: what cannot be broken off, such as preparing a statement, goes on unheard."""
LOOKS_AT_ONCE_MAX = 4
"""Looks under way in one process: those that cannot be broken off must not take the machine."""
OPERATIONS_BETWEEN_LOOKS = 100
"""Steps of the database's machine after which the time is looked at; one step over long values takes long itself."""
VALUE_BYTES_MAX = 65_536
"""Of one value, and of the statement, while a question is answered: no step takes long, no query fills the memory."""
PATTERN_BYTES_MAX = 200
"""Of a pattern of LIKE or GLOB: matching costs the product of both lengths, in one step."""
HEAP_BYTES_MAX = 134_217_728
"""Of SQLite in this process: named queries that name each other double when prepared, and nothing else ends that."""
FILE_BYTES_MAX = 262_144
_SQL_NAMES = ("sql", "query", "statement", "stmt")
_VALUE_NAMES = ("parameters", "params", "values")
_PATH_NAMES = ("path", "file_path", "filename", "file")
_CONTENT_NAMES = ("content", "contents", "new_content", "text")
Values = dict[str, Any] | list[Any]
_FUNCTIONS = frozenset(
    {
        *(
            "abs",
            "avg",
            "ceil",
            "ceiling",
            "coalesce",
            "count",
            "floor",
            "ifnull",
            "iif",
            "length",
            "lower",
            "max",
            "min",
        ),
        *("mod", "nullif", "octet_length", "round", "sign", "substr", "substring", "sum", "total", "typeof", "unicode"),
        *("upper", "like", "glob", "likely", "unlikely", "likelihood", "->", "->>", "json_extract", "json_type"),
        *("date", "time", "datetime", "julianday", "strftime", "unixepoch", "current_date", "current_time"),
        *("current_timestamp", "row_number", "rank", "dense_rank", "lag", "lead", "first_value", "last_value"),
    }
)
"""Their cost is bounded by the length of what they are given. Others may be slow in one step (`instr`), large (`hex`),
different each time (`random`), or a program's own."""
_ALLOWED = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        # Only ever below EXPLAIN, on a connection that cannot write.
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_DELETE,
    }
)


def effect_of(source: str, args: Mapping[str, Any], *, seconds_max: float = ANSWER_SECONDS_MAX) -> Effect:
    """The effect of a call with these arguments, whatever they are; it blocks for `seconds_max` seconds at most.

    A look that takes longer goes on in a thread that keeps no process from ending, and its answer is not heard.
    """
    kind, _, place = source.partition(":")
    look = _KINDS.get(kind)
    if look is None or not place:
        return Effect(source=source, problem=f"{source!r} is no source: sqlite:FILE or files:FOLDER")
    until, found = time.monotonic() + seconds_max, list[Effect]()
    if not _under_way.acquire(timeout=seconds_max):
        return Effect(source=source, problem=f"{LOOKS_AT_ONCE_MAX} earlier looks have not ended yet")

    def work() -> None:
        try:
            found.append(look(place, args))
        finally:
            _under_way.release()

    thread = threading.Thread(target=work, name="console effect", daemon=True)
    thread.start()
    thread.join(max(0.0, until - time.monotonic()))
    return found[0] if found else Effect(source=source, problem=f"it took more than {seconds_max:g} s")


def _sqlite(place: str, args: Mapping[str, Any]) -> Effect:
    path = Path(place).expanduser()
    name, found = f"{path.name}, opened read-only", Counting()
    try:
        sql, values = _text(args, _SQL_NAMES), _values(args)
        if sql is None:
            return Effect(source=name, problem=f"no argument of {', '.join(_SQL_NAMES)} holds a text")
        found = counting(sql, "sqlite")
        with _ReadOnly(path) as connection:
            plan = _plan(connection, sql, values)
            rows, total = _rows(connection, found, values)
    except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError, MemoryError, OSError) as error:
        return Effect(source=name, words=_words(found, found.rows, None), problem=_why(error))
    all_rows = found.verb in ("delete", "update") and rows is not None and rows == total and rows > 0
    return Effect(
        source=name,
        words=_words(found, rows, total),
        rows=rows,
        rows_are_all=all_rows,
        plan=plan,
        problem=found.why_not,
    )


class _ReadOnly:
    """A connection that can read one file, for a short while, and do nothing else."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"{path.name} is not there")
        self._connection = sqlite3.connect(_uri(path), uri=True, timeout=LOOK_SECONDS_MAX, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        connection = self._connection
        connection.execute("PRAGMA query_only = 1")
        connection.execute(f"PRAGMA hard_heap_limit = {HEAP_BYTES_MAX}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, VALUE_BYTES_MAX)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES_MAX)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_authorizer(_may)
        until = time.monotonic() + LOOK_SECONDS_MAX
        connection.set_progress_handler(lambda: int(time.monotonic() > until), OPERATIONS_BETWEEN_LOOKS)
        return connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _uri(path: Path) -> str:
    """How to open a file so that nothing is made beside it: a log that is written ahead wants two files, else.

    Raises: OSError.
    """
    path = path.resolve()  # the log stands beside the file itself, not beside a link to it
    with path.open("rb") as file:
        is_ahead = 2 in file.read(20)[18:20]
    log, shared = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    is_in_use = log.exists() and (shared.exists() or log.stat().st_size > 0)
    how = "mode=ro" if not is_ahead else "mode=ro&readonly_shm=1" if is_in_use else "mode=ro&immutable=1"
    return f"{path.as_uri()}?{how}"


def _may(action: int, _: str | None, name: str | None, *__: object) -> int:
    """What a statement may do: read, and call what has a bounded cost."""
    is_allowed = action in _ALLOWED and (action != sqlite3.SQLITE_FUNCTION or (name or "").lower() in _FUNCTIONS)
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _values(args: Mapping[str, Any]) -> Values:
    """What a call gives for the placeholders of its statement. Raises: ValueError."""
    given = _one_of(args, _VALUE_NAMES)
    return given if isinstance(given, dict | list) else {}


def _plan(connection: sqlite3.Connection, sql: str, values: Values) -> tuple[str, ...]:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchmany(PLAN_LINES_MAX)
    return tuple(str(row[3]) for row in rows)


def _rows(connection: sqlite3.Connection, found: Counting, values: Values) -> tuple[int | None, int | None]:
    """The rows that are meant, and how many the table has where it is one whose rows change."""
    if found.query is None:
        return found.rows, None
    rows = int(connection.execute(found.query, values).fetchone()[0])
    if found.verb not in ("delete", "update"):
        return rows, None
    table = found.table.replace('"', '""')
    return rows, int(connection.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0])


_VERBS = {"delete": "deletes", "update": "changes", "insert": "adds", "select": "reads"}


def _words(found: Counting, rows: int | None, total: int | None) -> str:
    verb = _VERBS.get(found.verb)
    if verb is None or rows is None:
        return ""
    of = "" if total is None else f" of {total:,}"
    where = f" in {found.table}" if found.table else ""
    every = ": EVERY ROW" if total is not None and rows == total and rows > 0 else ""
    more = "" if found.verb == "select" else ", besides what triggers do"
    return f"{verb} {rows:,}{of} row{'s' if (total if total is not None else rows) != 1 else ''}{where}{every}{more}"


def _files(place: str, args: Mapping[str, Any]) -> Effect:
    folder = Path(place).expanduser().resolve()
    source = f"the folder {folder.name}"
    try:
        named, after = _text(args, _PATH_NAMES), _text(args, _CONTENT_NAMES)
        if named is None or after is None:
            return Effect(source=source, problem="the arguments hold no path and content that are texts")
        path = (folder / named).resolve()
        if not path.is_relative_to(folder):
            return Effect(source=source, problem=f"{named} lies outside of {folder.name}")
        before = _text_of(path)
    except (OSError, ValueError, RuntimeError) as error:
        return Effect(source=source, problem=_why(error))
    if before is None:
        lines = after.count("\n") + (not after.endswith("\n"))
        return Effect(source=source, words=f"makes a new file of {lines:,} line{'s' if lines != 1 else ''}: {named}")
    words = f"writes over {named}" if before != after else f"{named} stays as it is"
    return Effect(source=source, words=words, before=before, after=after)


def _text_of(path: Path) -> str | None:
    """What a file holds; None where there is none. Raises: OSError, ValueError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is no plain file")
        if about.st_size > FILE_BYTES_MAX:
            raise ValueError(f"it has {about.st_size:,} bytes; at most {FILE_BYTES_MAX:,} are compared")
        data = file.read(FILE_BYTES_MAX)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("it holds no text") from None


def _text(args: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The text under the one of these names that is there. Raises: ValueError."""
    found = _one_of(args, names)
    return found if isinstance(found, str) else None


def _one_of(args: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """What stands under one of these names; which of several a tool uses cannot be known. Raises: ValueError."""
    there = [name for name in names if args.get(name) is not None]
    if len(there) > 1:
        raise ValueError(
            f"{' and '.join(there)} are {'both' if len(there) == 2 else 'all'} there: "
            "which one the tool uses is not known"
        )
    return args[there[0]] if there else None


def _why(error: Exception) -> str:
    words = str(error) or ("it takes too much memory" if isinstance(error, MemoryError) else type(error).__name__)
    return f"it took more than {LOOK_SECONDS_MAX:g} s" if words == "interrupted" else words


_KINDS: dict[str, Callable[[str, Mapping[str, Any]], Effect]] = {"sqlite": _sqlite, "files": _files}
_under_way = threading.BoundedSemaphore(LOOKS_AT_ONCE_MAX)
