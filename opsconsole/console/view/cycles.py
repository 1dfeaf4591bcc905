"""Which edges of a directed graph lie on a cycle; it knows nothing of agents."""

from __future__ import annotations

from collections.abc import Iterable


def on_a_cycle(edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges from whose end there is a way back to their beginning; an edge from a node to itself is one."""
    pairs = list(edges)
    after: dict[str, list[str]] = {}
    for source, target in pairs:
        after.setdefault(source, []).append(target)
        after.setdefault(target, [])
    part = _parts(after)
    return {(source, target) for source, target in pairs if part[source] == part[target]}


def _parts(after: dict[str, list[str]]) -> dict[str, int]:
    """Node -> number of its strongly connected part: Tarjan's way, without recursion (chains may be long)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    part: dict[str, int] = {}
    stack: list[str] = []
    for start in after:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        stack.append(start)
        path = [(start, iter(after[start]))]
        while path:
            node, rest = path[-1]
            for following in rest:
                if following not in order:
                    order[following] = low[following] = len(order)
                    stack.append(following)
                    path.append((following, iter(after[following])))
                    break
                if following not in part:
                    low[node] = min(low[node], order[following])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    _close(node, stack, part)
    return part


def _close(node: str, stack: list[str], part: dict[str, int]) -> None:
    number = len(part)
    while True:
        member = stack.pop()
        part[member] = number
        if member == node:
            return
