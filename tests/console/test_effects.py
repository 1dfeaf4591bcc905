"""What a held call would do, looked up without running anything: no source is written to, whatever the call says."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsconsole.console import effects
from opsconsole.console.effects import FILE_BYTES_MAX, LOOKS_AT_ONCE_MAX, effect_of
from opsconsole.console.view.effect import Effect, effect_details, effect_lines
from opsconsole.console.view.line import width_of
from tests.console.test_hostile import EVIL, FORBIDDEN


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Ten orders in three batches."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT, batch INT)")
        connection.executemany("INSERT INTO orders (state, batch) VALUES (?, ?)", [("new", at % 3) for at in range(10)])
    connection.close()
    return path


LIMIT_SECONDS = 30.0


def look(source: str, args: Mapping[str, Any]) -> Effect:
    """Heard however busy the machine is."""
    return effect_of(source, args, seconds_max=LIMIT_SECONDS)


def looked_up(path: Path, sql: object) -> Effect:
    return look(f"sqlite:{path}", {"sql": sql})


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DELETE FROM orders WHERE batch = 1", "deletes 3 of 10 rows in orders, besides what triggers do"),
        ("UPDATE orders SET state = 'x'", "changes 10 of 10 rows in orders: EVERY ROW, besides what triggers do"),
        ("INSERT INTO orders (state) VALUES ('a'), ('b')", "adds 2 rows in orders, besides what triggers do"),
        ("INSERT INTO orders SELECT id + 100, state, batch FROM orders WHERE batch = 0",
         "adds 4 rows in orders, besides what triggers do"),
        ("SELECT * FROM orders WHERE id = 3", "reads 1 row"),
        ("DELETE FROM orders WHERE id = 99", "deletes 0 of 10 rows in orders, besides what triggers do"),
    ],
    ids=["delete", "update of all", "insert of values", "insert of a query", "select", "nothing"],
)  # fmt: skip
def test_the_rows_that_a_statement_means_are_counted(shop: Path, sql: str, words: str) -> None:
    assert (looked_up(shop, sql).words, looked_up(shop, sql).problem) == (words, "")


def test_every_row_is_said_to_be_every_row(shop: Path) -> None:
    assert [looked_up(shop, f"DELETE FROM orders{where}").rows_are_all for where in ("", " WHERE batch = 1")] == [
        True,
        False,
    ]


def test_what_a_call_gives_for_placeholders_is_counted_with(shop: Path) -> None:
    call = {"statement": "UPDATE orders SET state = :to WHERE batch = :batch", "parameters": {"to": "x", "batch": 1}}
    assert look(f"sqlite:{shop}", call).rows == 3


@pytest.mark.parametrize("values", [{}, {"batch": {"x": 1}}, {"batch": 2**70}, [1, 2], "x", 7])
def test_values_that_fit_no_placeholder_leave_the_effect_unknown(shop: Path, values: object) -> None:
    found = look(f"sqlite:{shop}", {"sql": "DELETE FROM orders WHERE batch = :batch", "parameters": values})
    assert (found.rows, bool(found.problem)) == (None, True)


def test_the_plan_of_the_database_is_shown(shop: Path) -> None:
    assert looked_up(shop, "DELETE FROM orders WHERE id = 3").plan == (
        "SEARCH orders USING INTEGER PRIMARY KEY (rowid=?)",
    )


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("DROP TABLE orders", "not authorized"),
        ("ATTACH 'other.db' AS other", "not authorized"),
        ("PRAGMA writable_schema = 1", "not authorized"),
        ("SELECT 1; DELETE FROM orders", "one statement at a time"),
        ("DELETE FROM nosuch", "no such table: nosuch"),
        ("SELECT randomblob(9)", "not authorized"),
        ("DELETE FROM orders WHERE instr(hex(zeroblob(100000)) || state, 'x')", "not authorized"),
        ("SELECT '" + "a" * 9_000 + "' LIKE '%" + "a" * 201 + "b'", "LIKE or GLOB pattern too complex"),
        ("SELECT load_extension('x')", "not authorized"),
        ("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT * FROM c", "took more than 1 s"),
        (7, "no argument of sql, query, statement, stmt holds a text"),
    ],
    ids=[
        "drop",
        "attach",
        "pragma",
        "two",
        "no table",
        "a blob",
        "a slow step",
        "a pattern",
        "an extension",
        "without end",
        "no text",
    ],
)
def test_what_cannot_be_known_says_why(shop: Path, sql: object, problem: str) -> None:
    found = looked_up(shop, sql)
    assert problem in found.problem
    assert found.words == ""


def test_named_queries_that_double_each_other_are_given_up(shop: Path) -> None:
    more = ", ".join(f"c{at} AS (SELECT 1 AS x FROM c{at - 1} a, c{at - 1} b)" for at in range(1, 40))
    found = looked_up(shop, f"WITH c0 AS (SELECT 1 AS x), {more} SELECT * FROM c39")
    assert (found.words, found.problem) == ("", "it takes too much memory")


@pytest.mark.parametrize(
    ("source", "args", "problem"),
    [
        ("sqlite", {"sql": "SELECT 1", "query": "DELETE FROM orders"}, "sql and query are both there"),
        ("sqlite", {"sql": "SELECT :a", "params": {"a": 1}, "values": [2]}, "params and values are both there"),
        ("files", {"path": "a", "file": "b", "content": "c"}, "path and file are both there"),
        ("files", {"path": "a", "content": "c", "contents": "d", "text": "e"}, "are all there"),
    ],
    ids=["statements", "values", "paths", "contents"],
)
def test_which_of_two_arguments_a_tool_uses_is_not_guessed(
    shop: Path, source: str, args: dict[str, Any], problem: str
) -> None:
    found = look(f"{source}:{shop if source == 'sqlite' else shop.parent}", args)
    assert (found.words, found.rows, found.before, problem in found.problem) == ("", None, None, True)


def test_an_argument_that_is_not_given_is_not_there(shop: Path) -> None:
    assert look(f"sqlite:{shop}", {"sql": "SELECT * FROM orders", "query": None}).words == "reads 10 rows"


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("DELETE FROM orders WHERE id = 1")
connection.commit()
print("written", flush=True)
sys.stdin.read()
"""


def written_ahead(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def held_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_nothing_is_made_beside_a_database_whose_log_is_written_ahead(shop: Path) -> None:
    written_ahead(shop)
    before = held_files(shop.parent)
    assert looked_up(shop, "DELETE FROM orders WHERE batch = 1").rows == 3
    assert (held_files(shop.parent), list(before)) == (before, ["shop.db"])


def test_what_a_writer_has_not_moved_into_the_database_yet_is_counted_too(shop: Path) -> None:
    written_ahead(shop)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(shop)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        before = sorted(os.listdir(shop.parent))
        assert looked_up(shop, "DELETE FROM orders").rows == 9
        assert sorted(os.listdir(shop.parent)) == before == ["shop.db", "shop.db-shm", "shop.db-wal"]
        writer.stdin.close()


def test_a_log_that_nobody_holds_open_leaves_the_effect_unknown(shop: Path) -> None:
    written_ahead(shop)
    shop.with_name("shop.db-wal").write_bytes(b"x" * 100)
    before = held_files(shop.parent)
    assert (looked_up(shop, "DELETE FROM orders").rows, held_files(shop.parent)) == (None, before)


def test_a_look_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Semaphore(0), threading.Event()

    def stuck(place: str, args: Mapping[str, Any]) -> Effect:
        begun.release()
        ended.wait(LIMIT_SECONDS)
        return Effect(source=place, words="late")

    monkeypatch.setitem(effects._KINDS, "stuck", stuck)
    try:
        found = [effect_of("stuck:x", {}, seconds_max=0.01).problem for _ in range(LOOKS_AT_ONCE_MAX + 1)]
        threads = [one for one in threading.enumerate() if one.name == "console effect"]
        assert found == ["it took more than 0.01 s"] * LOOKS_AT_ONCE_MAX + ["4 earlier looks have not ended yet"]
        assert [one.daemon for one in threads] == [True] * LOOKS_AT_ONCE_MAX
    finally:
        ended.set()
        for one in threading.enumerate():
            if one.name == "console effect":
                one.join(LIMIT_SECONDS)


STATEMENTS = st.lists(
    st.sampled_from(
        [
            *(
                "DELETE FROM orders",
                "UPDATE orders SET state='x'",
                " WHERE batch=1",
                ";",
                "DROP TABLE orders",
                "--",
                "/*",
            ),
            *(
                "*/",
                "INSERT INTO orders(batch) VALUES (9)",
                "VACUUM",
                " RETURNING id",
                "EXPLAIN ",
                "BEGIN",
                "COMMIT",
                "'",
            ),
            *(" LIMIT 1", "CREATE TABLE t(a)", "REPLACE INTO orders VALUES (1,'x',1)", "WITH c AS (SELECT 1) "),
            "ATTACH ':memory:' AS m",
        ]
    ),
    max_size=5,
).map(" ".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STATEMENTS)
def test_no_statement_changes_a_byte(shop: Path, sql: str) -> None:
    before = shop.read_bytes()
    looked_up(shop, sql)
    assert (shop.read_bytes(), os.listdir(shop.parent)) == (before, ["shop.db"])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        ["DELETE FROM orders", "UPDATE orders SET state = 'x'", "UPDATE orders AS o SET batch = o.batch + 1"]
    ),
    st.sampled_from(["", " WHERE batch = 1", " WHERE id > 3 AND id < 7", " WHERE id IN (SELECT max(id) FROM orders)"]),
)
def test_the_count_is_what_running_it_would_change(shop: Path, sql: str, where: str) -> None:
    connection = sqlite3.connect(":memory:")
    with sqlite3.connect(shop) as source:
        source.backup(connection)
    source.close()
    changed = connection.execute(sql + where).rowcount
    connection.close()
    assert looked_up(shop, sql + where).rows == changed


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert looked_up(tmp_path / "none.db", "SELECT 1").problem == "none.db is not there"
    assert os.listdir(tmp_path) == []


def written(folder: Path, path: str, content: str = "new\n") -> Effect:
    return look(f"files:{folder}", {"path": path, "content": content})


def test_a_file_is_compared_with_what_it_would_be(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    found = written(tmp_path, "a.txt", "one\n2\n")
    assert (found.words, found.before, found.after) == ("writes over a.txt", "one\ntwo\n", "one\n2\n")


def test_a_new_file_is_said_to_be_one(tmp_path: Path) -> None:
    assert written(tmp_path, "sub/b.txt", "x\ny").words == "makes a new file of 2 lines: sub/b.txt"


def test_nothing_outside_of_the_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    paths = ("../secret", str(tmp_path / "secret"), "link", "sub/../../secret", "\0")
    assert [written(folder, path).before for path in paths] == [None] * 5
    assert "lies outside of work" in written(folder, "link").problem


@pytest.mark.parametrize("kind", ["fifo", "folder", "large", "binary"])
def test_what_is_no_plain_text_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    make: dict[str, Any] = {
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "large": lambda: path.write_bytes(b"a" * (FILE_BYTES_MAX + 1)),
        "binary": lambda: path.write_bytes(b"\xff\xfe\x00"),
    }
    make[kind]()
    found = written(tmp_path, "x")
    assert (found.before, bool(found.problem)) == (None, True)


def test_a_source_of_no_known_kind_says_so() -> None:
    assert "is no source" in effect_of("postgres:x", {"sql": "SELECT 1"}).problem


@given(st.text(max_size=60), st.text(max_size=60), st.integers(12, 90))
def test_every_line_of_an_effect_fits_and_is_harmless(before: str, after: str, width: int) -> None:
    words = EVIL + before
    effect = Effect(source=words, words=words, problem=words, plan=(words,), before=before + EVIL, after=after)
    lines = effect_lines(effect, width=width) + effect_details(effect, width=width)
    assert all(width_of(line) <= width for line in lines)
    assert not any(FORBIDDEN.search(text) for line in lines for text, _ in line)


def compared(before: str, after: str, width: int = 60) -> list[str]:
    effect = Effect(source="s", words="writes over x", before=before, after=after)
    return ["".join(text for text, _ in line).rstrip() for line in effect_details(effect, width=width)][2:-1]


def test_a_change_behind_a_long_text_is_seen() -> None:
    assert compared("a" * 70_000 + "\nX", "a" * 70_000 + "\nY")[-2:] == ["│ - X", "│ + Y"]


def test_a_change_in_a_long_line_is_on_screen_to_its_end() -> None:
    lines = compared("a" * 70_000 + "old", "a" * 70_000 + "x" * 100 + "new")
    assert "… 69,920 the same …" in lines[0]
    assert "".join(line[2:] for line in lines).count("x") == 100
    assert lines[-1].endswith("new")


def test_only_what_is_the_same_is_called_the_same() -> None:
    assert compared("a\n", "a\n") == ["│   the same, to the last character"]
    assert compared("a<U+200B>", "a\u200b") == [
        "┌─ THE FILE, AS IT IS AND AS IT WOULD BE ───────────────────",
        "│ - a<U+200B>",
        "│ + a<U+200B>",
    ]


def test_what_only_looks_alike_is_said_to_differ_loudly() -> None:
    effect = Effect(source="s", words="writes over x", before="a<U+200B>", after="a\u200b")
    assert ("the file differs in characters that look alike here", "bad") in effect_details(effect, width=60)[1]
