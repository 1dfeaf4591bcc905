"""A kill receipt in words: what each point did, how long it took and what stands behind "dead"; it obtains none."""

from __future__ import annotations

from typing import Any

from opsconsole.cli import output


def receipt_lines(receipt: dict[str, Any]) -> str:
    """One run's receipt: a headline and one line a point."""
    proof, total = str(receipt.get("proof") or "none"), receipt.get("total_ms")
    proven = f"proof {output.cell(proof)}" if proof != "none" else "KILL UNCONFIRMED: no proof"
    took = f"  {total:,.0f} ms" if isinstance(total, int | float) else ""
    head = f"{output.cell(receipt.get('run'))}  {output.tone(output.cell(receipt.get('status')))}  {proven}{took}"
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
