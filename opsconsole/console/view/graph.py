"""The decision graph around one run: its agents, who delegates to whom, and who waits for whom; it draws nothing.

Runs of one agent are one node, so that a hand-off back to an agent that was there before shows as a cycle. Names and
parentage are the agents' own claims.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from opsconsole.console.view.board import Board
from opsconsole.console.view.cycles import on_a_cycle
from opsconsole.console.view.status import Status, is_dead
from opsconsole.console.view.told import Calls, Told
from opsconsole.protocol.rows import RunRow, Waiting

RUNS_MAX = 500
"""Runs of one tree that are looked at: some six milliseconds' worth; there is a word where there are more."""
AGENTS_MAX = 150
"""Nodes of one graph; a screen cannot show more in a way that is read."""
CHAINS_MAX = 20
"""Chains of waiting that are named."""
CHAIN_LINKS_MAX = 12

WaitsOn = Literal["person", "agent", "model", "tool", "nobody"]
_ON: dict[str, WaitsOn] = {
    "approval": "person",
    "input": "person",
    "takeover": "person",
    "pause": "person",
    "handoff": "agent",
    "model": "model",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One run of an agent."""

    run: str
    status: Status
    dead: bool
    waiting: Waiting | None
    turns: int
    cost_usd: float
    cost_known: bool
    doing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A node: an agent, its runs in the order in which they started, and the calls of those whose timeline was seen."""

    name: str
    members: tuple[Member, ...]
    """Empty for an agent that is only named: by a hand-off, without a run on the board."""
    calls: tuple[Calls, ...] = ()

    @property
    def only(self) -> Member | None:
        """The run, where there is exactly one."""
        return self.members[0] if len(self.members) == 1 else None

    @property
    def urgent(self) -> Member | None:
        """The run that needs a person most."""
        return min(self.members, key=lambda one: (one.dead, one.status.rank), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """`source` gave work to `target`."""

    source: str
    target: str
    runs: int = 0
    """Runs that it started."""
    handoffs: int = 0
    """Hand-offs that were seen; those of runs whose timeline was not looked at are not counted."""
    cycle: bool = False
    """Whether there is a way back from `target` to `source`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Agents each of which waits for the next, and what the last one waits for."""

    agents: tuple[str, ...]
    runs: tuple[str, ...]
    on: WaitsOn
    what: str
    since: float
    """Hub clock: since when the last one waits."""
    deadlock: bool = False
    """Whether the last one waits for one before it."""
    alike: int = 1
    """Chains of other runs that read the same are counted here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What there is to draw."""

    root: str = ""
    agents: Mapping[str, Agent] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    chains: tuple[Chain, ...] = ()
    runs: int = 0
    left_out: int = 0
    """Runs that are not in it, because there are too many."""

    @property
    def cycles(self) -> int:
        """Edges that lie on a cycle."""
        return sum(edge.cycle for edge in self.edges)


def graph_of(board: Board, run: str, told: Mapping[str, Told], *, now: float) -> Graph:
    """The graph of the tree that `run` belongs to; `told` is what timelines said of its runs. `now`: hub clock."""
    rows, left_out = _tree(board, board.root(run))
    if not rows:
        return Graph()
    by_agent: dict[str, list[RunRow]] = {}
    for row in rows:
        by_agent.setdefault(row.agent, []).append(row)
    kept = dict(list(by_agent.items())[:AGENTS_MAX])
    left_out += sum(len(members) for name, members in by_agent.items() if name not in kept)
    edges = _edges([row for row in rows if row.agent in kept], kept, told)
    named = [edge.target for edge in edges if edge.target not in kept]
    agents = {name: _agent(board, name, members, told, now) for name, members in kept.items()}
    agents |= {name: Agent(name=name, members=()) for name in named}
    return Graph(
        root=rows[0].agent,
        agents=agents,
        edges=edges,
        chains=_chains(board, rows),
        runs=len(rows),
        left_out=left_out,
    )


def _tree(board: Board, root: str) -> tuple[list[RunRow], int]:
    """The runs of a tree, breadth first, and how many were left out."""
    rows: list[RunRow] = []
    seen, ahead = {root}, deque([root])
    while ahead and len(rows) < RUNS_MAX:
        row = board.get(ahead.popleft())
        if row is None:
            continue
        rows.append(row)
        below = [child for child in board.children(row.key) if child not in seen]
        seen.update(below)
        ahead.extend(below)
    return rows, len(ahead)


def _agent(board: Board, name: str, rows: Iterable[RunRow], told: Mapping[str, Told], now: float) -> Agent:
    members, calls = [], Calls.none()
    for row in rows:
        members.append(_member(row, board.status(row, now)))
        if row.key in told:
            calls = Calls.joined(calls, told[row.key].calls)
    return Agent(name=name, members=tuple(members), calls=Calls.most(calls))


def _member(row: RunRow, status: Status) -> Member:
    return Member(
        run=row.key,
        status=status,
        dead=is_dead(row),
        waiting=row.waiting,
        turns=row.turns,
        cost_usd=row.cost_usd,
        cost_known=row.cost_known,
        doing=row.doing,
    )


def _edges(rows: list[RunRow], kept: Mapping[str, object], told: Mapping[str, Told]) -> tuple[Edge, ...]:
    runs: dict[tuple[str, str], int] = {}
    handed: dict[tuple[str, str], int] = {}
    agent_of = {row.key: row.agent for row in rows}
    for row in rows:
        if row.parent is not None and row.parent in agent_of:
            pair = agent_of[row.parent], row.agent
            runs[pair] = runs.get(pair, 0) + 1
    for row in rows:
        targets = dict(told[row.key].handoffs) if row.key in told else {}
        if row.waiting is not None and row.waiting.kind == "handoff" and row.waiting.what:
            targets.setdefault(row.waiting.what, 1)
        for target, count in targets.items():
            handed[row.agent, target] = handed.get((row.agent, target), 0) + count
    room = AGENTS_MAX - len(kept)
    pairs = list(runs) + [pair for pair in handed if pair not in runs]
    strangers = list(dict.fromkeys(target for _, target in pairs if target not in kept))[: max(0, room)]
    pairs = [pair for pair in pairs if pair[1] in kept or pair[1] in strangers]
    looped = on_a_cycle(pairs)
    return tuple(
        Edge(source=a, target=b, runs=runs.get((a, b), 0), handoffs=handed.get((a, b), 0), cycle=(a, b) in looped)
        for a, b in pairs
    )


def _chains(board: Board, rows: list[RunRow]) -> tuple[Chain, ...]:
    """Every chain that nobody waits for the first of, those that wait for a person and deadlocks first."""
    waiting = {row.key: row for row in rows if row.waiting is not None and not is_dead(row)}
    waits_for = {key: _awaited(board, row) for key, row in waiting.items()}
    awaited = {run for run in waits_for.values() if run is not None}
    found, walked = [], set[str]()
    for key in [*(key for key in waiting if key not in awaited), *waiting]:
        if key in walked:
            continue
        chain, path = _walk(board, key, waiting, waits_for)
        walked.update(path)
        if len(chain.agents) > 1 or chain.on == "person":
            found.append(chain)
    return _folded(found)[:CHAINS_MAX]


def _walk(
    board: Board, key: str, waiting: Mapping[str, RunRow], waits_for: Mapping[str, str | None]
) -> tuple[Chain, list[str]]:
    path, looped = [key], False
    while (following := waits_for.get(path[-1])) is not None and len(path) < CHAIN_LINKS_MAX:
        path.append(following)
        if following in path[:-1]:
            looped = True
            break
    names = [row.agent if (row := board.get(run)) is not None else run for run in path]
    last = waiting.get(path[-1])
    wait = None if last is None else last.waiting
    on: WaitsOn = "agent" if looped else "nobody" if wait is None else _ON[wait.kind]
    what = "" if wait is None or looped else wait.what
    if on == "agent" and what and not looped:
        names.append(what)  # it is only named: there is no such run on the board
    since = wait.since if wait is not None else board.rows.by_key[path[-1]].progress_at
    chain = Chain(agents=tuple(names), runs=tuple(path), on=on, what=what, since=since, deadlock=looped)
    return chain, path


def _awaited(board: Board, row: RunRow) -> str | None:
    """The run that a run which handed over waits for: one that it started, or its elder, of the agent it names."""
    if row.waiting is None or row.waiting.kind != "handoff":
        return None
    wanted = row.waiting.what
    below = [child for child in board.children(row.key) if (one := board.get(child)) is not None and not is_dead(one)]
    named = [child for child in below if board.rows.by_key[child].agent == wanted]
    if named:
        return max(named, key=lambda child: _blocks(board.rows.by_key[child]))
    seen, elder = {row.key}, row.parent
    while elder is not None and elder not in seen and (above := board.get(elder)) is not None:
        if above.agent == wanted and not is_dead(above):
            return elder
        seen.add(elder)
        elder = above.parent
    return None


def _blocks(row: RunRow) -> int:
    """How much a run stands in the way: one that waits for a person does most."""
    if row.waiting is None:
        return 0
    return 2 if _ON[row.waiting.kind] == "person" else 1


def _folded(chains: list[Chain]) -> tuple[Chain, ...]:
    """Chains that read the same as one, deadlocks and those that wait for a person first, the oldest on top."""
    alike: dict[tuple[object, ...], list[Chain]] = {}
    for chain in chains:
        alike.setdefault((chain.agents, chain.on, chain.what, chain.deadlock), []).append(chain)
    folded = [_oldest(group) for group in alike.values()]
    return tuple(sorted(folded, key=lambda one: (not one.deadlock, one.on != "person", one.since)))


def _oldest(group: list[Chain]) -> Chain:
    first = min(group, key=lambda one: one.since)
    return Chain(
        agents=first.agents,
        runs=first.runs,
        on=first.on,
        what=first.what,
        since=first.since,
        deadlock=first.deadlock,
        alike=len(group),
    )
