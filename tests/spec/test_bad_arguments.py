"""Arguments and texts that nobody could read, or that would drive a terminal, and clocks that are an hour apart."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.spec.manifest import proves
from tests.spec.place import PROGRAM, Place
from tests.support.hub import RunningHub, note, proposal

pytestmark = pytest.mark.process

CLIPBOARD = "\x1b]52;c;cm0gLXJmIC8=\x07"
"""Writes the clipboard of a terminal that is shown it."""
PROMPT = "\x1b[2J\x1b[H$ opsconsole approve --all\r\u202egnp.exe\u200b"
"""Clears the screen and shows a prompt that is none."""
DRIVING = {"\x1b", "\x07", "\r", "\u202e", "\u200b", "\x9b"}


def deep(levels: int) -> dict[str, object]:
    nested: dict[str, object] = {}
    for _ in range(levels):
        nested = {"in": nested}
    return nested


@proves("args.control", "trap.escape")
async def test_escape_sequences_of_an_agent_reach_no_terminal_and_the_agent_gets_them_back(
    place: Place, hub: RunningHub
) -> None:
    args = {"command": f"echo {CLIPBOARD}{PROMPT}"}
    async with hub.agent("run_escape") as agent:
        await agent.begin(agent=f"agent{CLIPBOARD}")
        await agent.stored(
            await agent.emit(note(PROMPT), proposal("call_1", f"shell{PROMPT}", args) | {"reason": PROMPT})
        )
        held = place.held("run_escape")
        assert held["args"] == args
        shown = []
        looks = (("approvals",), ("runs",), ("show", "run_escape"), ("audit", "list"))
        for how in (*looks, ("approve", held["approval"])):
            shown.append(place.does(*how))
            await agent.send(t="beat")  # commands take their time on a busy machine; the hub is not to call it silent
        assert [DRIVING & set(text) for text in shown] == [set()] * len(shown)
        verdict = await agent.next("cmd")
        assert (verdict["outcome"], verdict["digest"]) == ("allow", held["call_digest"])


@proves("args.huge")
def test_ten_megabytes_of_arguments_are_refused_with_a_reason_and_the_agent_goes_on(place: Place) -> None:
    agent = place.puppet("huge", supervised=False)
    agent.does("tool", args={"path": "/dev/null", "text": "x" * 10_000_000})
    refused = agent.says()["refused"]
    assert "131072" in refused.replace(",", "")
    agent.does("note", text="still here")
    assert agent.says() == {"noted": "still here"}
    assert place.approvals(agent.run) == []


@proves("args.huge-output")
def test_ten_megabytes_of_output_pass_through_unchanged(place: Place) -> None:
    done = place.cli("run", "--agent", "chatty", "--", "sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' x")
    assert (done.returncode, len(done.stdout), set(done.stdout)) == (0, 10_000_000, {"x"})


@proves("args.huge-text")
def test_ten_megabytes_of_text_are_cut_and_say_so(place: Place) -> None:
    agent = place.puppet("wordy", supervised=False)
    agent.does("note", text="x" * 10_000_000)
    assert "noted" in agent.says()
    agent.does("note", text="after")
    assert "noted" in agent.says()
    place.row_when(agent.run, lambda row: len(noted(place, agent.run)) == 2)
    first, second = noted(place, agent.run)
    assert (len(first) < 100_000, first[:10], second) == (True, "x" * 10, "after")
    assert not first.endswith("xxx")


def noted(place: Place, run: str) -> list[str]:
    return [event["text"] for event in place.timeline(run) if event["type"] == "note"]


@proves("args.deep")
async def test_arguments_nested_too_deep_are_refused_with_a_reason(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_deep") as agent:
        await agent.begin()
        await agent.emit(proposal("call_1", "shell", {}) | {"args": deep(100)})
        verdict = await agent.next("cmd")
        assert (verdict["outcome"], "canonical" in verdict["text"]) == ("deny", True)
    puppet = place.puppet("deep", supervised=False)
    puppet.does("tool", args={"path": "/dev/null", "text": deep(100)})
    assert "refused" in puppet.says()


@proves("args.surrogate")
def test_text_that_is_no_unicode_is_refused_as_an_argument_and_kept_as_a_note(place: Place) -> None:
    agent = place.puppet("surrogate", supervised=False)
    agent.does("tool", args={"path": "/dev/null", "text": "lone \ud800"})
    assert "refused" in agent.says()
    agent.does("note", text="lone \ud800 note")
    assert "noted" in agent.says()
    place.row_when(agent.run, lambda row: noted(place, agent.run))
    assert noted(place, agent.run)[0].startswith("lone ")


@proves("args.bytes-output")
def test_output_that_is_not_utf8_is_shown_as_far_as_it_is(place: Place) -> None:
    quiet = r"printf 'before \377\376 after\n' >&2"
    subprocess.run(
        [*PROGRAM, "run", "--agent", "binary", "--", "sh", "-c", quiet],
        env=place.environment,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    row = place.row("binary")
    assert row is not None
    place.row_when(row["run"], lambda row: row.get("ended_at"))
    (ended,) = [event for event in place.timeline(row["run"]) if event.get("exit")]
    (line,) = ended["exit"]["last_output"]
    assert (line.startswith("before "), line.endswith(" after")) == (True, True)


@proves("args.cli-json")
def test_an_edit_that_is_no_object_is_a_usage_error_and_decides_nothing(place: Place, tmp_path: Path) -> None:
    agent = place.puppet("edited", supervised=False)
    agent.does("tool", args={"path": str(tmp_path / "out"), "text": "x"})
    held = place.held(agent.run)
    place.does("edit", held["approval"], "--args", "[1, 2", status=2)
    assert place.held(agent.run)["status"] == "pending"


@proves("args.clocks")
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_an_agent_whose_clock_is_an_hour_off_is_held_and_allowed_by_the_hubs(
    place: Place, tmp_path: Path, seconds: int
) -> None:
    args = {"path": str(tmp_path / "out"), "text": "x"}
    agent = place.puppet(f"clock{seconds}", "--clock", str(seconds), supervised=False)
    agent.does("tool", args=args, ttl_seconds=60.0)
    held = place.held(agent.run)
    assert abs(held["expires_at"] - time.time() - 60.0) < 30.0
    assert abs(place.row_of(agent.run)["started_at"] - time.time()) < 60.0
    place.json("approve", held["approval"], "--timeout", "60")
    assert agent.says()["result"] == "written"
    positions = [one["position"] for one in place.get(f"runs/{agent.run}/events")["events"]]
    assert positions == sorted(positions)
