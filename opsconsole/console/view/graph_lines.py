"""The decision graph as lines: a tree of agents with what leads back marked, and the waiting above it; it finds none.

Every agent is drawn once; an edge to one that stands elsewhere is a line that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo

from opsconsole.console.view.amounts import age, money, time_of_day
from opsconsole.console.view.graph import Agent, Chain, Edge, Graph, Member
from opsconsole.console.view.line import Line, Span, Tone, fit_line, width_of
from opsconsole.console.view.told import Calls
from opsconsole.domain.ids import short_id

LINES_MAX = 400
DEPTH_MAX = 12
"""Levels that are indented; deeper ones stand under one another, since nothing would be left for words."""
RUNS_SHOWN_MAX = 12
"""Runs of one agent that get a line of their own; the rest are counted."""
CALLS_SHOWN_MAX = 4
"""Tools that stand behind an agent; all that are known stand beside the graph."""
_NAME_CHARS_MAX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRow:
    """One line of the graph."""

    key: str
    left: Line
    right: Line = ()
    agent: str | None = None
    run: str | None = None
    """The run that a key on this line acts on, where that is exactly one."""

    def line(self, width: int) -> Line:
        """In exactly `width` cells; the right end stays as long as it leaves room for something on the left."""
        room = width - width_of(self.right)
        if room < 20:
            return fit_line(self.left, width)
        return (*fit_line(self.left, room), *self.right)


def graph_rows(graph: Graph, *, now: float, about: str) -> list[GraphRow]:
    """The waiting, then the agents; `about` is the run that the graph was opened for."""
    rows = [_chain_row(chain, now) for chain in graph.chains]
    if rows:
        rows = [GraphRow(key="h:waits", left=(("who waits for whom", "dim"),)), *rows]
        rows.append(GraphRow(key="h:agents", left=(("agents", "dim"),)))
    for row in _agents(graph, now=now, about=about):
        if len(rows) >= LINES_MAX:
            rows.append(GraphRow(key="h:more", left=(("… the rest of the graph is not drawn", "warn"),)))
            break
        rows.append(row)
    return rows


def heading(graph: Graph, width: int) -> Line:
    """How much there is, and what is wrong with it."""
    spans: list[Span] = [(f"─ graph  {_number(len(graph.agents), 'agent')}, {_number(graph.runs, 'run')} ", "dim")]
    stuck = sum(chain.alike for chain in graph.chains if chain.deadlock)
    asking = sum(chain.alike for chain in graph.chains if chain.on == "person" and not chain.deadlock)
    if stuck:
        spans.append((f" ✖ {_number(stuck, 'DEADLOCK')} ", "alarm"))
    if asking:
        spans.append((f" ◆ {asking} waiting for a person ", "ask"))
    if graph.cycles:
        spans.append((f" ↑ {_number(graph.cycles, 'edge')} on a cycle ", "warn"))
    if graph.left_out:
        spans.append((f" {_number(graph.left_out, 'run')} left out ", "warn"))
    spans.append(("─" * max(0, width - width_of(spans)), "dim"))
    return fit_line(tuple(spans), width)


def agent_detail(graph: Graph, name: str, *, now: float, seen_at: float | None, zone: tzinfo) -> list[Line]:
    """One agent: its runs, its calls by tool, who gave it work and whom it gave work to."""
    agent = graph.agents.get(name)
    if agent is None:
        return []
    lines: list[Line] = [((agent.name, "title"), (f"  {_number(len(agent.members), 'run')}", "dim"))]
    if not agent.members:
        lines.append((("named by a hand-off; no run of it is on the board", "warn"),))
    lines += [(("  ", "plain"), *_member(one, now)) for one in agent.members[:RUNS_SHOWN_MAX]]
    if len(agent.members) > RUNS_SHOWN_MAX:
        lines.append(((f"  … {len(agent.members) - RUNS_SHOWN_MAX} more runs", "dim"),))
    lines += [(), (("calls ", "key"), (_as_of(seen_at, zone), "dim"))]
    lines += [(("  ", "plain"), *_call(calls, long=True)) for calls in agent.calls]
    given = [edge for edge in graph.edges if edge.target == name]
    gives = [edge for edge in graph.edges if edge.source == name]
    for title, edges in (("work comes from", given), ("gives work to", gives)):
        if edges:
            lines += [(), ((title, "key"),)]
            lines += [_edge_words(edge, edge.source if edges is given else edge.target) for edge in edges]
    return lines


def _as_of(seen_at: float | None, zone: tzinfo) -> str:
    if seen_at is None:
        return "(its timeline was not looked at: rest the cursor on it)"
    return f"as of {time_of_day(seen_at, zone)}"


def _edge_words(edge: Edge, other: str) -> Line:
    cycle: Line = (("  ↑ CYCLE", "warn"),) if edge.cycle else ()
    return (("  ", "plain"), (other, "strong"), (f"  {_how(edge)}", "dim"), *cycle)


def _how(edge: Edge) -> str:
    parts = [_number(edge.runs, "run")] * bool(edge.runs) + [_number(edge.handoffs, "hand-off")] * bool(edge.handoffs)
    return ", ".join(parts)


def _chain_row(chain: Chain, now: float) -> GraphRow:
    spans: list[Span] = [("  ", "plain")]
    for place, name in enumerate(chain.agents):
        if place:
            spans.append((" → ", "dim"))
        spans.append((_short(name), "strong"))
    end, tone = _end(chain)
    spans.append((f"{' ' if chain.on == 'nobody' else ' → '}{end}", tone))
    if chain.alike > 1:
        spans.append((f"  ×{chain.alike}", "dim"))
    run = chain.runs[-1] if chain.alike == 1 else None
    key = f"w:{chain.runs[0]}:{run}"  # a cursor on this line is bound to the run that a key would act on
    return GraphRow(key=key, left=tuple(spans), right=((f" {age(now - chain.since)}", tone),), run=run)


def _end(chain: Chain) -> tuple[str, Tone]:
    if chain.deadlock:
        return "DEADLOCK: each waits for the next", "alarm"
    if chain.on == "person":
        return f"YOU ({chain.what})" if chain.what else "YOU", "ask"
    words = {"model": "the model ", "tool": "the tool ", "agent": "no run of it is on the board", "nobody": "at work"}
    return words[chain.on] + (chain.what if chain.on in ("model", "tool") else ""), "dim"


def _agents(graph: Graph, *, now: float, about: str) -> Iterator[GraphRow]:
    below: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        below.setdefault(edge.source, []).append(edge)
    drawn: set[str] = set()
    roots = [graph.root] if graph.root in graph.agents else []
    for start in [*roots, *graph.agents]:
        if start not in drawn:
            yield from _below(graph, below, start, drawn, now=now, about=about)


def _below(
    graph: Graph, below: dict[str, list[Edge]], start: str, drawn: set[str], *, now: float, about: str
) -> Iterator[GraphRow]:
    """One agent and everything first reached from it, depth first, without recursion: agents make the depth."""
    ahead: list[tuple[str, Edge | None, str, str]] = [(start, None, "", "")]
    while ahead:
        name, edge, indent, branch = ahead.pop()
        if name in drawn:
            if edge is not None:
                yield _reference(edge, indent + branch)
            continue
        drawn.add(name)
        agent = graph.agents[name]
        yield _agent_row(agent, edge, indent + branch, now=now, about=about)
        inner = indent + {"": "", "├▶ ": "│  ", "└▶ ": "   "}[branch] if len(indent) < 3 * DEPTH_MAX else indent
        edges = below.get(name, [])
        yield from _runs(agent, inner + ("│ " if edges else "  "), now=now, about=about)
        ahead += [(one.target, one, inner, "└▶ " if place == 0 else "├▶ ") for place, one in enumerate(reversed(edges))]


def _reference(edge: Edge, prefix: str) -> GraphRow:
    mark: Span = ("↑ CYCLE", "warn") if edge.cycle else ("(drawn elsewhere)", "dim")
    left: Line = ((prefix, "dim"), (_short(edge.target), "strong"), (f" {_how(edge)} ", "dim"), mark)
    return GraphRow(key=f"e:{edge.source}\n{edge.target}", left=left, agent=edge.target)


def _agent_row(agent: Agent, edge: Edge | None, prefix: str, *, now: float, about: str) -> GraphRow:
    only, urgent = agent.only, agent.urgent
    marked = any(one.run == about for one in agent.members)
    spans: list[Span] = [(prefix, "dim"), (_short(agent.name), "title" if marked else "strong")]
    if urgent is None:
        spans.append(("  no run of it is on the board", "dim"))
    elif only is not None:
        spans += [(" ", "plain"), *_member(only, now, named=False)]
    else:
        spans += [(f" ×{len(agent.members)} ", "dim"), *_states(agent)]
    if edge is not None and edge.cycle:
        spans.append((" ↑ CYCLE", "warn"))
    for place, calls in enumerate(agent.calls[:CALLS_SHOWN_MAX]):
        spans += [(" ─▶ " if place == 0 else " ", "dim"), *_call(calls)]
    if len(agent.calls) > CALLS_SHOWN_MAX:
        spans.append((f" +{len(agent.calls) - CALLS_SHOWN_MAX}", "dim"))
    right: Line = () if urgent is None else ((f" {age(now - urgent.status.since)}", "dim"),)
    run = only.run if only is not None else None
    return GraphRow(key=f"a:{agent.name}:{run}", left=tuple(spans), right=right, agent=agent.name, run=run)


def _runs(agent: Agent, prefix: str, *, now: float, about: str) -> Iterator[GraphRow]:
    """The runs of an agent that has several: those that are alive, and how many have ended."""
    if len(agent.members) < 2:
        return
    alive = [one for one in agent.members if not one.dead or one.run == about]
    for one in alive[:RUNS_SHOWN_MAX]:
        left: Line = ((f"{prefix}· ", "dim"), *_member(one, now, marked=one.run == about))
        right: Line = ((f" {age(now - one.status.since)}", "dim"),)
        yield GraphRow(key=f"r:{one.run}", left=left, right=right, agent=agent.name, run=one.run)
    rest = len(agent.members) - min(len(alive), RUNS_SHOWN_MAX)
    if rest:
        words = f"{prefix}· {rest:,} more, {len(agent.members) - len(alive)} ended"
        yield GraphRow(key=f"m:{agent.name}", left=((words, "dim"),), agent=agent.name)


def _member(one: Member, now: float, *, named: bool = True, marked: bool = False) -> list[Span]:
    status = one.status
    spans: list[Span] = [(f"{short_id(one.run)} ", "title" if marked else "plain")] if named else []
    spans.append((f"{status.glyph} {status.word}", status.tone))
    if one.waiting is not None and not one.dead and one.waiting.kind in _WAITS:
        who, tone = _WAITS[one.waiting.kind]
        spans.append((f" {who}{': ' if one.waiting.what else ''}{one.waiting.what}", tone))
    spans.append((f"  {one.turns}t {money(one.cost_usd, known=one.cost_known)}", "dim"))
    return spans


_WAITS: dict[str, tuple[str, Tone]] = {
    "approval": ("WAITS FOR YOU", "ask"),
    "input": ("WAITS FOR YOU", "ask"),
    "takeover": ("waits for its operator", "hold"),
    "pause": ("waits to be let go on", "hold"),
    "handoff": ("waits for", "plain"),
}
"""What is worth saying; every other run waits for its model or a tool now and then."""


def _states(agent: Agent) -> list[Span]:
    counted: dict[tuple[str, str], tuple[int, Tone]] = {}
    for one in sorted(agent.members, key=lambda one: (one.dead, one.status.rank)):
        place = one.status.glyph, one.status.word
        number = counted[place][0] if place in counted else 0
        counted[place] = number + 1, one.status.tone
    return [(f"{glyph} {number} {word}  ", tone) for (glyph, word), (number, tone) in counted.items()]


def _call(calls: Calls, *, long: bool = False) -> Line:
    times = f" ×{calls.count}" if calls.count != 1 else ""
    spans: list[Span] = [(f"[{_short(calls.tool)}{times}", "plain")]
    if calls.open:
        spans.append((f" ●{calls.open}", "good"))
    if calls.failed:
        spans.append((f" ✖{calls.failed}", "bad"))
    spans.append(("]", "plain"))
    if long:
        open_, failed = f"{calls.open} open" if calls.open else "", f"{calls.failed} failed" if calls.failed else ""
        spans.append(("  " + ", ".join(filter(None, (_number(calls.count, "call"), open_, failed))), "dim"))
    return tuple(spans)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARS_MAX else name[: _NAME_CHARS_MAX - 1] + "…"


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def agents_in(rows: Iterable[GraphRow]) -> list[str]:
    """The agents that have a line of their own."""
    return [row.agent for row in rows if row.agent is not None and row.key.startswith("a:")]
