"""The directory that the demo's agents work in: a shop's database, logs and scripts, made anew for each demo."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

ORDERS = 40
REFUNDS_AT_START = 6
ROTATED_LOGS = 6
LOG_LINES = 2_000

REASONS = ("parcel came late", "wrong colour", "arrived broken", "ordered twice", "never arrived")

SCHEMA = """
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    total_cents INTEGER NOT NULL,
    status TEXT NOT NULL
);
CREATE TABLE refunds (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    reason TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    paid_cents INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT 'pending'
);
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    refund_id INTEGER NOT NULL REFERENCES refunds (id),
    cents INTEGER NOT NULL
);
"""

RESTART = """#!/bin/sh
# Restarts a service of the shop: writes down that it did.
echo "$1 restarted at $(date -u +%H:%M:%S)" | tee -a run/restarts.txt
"""

TICKETS = {
    "1042.txt": "From: mara@example.com\nSubject: Invoice 1042\n\nI never got invoice 1042. Can you send it again?\n",
    "1043.txt": "From: jon@example.com\nSubject: Late parcel\n\nMy parcel is nine days late.\n",
    "1044.txt": "From: li@example.com\nSubject: Late parcels again\n\nThe third late parcel this month.\n",
    "1045.txt": "From: ana@example.com\nSubject: Thanks\n\nThe parcel came early. Well done.\n",
}


def make_scratch(root: Path) -> None:
    """Fills an empty directory; the same every time. Raises: FileExistsError if there is a shop already."""
    for name in ("logs", "bin", "run", "tickets", "archive"):
        (root / name).mkdir(parents=True)
    (root / "bin" / "restart").write_text(RESTART)
    for name, text in TICKETS.items():
        (root / "tickets" / name).write_text(text)
    dice = random.Random(7)
    for number in range(ROTATED_LOGS):
        write_log(root, number, dice)
    _make_database(root / "shop.db", dice)


def write_log(root: Path, number: int, dice: random.Random) -> None:
    """Writes `logs/checkout.log`, or with a number above 0 the rotated `logs/checkout.log.<number>`."""
    name = f"checkout.log.{number}" if number else "checkout.log"
    lines = (f"12:{line // 60 % 60:02}:{line % 60:02} {_log_text(dice, line)}" for line in range(LOG_LINES))
    (root / "logs" / name).write_text("\n".join(lines) + "\n")


def add_refund(database: sqlite3.Connection, dice: random.Random) -> None:
    """One more customer asks for money back."""
    order = dice.randrange(1, ORDERS + 1)
    (total,) = database.execute("SELECT total_cents FROM orders WHERE id = ?", (order,)).fetchone()
    database.execute(
        "INSERT INTO refunds (order_id, reason, amount_cents) VALUES (?, ?, ?)",
        (order, dice.choice(REASONS), dice.choice((total, total, total // 2, total * 3))),
    )


def _make_database(path: Path, dice: random.Random) -> None:
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(SCHEMA)
        for order in range(1, ORDERS + 1):
            row = (order, f"customer {dice.randrange(100, 999)}", dice.randrange(900, 25_000), "delivered")
            database.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", row)
        for _ in range(REFUNDS_AT_START):
            add_refund(database, dice)
        database.commit()
    finally:
        database.close()


def _log_text(dice: random.Random, line: int) -> str:
    if line % 400 == 399:
        return "ERROR checkout: write failed: no space left on device"
    return f"INFO checkout: order {dice.randrange(1, ORDERS + 1)} took {dice.randrange(20, 900)} ms"
