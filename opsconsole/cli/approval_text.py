"""An approval in words: what exactly would run, why it is held and, apart, what the agent says; it decides nothing."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.cli import output

QUOTE = "    | "
"""Stands before every line of the agent's own words."""


def approval_lines(row: dict[str, Any], now: float) -> str:
    """Everything a person needs to decide on one held call."""
    left = float(row.get("expires_at", now)) - now
    status = str(row.get("status", ""))
    expires = f"in {output.span(left)}" if status == "pending" else ""
    parts = [
        output.fields(
            {
                "approval": output.cell(row.get("approval")),
                "run": f"{output.cell(row.get('run'))} ({output.cell(row.get('agent'))})",
                "call": f"{output.cell(row.get('kind'))} {output.cell(row.get('tool'), 200)}",
                "risk": output.tone(output.cell(row.get("risk"))),
                "status": output.tone(output.cell(status)),
                "expires": expires,
                "rule": f"{output.cell(row.get('rule'))}: {output.cell(row.get('why'), 400)}",
                "rules": ", ".join(output.cell(one) for one in row.get("matched", []) if one != row.get("rule")),
                "failed": ", ".join(output.cell(one) for one in row.get("failed", [])),
                "votes": votes(row),
                "edited": f"by {output.cell(row['edited_by'])}" if row.get("edited_by") else "",
                "claimed": f"{output.cell(row['claimed_by'])} looks at it" if row.get("claimed_by") else "",
                "decided": _decided(row),
                "note": output.cell(row.get("note"), 400),
                "digest": output.cell(row.get("digest"), 100),
            }
        ),
        "arguments (secrets masked; the digest covers them unmasked)" if row.get("masked") else "arguments",
        output.block(pretty(row.get("args")), "    "),
    ]
    if row.get("edited_args") is not None:
        parts += ["edited to", output.block(pretty(row["edited_args"]), "    ")]
    if row.get("response") is not None:
        parts += ["answered by the operator", output.block(str(row["response"]), "    ")]
    if row.get("agent_reason"):
        parts += ["the agent says", output.block(str(row["agent_reason"]), QUOTE)]
    if row.get("result"):
        parts += ["result", output.block(str(row["result"]), QUOTE)]
    return "\n".join(parts)


def votes(row: dict[str, Any]) -> str:
    """How many said yes, such as `1 of 2 (dee), from finance, not eli`; empty where any one operator decides."""
    said, groups = [output.cell(one, 60) for one in row.get("votes", [])], row.get("groups", [])
    left_out = [f"not {output.cell(one, 60)}" for one in row.get("not_by") or []]
    if not groups:
        return ", ".join(left_out)
    names = f" ({', '.join(said)})" if said else ""
    asked = ", ".join(output.cell(one, 60) for one in groups)
    return ", ".join([f"{len(said)} of {output.cell(row.get('approvers'))}{names}, from {asked}", *left_out])


def pretty(args: Any) -> str:
    """Arguments as indented JSON."""
    return json.dumps(args, indent=2, ensure_ascii=False)


def _decided(row: dict[str, Any]) -> str:
    if not row.get("decided_by"):
        return ""
    who, when = output.cell(row["decided_by"]), output.clock(row.get("decided_at"))
    return f"by {who} at {when}, {output.cell(row.get('delivery'))}"
