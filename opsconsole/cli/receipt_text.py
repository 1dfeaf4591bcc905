"""A kill receipt in words: what each point did, how long it took and what stands behind "dead"; it obtains none."""

from __future__ import annotations

from typing import Any

from opsconsole.cli import output

NOTHING_KILLED = {
    "not_found": "no such run: nothing was killed by that name",
    "ambiguous": "several runs may be meant: nothing was killed by that name",
}
DEAD = frozenset({"dead", "already_dead"})


def is_proven(receipt: dict[str, Any]) -> bool:
    """Whether the hub calls the run dead, and by what: a claim about a kill that is still under way is no proof."""
    return receipt.get("status") in DEAD and str(receipt.get("proof") or "none") != "none"


def receipt_lines(receipt: dict[str, Any]) -> str:
    """One run's receipt: a headline and one line a point."""
    total = receipt.get("total_ms")
    status = str(receipt.get("status"))
    unproven = NOTHING_KILLED.get(status, "KILL UNCONFIRMED: no proof")
    proven = f"proof {output.cell(receipt.get('proof'))}" if is_proven(receipt) else unproven
    took = f"  {total:,.0f} ms" if isinstance(total, int | float) else ""
    head = f"{output.cell(receipt.get('run'))}  {output.tone(output.cell(status))}  {proven}{took}"
    points = receipt.get("points") or []
    names = [output.cell(point.get("name")) for point in points]
    wide = max(map(output.width, names), default=0)
    lines = [
        f"    {name.ljust(wide)}  {_ms(point.get('ms')):>9}  {output.cell(point.get('outcome'))}"
        for name, point in zip(names, points, strict=True)
    ]
    return "\n".join([head, *lines])


def _ms(ms: Any) -> str:
    return f"{ms:,.1f} ms" if isinstance(ms, int | float) else "-"
