"""The decision graph: which agents, edges, cycles and waits are found, and how they are drawn at any width."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.console.sample import NOW, run
from opsconsole.console.view.ascii_text import to_ascii
from opsconsole.console.view.board import Board
from opsconsole.console.view.cycles import on_a_cycle
from opsconsole.console.view.graph import AGENTS_MAX, RUNS_MAX, Graph, graph_of
from opsconsole.console.view.graph_lines import LINES_MAX, agent_detail, graph_rows, heading
from opsconsole.console.view.line import width_of
from opsconsole.console.view.timeline import Timeline
from opsconsole.console.view.told import Calls, Told, told_of
from opsconsole.protocol.frames import Snap
from tests.console.graph_rows import calls, handed, team


def board_of(*rows: dict[str, Any]) -> Board:
    board = Board(zone=UTC)
    board.now = NOW
    board.rows.snap(Snap(sub="board", epoch="e", part=0, end=True, rev=1, rows=list(rows)))
    return board


def graph(*rows: dict[str, Any], of: str = "", told: dict[str, Told] | None = None) -> Graph:
    return graph_of(board_of(*rows), of or rows[0]["key"], told or {}, now=NOW)


def text(found: Graph, about: str = "", width: int = 100) -> list[str]:
    lines = [row.line(width) for row in graph_rows(found, now=NOW, about=about)]
    return ["".join(part for part, _ in line).rstrip() for line in lines]


def told(*tools: tuple[str, str], handoffs: tuple[str, ...] = ()) -> Told:
    timeline = Timeline("run_A1")
    timeline.add(calls(*tools, handoffs=handoffs))
    return told_of(timeline, at=NOW)


def test_runs_of_one_agent_are_one_node_and_every_delegation_is_an_edge() -> None:
    found = graph(*team())
    assert list(found.agents) == ["planner", "researcher", "coder", "reviewer"]
    assert {(edge.source, edge.target): edge.runs for edge in found.edges} == {
        ("planner", "researcher"): 3,
        ("planner", "coder"): 1,
        ("coder", "reviewer"): 1,
        ("reviewer", "coder"): 1,
    }


def test_the_graph_is_the_whole_tree_whichever_of_its_runs_is_asked_about() -> None:
    assert graph(*team(), of="run_C2") == graph(*team(), of="run_A1")


def test_edges_with_a_way_back_are_on_a_cycle_and_others_are_not() -> None:
    cycles = {(edge.source, edge.target) for edge in graph(*team()).edges if edge.cycle}
    assert cycles == {("coder", "reviewer"), ("reviewer", "coder")}


def test_an_agent_that_starts_itself_is_on_a_cycle() -> None:
    found = graph(run("r1", "worker"), run("r2", "worker", parent="r1"))
    assert [(edge.source, edge.target, edge.cycle) for edge in found.edges] == [("worker", "worker", True)]


def test_runs_that_each_claim_the_other_as_parent_end_the_walk() -> None:
    found = graph(run("r1", "a", parent="r2"), run("r2", "b", parent="r1"))
    assert (found.runs, found.cycles) == (2, 2)


def test_a_chain_of_waiting_names_everyone_up_to_the_person() -> None:
    chain = graph(*team()).chains[0]
    assert (chain.agents, chain.on, chain.what, chain.since) == (
        ("planner", "coder", "reviewer", "coder"),
        "person",
        "sql_write",
        NOW - 41,
    )


def test_agents_that_wait_for_each_other_are_a_deadlock_and_come_first() -> None:
    held = {"kind": "approval", "what": "sh", "since": NOW - 900}
    found = graph(
        run("r0", "root"),
        run("r1", "asker", parent="r0", waiting=held),
        run("r2", "a", parent="r0", waiting=handed("b")),
        run("r3", "b", parent="r2", waiting=handed("a")),
    )
    assert [(chain.agents, chain.deadlock) for chain in found.chains] == [(("a", "b", "a"), True), (("asker",), False)]


def test_chains_that_read_the_same_are_counted_on_one_line() -> None:
    rows = [run("r0", "root")] + [
        run(f"r{n}", "asker", parent="r0", waiting={"kind": "approval", "what": "sh", "since": NOW - n})
        for n in (1, 2, 3)
    ]
    assert [(chain.alike, chain.since) for chain in graph(*rows).chains] == [(3, NOW - 3)]
    assert "  asker → YOU (sh)  ×3" in text(graph(*rows))[1]


def test_a_hand_off_to_an_agent_without_a_run_is_drawn_as_only_named() -> None:
    found = graph(run("r1", "planner", waiting=handed("ghost")))
    assert found.agents["ghost"].members == ()
    assert "└▶ ghost  no run of it is on the board" in text(found)


def test_calls_are_folded_into_the_agent_by_tool() -> None:
    seen = told(("sql", "completed"), ("sql", "failed"), ("http", "running"), ("sql", "completed"))
    found = graph(*team(), told={"run_A1": seen})
    assert found.agents["planner"].calls == (
        Calls(tool="http", count=1, open=1),
        Calls(tool="sql", count=3, failed=1),
    )
    assert any("─▶ [http ●1] [sql ×3 ✖1]" in line for line in text(found, width=120))


def test_turns_of_the_model_are_no_calls_of_a_tool() -> None:
    timeline = Timeline("r")
    event = {"seq": 1, "ts": 0, "type": "tool", "id": "c", "name": "gpt", "kind": "model_call", "status": "running"}
    timeline.add([{"position": 1, "gen": "g", "at": NOW, "event": event}])
    assert told_of(timeline, at=NOW).calls == {}


def test_hand_offs_seen_in_a_timeline_are_counted_on_the_edge() -> None:
    found = graph(*team(), told={"run_A1": told(handoffs=("coder", "coder", "auditor"))})
    assert {edge.target: edge.handoffs for edge in found.edges if edge.source == "planner"} == {
        "researcher": 0,
        "coder": 2,
        "auditor": 1,
    }


def test_the_tree_is_drawn_with_cycles_marked_and_ended_runs_folded() -> None:
    drawn = [line.rsplit("  ", 1)[0].rstrip() if line[-1:] == "s" else line for line in text(graph(*team()))]
    assert drawn[:3] == ["who waits for whom", "  planner → coder → reviewer → coder → YOU (sql_write)", "agents"]
    words = "\n".join(text(graph(*team())))
    assert "├▶ researcher ×3 ● 1 working  ✔ 2 done" in words
    assert "· 2 more, 2 ended" in words
    assert "└▶ coder ×2 ◆ 1 approval" in words
    assert "   └▶ reviewer" in words
    assert "      └▶ coder 1 run, 1 hand-off ↑ CYCLE" in words


def test_a_line_of_several_runs_is_no_run_that_a_key_could_act_on() -> None:
    rows = {row.key: row for row in graph_rows(graph(*team()), now=NOW, about="run_A1")}
    assert rows["a:coder:None"].run is None
    assert (rows["r:run_C1"].run, rows["r:run_C2"].run, rows["a:planner:run_A1"].run) == ("run_C1", "run_C2", "run_A1")


def test_the_heading_counts_what_is_wrong() -> None:
    words = "".join(part for part, _ in heading(graph(*team()), 100))
    assert "4 agents, 7 runs" in words
    assert "1 waiting for a person" in words
    assert "2 edges on a cycle" in words


def test_an_agent_in_full_says_where_its_work_comes_from_and_whether_its_calls_were_seen() -> None:
    lines = agent_detail(graph(*team()), "coder", now=NOW, seen_at=None, zone=UTC)
    words = "\n".join("".join(part for part, _ in line) for line in lines)
    assert "its timeline was not looked at" in words
    assert words.index("work comes from") < words.index("planner") < words.index("gives work to")


def test_ten_thousand_children_are_bounded_and_counted() -> None:
    rows = [run("r0", "root"), *(run(f"r{n}", f"a{n % 400}", parent="r0") for n in range(1, RUNS_MAX + 500))]
    found = graph(*rows)
    assert len(found.agents) == AGENTS_MAX
    assert found.left_out > 500
    assert len(graph_rows(found, now=NOW, about="r0")) <= LINES_MAX + 1


def test_a_chain_of_a_thousand_agents_is_drawn_without_recursion() -> None:
    rows = [run("r0", "a0"), *(run(f"r{n}", f"a{n % 140}", parent=f"r{n - 1}") for n in range(1, 1_000))]
    assert len(graph_rows(graph(*rows), now=NOW, about="r0")) > 100


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
PAIRS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=24)


@given(PAIRS)
def test_an_edge_is_on_a_cycle_exactly_when_there_is_a_way_back(pairs: list[tuple[str, str]]) -> None:
    def reached(start: str) -> set[str]:
        seen, ahead = {start}, [start]
        while ahead:
            node = ahead.pop()
            new = {b for a, b in pairs if a == node} - seen
            seen |= new
            ahead += new
        return seen

    assert on_a_cycle(pairs) == {(a, b) for a, b in pairs if a in reached(b)}


@st.composite
def fleets(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5))
    rows = []
    for index in range(draw(st.integers(1, 9))):
        parent = draw(st.none() | st.integers(0, 9).map("r{}".format))
        waiting = draw(
            st.none() | st.sampled_from(names).map(handed) | st.just({"kind": "input", "what": "", "since": 0})
        )
        rows.append(run(f"r{index}", draw(st.sampled_from(names)), parent=parent, waiting=waiting))
    return rows


@settings(max_examples=60)
@given(fleets(), st.integers(1, 180))
def test_any_fleet_is_drawn_in_exactly_the_width_each_line_once(rows: list[dict[str, Any]], width: int) -> None:
    found = graph(*rows)
    drawn = graph_rows(found, now=NOW, about="r0")
    assert {width_of(row.line(width)) for row in drawn} == {width}
    assert len({row.key for row in drawn}) == len(drawn)
    assert {row.agent for row in drawn if row.key.startswith("a:")} == set(found.agents)
    assert all(to_ascii(part).isascii() for row in drawn for part, _ in row.line(width))
