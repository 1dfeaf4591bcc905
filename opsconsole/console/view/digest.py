"""What happened since a time, counted from entries of the audit: a hand-over in one line; it fetches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.text import safe_line

NOTES_MAX = 200
"""Notes kept of one digest, the newest."""
_UNCONFIRMED = "unconfirmed"
"""What becomes of a kill that nothing proves."""
_SETTLED = frozenset({"approval.decided", "approval.expired", "approval.cancelled", "approval.handed_back"})
_YES = ("approve", "edit")
_NO = ("reject",)
_ACTS = ("run.pause", "run.resume", "run.freeze", "run.thaw", "run.inject", "run.takeover", "run.release")
_AMISS = {
    "call.unpermitted": "calls ran without permission",
    "run.zombie": "dead runs went on",
    "breaker.tripped": "breakers tripped",
    "limit.tripped": "runs paused at a limit",
    "storage.failed": "times storage failed",
    "audit.gap": "gaps in the audit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Words that somebody left on a run."""

    at: float
    by: str
    run: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands at this moment, by the hub's rows."""

    left: int
    """Calls that wait for a person, whenever they were asked about."""
    cost_usd: float
    """Of the runs that are live, since each began."""
    cost_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Counts of one stretch of time, hub clock, unix seconds."""

    since: float
    kills: int
    """Runs that were killed, by what became of their kills: one of many counts each, one of an ended run none."""
    unconfirmed: int
    """Those of them without proof."""
    answers: Counter[str]
    """Decisions by answer: approve, edit, reject, respond."""
    expired: int
    left: int
    """Calls that were asked about since and that no entry says to be settled."""
    started: int
    ended: Counter[str]
    """Runs by the state they ended in."""
    cost_usd: float
    """Of the runs that ended."""
    acts: Counter[str]
    """What else operators did: pause, takeover, ..."""
    amiss: Counter[str]
    people: Counter[str]
    """Acts of each operator."""
    notes: tuple[Note, ...]
    complete: bool
    """Whether the entries reach back to `since`."""

    @property
    def approvals(self) -> int:
        """Decisions that let a call run."""
        return sum(self.answers[answer] for answer in _YES)

    @property
    def refusals(self) -> int:
        """Decisions that let none run."""
        return sum(self.answers[answer] for answer in _NO)


def digest_of(entries: Iterable[Mapping[str, Any]], *, since: float, complete: bool = True) -> Digest:
    """The digest of `entries` as `GET /v1/audit` gives them; those before `since` are left out."""
    taken = [entry for entry in entries if _number(entry.get("at")) >= since]
    kinds = Counter(str(entry.get("kind", "")) for entry in taken)
    asked = {_text(entry, "approval") for entry in taken if entry.get("kind") == "approval.requested"}
    settled = {_text(entry, "approval") for entry in taken if entry.get("kind") in _SETTLED}
    ended = [entry for entry in taken if entry.get("kind") == "run.ended"]
    killed = _killed(taken)
    return Digest(
        since=since,
        kills=killed.total(),
        unconfirmed=killed[_UNCONFIRMED],
        answers=Counter(_text(entry, "answer") for entry in taken if entry.get("kind") == "approval.decided"),
        expired=kinds["approval.expired"] + kinds["approval.cancelled"],
        left=len(asked - settled),
        started=kinds["run.started"],
        ended=Counter(_text(entry, "state") for entry in ended),
        cost_usd=sum(_number(entry.get("cost_usd")) for entry in ended),
        acts=Counter({act.partition(".")[2]: kinds[act] for act in _ACTS if kinds[act]}),
        amiss=Counter({kind: kinds[kind] for kind in _AMISS if kinds[kind]}),
        people=Counter(
            name for entry in taken if (name := operator_of(entry)) and not _text(entry, "kind").startswith("decoy.")
        ),
        notes=tuple(_notes(taken)),
        complete=complete,
    )


def digest_line(digest: Digest, since: str, standing: Standing | None = None) -> str:
    """`since 02:00: 3 kills, 14 approvals, 2 left, $41`: what the runs have cost that ended since or are live.

    Without what stands now, the calls left and the dollars are those that the entries tell of, and are marked so.
    """
    parts = [_many(digest.kills, "kill") + (f" ({digest.unconfirmed} UNCONFIRMED)" if digest.unconfirmed else "")]
    parts += [_many(digest.approvals, "approval")]
    parts += [_many(digest.refusals, "refusal")] if digest.refusals else []
    if standing is None:
        parts += [f"{digest.left} of those asked since left", f"${digest.cost_usd:,.0f} by runs that ended"]
    else:
        known = "" if standing.cost_known else "≥"
        parts += [f"{standing.left} left", f"{known}${digest.cost_usd + standing.cost_usd:,.0f}"]
    begins = "" if digest.complete else " (older entries are not counted)"
    return f"since {since}{begins}: " + ", ".join(parts)


def digest_details(digest: Digest) -> list[str]:
    """The rest, a line each; lines without anything to say are left out."""
    found = [
        _counted("decisions", digest.answers) + (f", {digest.expired} expired or withdrawn" if digest.expired else ""),
        _counted("runs", Counter({"started": digest.started}) + digest.ended),
        _counted("other acts", digest.acts),
        _counted("people", digest.people),
    ]
    amiss = [f"! {number} {_AMISS[kind]}" for kind, number in digest.amiss.items()]
    return [*amiss, *(line for line in found if not line.endswith(": "))]


def operator_of(entry: Mapping[str, Any]) -> str:
    """Who acted, where that was an operator; empty else. The hub by itself has an admin's role, and no token."""
    who = entry.get("who")
    if not isinstance(who, dict) or who.get("role") not in ("operator", "admin"):
        return ""
    if who.get("principal") == "hub" and not who.get("token"):
        return ""
    return safe_line(str(who.get("principal", "")))


def _killed(entries: list[Mapping[str, Any]]) -> Counter[str]:
    """Runs by what is known last of their kill: dead or unconfirmed."""
    last = {_text(entry, "run"): _text(entry, "status") for entry in entries if entry.get("kind") == "kill.outcome"}
    return Counter(status for status in last.values() if status in ("dead", _UNCONFIRMED))


def _notes(entries: list[Mapping[str, Any]]) -> list[Note]:
    return [
        Note(
            at=_number(entry.get("at")),
            by=operator_of(entry),
            run=_text(entry, "run"),
            text=_text(entry, "text") or _text(entry, "note"),
        )
        for entry in entries
        if entry.get("kind") == "run.annotate"
    ][-NOTES_MAX:]


def _counted(title: str, counts: Counter[str]) -> str:
    return f"{title}: " + ", ".join(f"{number} {safe_line(name)}" for name, number in counts.most_common() if number)


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return safe_line(value) if isinstance(value, str) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
