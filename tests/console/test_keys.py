"""Keys pressed, commands sent: each asserted whole."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.console import sample, sample_history
from opsconsole.console.sample import NOW, approval, run
from opsconsole.console.view.timeline import Timeline
from opsconsole.domain.approval import Answer
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command, ProposedCall, Res, Sub
from tests.console.conftest import OpenConsole


def digest_of(key: str) -> str:
    return str(next(row["digest"] for row in sample.approvals() if row["key"] == key))


# kill


async def test_one_key_kills_the_run_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await seat.press("x")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, run="run_01KAHANGE07")]


async def test_kill_does_nothing_when_another_run_just_came_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.rush("j", "x")
        assert seat.link.commands == []
        assert "another run came under the cursor" in seat.note or "in the middle of other keys" in seat.note


async def test_kill_does_nothing_while_typing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("slash")
        await seat.type("x")
        assert (seat.link.commands, seat.app.prompt.input.value) == ([], "x")


async def test_the_letter_x_in_the_middle_of_a_word_kills_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.rush("y", "x")
        assert seat.link.commands == []


async def test_with_kill_key_twice_the_second_press_kills(console: OpenConsole) -> None:
    async with console(kill_key="twice") as seat:
        await seat.press("x")
        assert seat.link.commands == []
        await seat.press("x")
        assert [command.do for command in seat.link.commands] == [Do.KILL]


async def test_with_kill_key_twice_a_late_second_press_only_arms_again(console: OpenConsole) -> None:
    async with console(kill_key="twice") as seat:
        await seat.press("x")
        await seat.settle(6.0)
        await seat.press("x")
        assert seat.link.commands == []


async def test_a_second_kill_leaves_out_the_ladder_and_a_repeating_key_does_not(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await seat.rush("x")
        kill = {"command": "cmd_1", "by": "ana", "mode": "ladder", "reason": "", "sent_at": NOW, "proof": "none"}
        row = run("run_01KAHANGE07", "hanger", state="stopping", kill={**kill, "status": "sent", "points": []})
        seat.link.delta("board", [row])
        await seat.settle(0.5)
        await seat.press("x")
        await seat.press("x")
        assert [(command.do, command.mode) for command in seat.link.commands] == [(Do.KILL, "ladder"), (Do.KILL, "now")]


async def test_the_receipt_opens_with_the_kill_and_stays_until_it_is_closed(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await seat.press("x")
        assert "KILL hanger ANGE07: sent, waiting for the hub" in seat.screen
        seat.link.accept(seat.link.commands[0])
        points = [{"name": "hub.fence", "ms": 0.4, "outcome": "fenced"}]
        kill = {"command": "cmd_1", "by": "ana", "mode": "ladder", "reason": "", "sent_at": NOW, "points": points}
        dead = run(
            "run_01KAHANGE07",
            "hanger",
            state="killed",
            kill={**kill, "status": "dead", "proof": "process", "total_ms": 41.0},
        )
        seat.link.delta("board", [dead])
        await seat.settle()
        await seat.press("2", "1")
        assert "DEAD (process) in 41 ms" in seat.screen
        assert "hub.fence    0.4 ms  fenced" in seat.screen
        await seat.press("escape")
        assert "DEAD (process)" not in seat.screen


async def test_an_unconfirmed_kill_stays_loud_after_its_receipt_is_closed(console: OpenConsole) -> None:
    async with console() as seat:
        kill = {"command": "c", "by": "ben", "mode": "ladder", "reason": "", "sent_at": NOW - 20, "proof": "none"}
        seat.link.delta(
            "board",
            [run("run_01KAHANGE07", "hanger", state="stopping", kill={**kill, "status": "unconfirmed", "points": []})],
        )
        await seat.settle()
        assert "✖ 1 KILL UNCONFIRMED" in seat.screen
        assert "KILL?" in seat.screen


async def test_a_run_that_claims_its_end_under_an_unconfirmed_kill_can_be_killed_on(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await seat.press("x")
        kill = {"command": "c", "by": "ana", "mode": "ladder", "reason": "", "sent_at": NOW - 20, "proof": "none"}
        outlived = {"state": "completed", "ended_at": NOW - 21, "kill": {**kill, "status": "unconfirmed", "points": []}}
        seat.link.delta("board", [run("run_01KAHANGE07", "hanger", **outlived)])
        await seat.settle()
        assert "✖ 1 KILL UNCONFIRMED" in seat.screen
        assert "kill" in seat.screen.splitlines()[-1]
        await seat.press("x")
        assert seat.link.commands[1:] == [Command(cmd="cmd_2", do=Do.KILL, run="run_01KAHANGE07", mode="now")]
        await seat.press("X")
        assert "type 10 to kill EVERY live run (10 now)" in seat.screen


async def test_kill_all_asks_for_the_number_and_a_wrong_one_kills_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("X")
        assert "type 10 to kill EVERY live run (10 now)" in seat.screen
        await seat.type("9")
        await seat.press("enter")
        assert (seat.link.commands, seat.note) == ([], "nothing was killed: that is not the number")


async def test_kill_all_with_the_number_kills_every_live_run(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("X")
        await seat.type("10")
        await seat.press("enter")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, all=True)]


async def test_kill_all_under_a_filter_kills_exactly_what_was_counted(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("slash")
        await seat.type("status:approval")
        await seat.press("enter", "X")
        seat.link.delta("board", [run("run_new", "newcomer", pending_approvals=1)])
        await seat.type("2")
        await seat.press("enter")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, runs=["run_01KASREXX02", "run_01KAREFUND1"])]


# a key means what was on screen


async def test_pause_is_not_turned_into_resume_by_a_change_that_was_not_painted_yet(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        seat.link.delta("board", [run("run_01KALOOPE06", "looper", state="paused")])
        await seat.pilot.press("p")
        assert (seat.link.commands, seat.note) == (
            [],
            "ignored: the run under the cursor changed less than 0.4 s ago; press again",
        )
        await seat.settle(0.5)
        await seat.press("p")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.RESUME, run="run_01KALOOPE06")]


@pytest.mark.parametrize(
    ("key", "change"),
    [("z", {"frozen": True}), ("t", {"baton": {"by": "ben", "since": NOW, "until": NOW + 100, "epoch": 1}})],
)
async def test_a_key_whose_effect_just_changed_does_nothing(
    console: OpenConsole, key: str, change: dict[str, Any]
) -> None:
    async with console() as seat:
        await seat.go("hanger")
        seat.link.delta("board", [run("run_01KAHANGE07", "hanger", **change)])
        await seat.pilot.press(key)
        assert (seat.link.commands, seat.app.view) == ([], "runs")


async def test_what_leaves_the_effect_of_a_key_as_it_was_does_not_delay_it(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        seat.link.delta("board", [run("run_01KALOOPE06", "looper", turns=141)])
        await seat.pilot.press("p")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.PAUSE, run="run_01KALOOPE06")]


@pytest.mark.parametrize("key", ["p", "z", "Z", "i", "t", "R", "x"])
async def test_a_key_does_nothing_to_a_run_that_just_slid_under_the_cursor(console: OpenConsole, key: str) -> None:
    async with console() as seat:
        await seat.go("sre")
        await seat.settle(5.0)
        seat.link.delta("board", [], gone=[seat.run("sre")])
        await seat.settle(2.0)
        assert seat.app.runs_panel.list.cursor == seat.run("triage")
        await seat.pilot.press(key)
        assert (seat.link.commands, seat.app.prompt.is_open, seat.app.view) == ([], False, "runs")


async def test_t_pressed_again_at_once_does_not_hand_back_what_it_just_showed(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.rush("t")
        seat.clock.now += 0.3
        await seat.rush("t")
        assert (seat.link.commands, seat.app.view) == ([], "takeover")


# approvals


async def test_approve_sends_the_digest_on_screen(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "a")
        assert seat.link.commands == [
            Command(
                cmd="cmd_1",
                do=Do.DECIDE,
                run="run_01KASREXX02",
                approval="apr_rm",
                answer=Answer.APPROVE,
                digest=digest_of("apr_rm"),
            )
        ]


async def test_enter_never_approves(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "enter", "enter", "escape", "enter")
        assert seat.link.commands == []


async def test_approve_does_nothing_when_the_call_just_came_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        await seat.pilot.press("j")
        seat.clock.now += 0.3
        await seat.pilot.press("a")
        assert seat.link.commands == []
        assert "on screen for less than 0.4 s" in seat.note


async def test_a_call_that_changes_under_the_cursor_voids_the_key_press(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        seat.link.delta(
            "approvals", [approval("apr_rm", "run_01KASREXX02", "sre", "shell", {"command": "rm -rf /"}, risk="high")]
        )
        await seat.pilot.press("a")
        assert seat.link.commands == []


async def test_a_settled_call_cannot_be_approved(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "G", "a")
        assert (seat.link.commands, seat.note) == ([], "this call no longer waits for a decision")


async def test_after_a_decision_the_next_pending_call_is_shown_and_safe_for_a_moment(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        await seat.rush("a")
        assert seat.app.approvals_panel.list.cursor == "apr_sql"
        await seat.rush("a")
        assert [command.approval for command in seat.link.commands] == ["apr_rm"]


async def test_reject_asks_for_the_reason_that_the_agent_reads(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "d")
        await seat.type("not on prod")
        await seat.press("enter")
        assert seat.link.commands == [
            Command(
                cmd="cmd_1",
                do=Do.DECIDE,
                run="run_01KASREXX02",
                approval="apr_rm",
                answer=Answer.REJECT,
                digest=digest_of("apr_rm"),
                note="not on prod",
            )
        ]


async def test_escape_rejects_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "d")
        await seat.type("no")
        await seat.press("escape")
        assert (seat.link.commands, seat.app.prompt.is_open) == ([], False)


async def test_words_typed_after_a_refused_question_do_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "G")
        await seat.rush("d", *"next", "a", "enter")
        assert seat.link.commands == []
        assert (seat.app.view, seat.app.approvals_panel.list.cursor) == ("approvals", "apr_mail")


async def test_an_edit_is_sent_only_after_it_was_shown(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "e")
        seat.app.draft_panel.editor.load_text('{"command": "rm -v logs/a.log", "timeout_seconds": 20}')
        await seat.settle()
        await seat.press("escape")
        assert '+   "command": "rm -v logs/a.log",' in seat.screen
        await seat.press("a")
        assert seat.link.commands == [
            Command(
                cmd="cmd_1",
                do=Do.DECIDE,
                run="run_01KASREXX02",
                approval="apr_rm",
                answer=Answer.EDIT,
                digest=digest_of("apr_rm"),
                args={"command": "rm -v logs/a.log", "timeout_seconds": 20},
            )
        ]
        assert seat.app.view == "approvals"


async def test_a_letter_typed_into_a_draft_decides_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "e")
        await seat.type("aaxq")
        assert seat.link.commands == []
        assert seat.app.draft_panel.editor.text.startswith("aaxq{")


async def test_an_invalid_or_unchanged_edit_is_not_sent(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "e", "escape", "a")
        assert seat.note == "not sent: nothing is changed; approve the call as it is"
        await seat.press("e")
        await seat.type("oops")
        await seat.press("escape", "a")
        assert seat.link.commands == []


async def test_a_draft_is_void_when_somebody_else_decided_meanwhile(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "e")
        seat.app.draft_panel.editor.load_text('{"command": "ls"}')
        args = {"command": "rm -v logs/app-2026-02-*.log", "timeout_seconds": 20}
        seat.link.delta(
            "approvals",
            [approval("apr_rm", "run_01KASREXX02", "sre", "shell", args, status="rejected", decided_by="ben")],
        )
        await seat.press("escape", "a")
        assert seat.link.commands == []
        assert "cannot be sent any more: settled: rejected ben" in seat.screen


async def test_an_unsent_draft_comes_back(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "r")
        await seat.type("mine")
        await seat.press("escape", "escape", "r")
        assert seat.app.draft_panel.editor.text == "mine"


async def test_masked_arguments_cannot_be_edited(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.snap("approvals", [approval("apr_1", "run_01KASREXX02", "sre", "shell", {"key": "***"}, masked=True)])
        await seat.settle()
        await seat.press("2", "e")
        words = "secrets are masked here, so an edit would send the masks: reject or respond"
        assert (seat.app.view, seat.note) == ("approvals", words)


async def test_respond_answers_in_the_tools_place(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "r")
        await seat.type("done by hand")
        await seat.press("escape", "a")
        assert seat.link.commands == [
            Command(
                cmd="cmd_1",
                do=Do.DECIDE,
                run="run_01KASREXX02",
                approval="apr_rm",
                answer=Answer.RESPOND,
                digest=digest_of("apr_rm"),
                text="done by hand",
            )
        ]


async def test_a_new_approval_moves_neither_focus_nor_cursor_nor_typed_words(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("slash")
        await seat.type("agent:s")
        seat.link.delta("approvals", [approval("apr_new", "run_01KALOOPE06", "looper", "shell", {}, risk="critical")])
        await seat.settle()
        assert seat.app.focused is seat.app.prompt.input
        assert (seat.app.view, seat.app.prompt.input.value) == ("runs", "agent:s")
        assert "◆ 4 waiting" in seat.screen


async def test_a_new_riskier_call_does_not_slip_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        seat.link.delta("approvals", [approval("apr_new", "run_01KALOOPE06", "looper", "shell", {}, risk="critical")])
        await seat.rush("a")
        assert [command.approval for command in seat.link.commands] == ["apr_rm"]


async def test_on_a_short_screen_a_call_must_be_opened_before_it_can_be_decided(console: OpenConsole) -> None:
    async with console(size=(40, 10)) as seat:
        await seat.press("2", "a")
        assert (seat.link.commands, seat.note) == ([], "open it first: enter shows the argumen…")
        await seat.press("enter")
        await seat.read_on()
        await seat.press("a")
        assert [command.approval for command in seat.link.commands] == ["apr_rm"]


# runs: pause, freeze, inject, takeover


@pytest.mark.parametrize(
    ("agent", "key", "do"),
    [("looper", "p", Do.PAUSE), ("spender", "p", Do.RESUME), ("hanger", "z", Do.FREEZE), ("hanger", "Z", Do.THAW)],
)
async def test_a_key_sends_its_command(console: OpenConsole, agent: str, key: str, do: Do) -> None:
    async with console() as seat:
        await seat.go(agent)
        await seat.press(key)
        assert seat.link.commands == [Command(cmd="cmd_1", do=do, run=seat.run(agent))]


async def test_freeze_means_thaw_where_the_hub_says_that_the_run_is_frozen(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await seat.press("z", "z")
        seat.link.delta("board", [run("run_01KAHANGE07", "hanger", frozen=True)])
        await seat.settle()
        await seat.settle()
        await seat.press("z")
        assert [command.do for command in seat.link.commands] == [Do.FREEZE, Do.FREEZE, Do.THAW]


async def test_what_no_point_can_do_is_neither_offered_nor_sent(console: OpenConsole) -> None:
    async with console() as seat:
        watched = [{"name": "hook", "link": "live", "caps": []}]
        seat.link.snap("board", [run("run_1", "watched", points=watched)])
        await seat.settle()
        await seat.press("z", "p", "t")
        assert seat.link.commands == []
        assert "freeze" not in seat.screen.splitlines()[-1]


async def test_inject_sends_the_words_to_the_run_it_was_asked_for(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        await seat.press("i")
        seat.link.delta("board", [run("run_zzz", "urgent", pending_approvals=1)])
        await seat.type("stop it")
        await seat.press("enter")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.INJECT, run="run_01KALOOPE06", text="stop it")]


async def test_taking_over_asks_for_the_baton_and_shows_the_conversation(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        await seat.press("t")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.TAKEOVER, run="run_01KALOOPE06")]
        assert "nobody holds this run yet" in seat.screen


async def test_a_held_run_is_answered_in_words_as_its_model(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t", "r")
        await seat.type("roll back")
        await seat.press("escape", "a")
        assert [(c.do, c.approval, c.answer, c.text) for c in seat.link.commands] == [
            (Do.DECIDE, "apr_model", Answer.RESPOND, "roll back")
        ]
        assert seat.app.view == "takeover"


async def test_a_held_run_is_answered_with_a_composed_call(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t", "c", "enter")
        seat.app.draft_panel.editor.load_text('{"name": "lookup", "args": {"id": "deploys"}}')
        await seat.settle()
        await seat.press("escape", "a")
        [command] = seat.link.commands
        assert command.calls == [ProposedCall(id="call_1", name="lookup", args={"id": "deploys"})]
        assert (command.answer, command.digest) == (Answer.RESPOND, digest_of("apr_model"))


async def test_a_held_run_is_handed_back_with_a_summary(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("R")
        await seat.type("I rolled back")
        await seat.press("enter")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.RELEASE, run="run_01KATRIAG10", text="I rolled back")]


async def test_t_inside_a_takeover_hands_back(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t", "t")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.RELEASE, run="run_01KATRIAG10")]


def held_by(who: str) -> dict[str, Any]:
    """The run of triage, taken over by somebody."""
    row = next(dict(row) for row in sample.runs() if row["agent"] == "triage")
    return {**row, "baton": {"by": who, "since": NOW, "until": NOW + 100, "epoch": 1}}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("R",), "you do not hold this run"),
        (("t", "escape", "r"), "ben holds this run: t takes it from them, for a reason"),
        (("t", "escape", "c"), "ben holds this run: t takes it from them, for a reason"),
    ],
    ids=["R", "r", "c"],
)
async def test_somebody_elses_takeover_is_not_answered_from_here(
    console: OpenConsole, keys: tuple[str, ...], words: str
) -> None:
    async with console() as seat:
        seat.link.delta("board", [held_by("ben")])
        await seat.go("triage")
        await seat.press(*keys)
        assert (seat.link.commands, seat.note) == ([], words)
        assert not {"reply", "call a tool", "hand back"} & set(seat.screen.splitlines()[-1].split("  "))


async def test_a_run_is_taken_from_who_holds_it_for_a_reason(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        seat.link.delta("board", [held_by("ben")])
        await seat.go("triage")
        await seat.press("t")
        assert "ben holds triage: why take it from them:" in seat.screen
        assert "ben holds this run" in seat.screen
        await seat.type("ben went home")
        await seat.press("enter")
        asked = Command(cmd="cmd_1", do=Do.TAKEOVER, run="run_01KATRIAG10", note="ben went home")
        assert (seat.link.commands, seat.app.view) == ([asked], "takeover")


async def test_without_a_reason_nothing_is_taken_from_anybody(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.delta("board", [held_by("ben")])
        await seat.go("triage")
        await seat.press("t", "enter")
        assert (seat.link.commands, seat.note) == ([], "not taken over: to take it from ben needs a reason")


async def test_a_run_is_not_taken_from_another_than_the_one_who_was_named(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.delta("board", [held_by("ben")])
        await seat.go("triage")
        await seat.press("t")
        await seat.type("ben went home")
        seat.link.delta("board", [held_by("cy")], since=2)
        await seat.press("enter")
        assert (seat.link.commands, seat.note) == ([], "not taken over: cy holds it now, not ben; press again")


@pytest.mark.parametrize(
    ("fields", "keys", "hints"),
    [
        ({}, (), ["p pause", "t take over", "z freeze"]),
        ({"state": "paused"}, (), ["p resume", "t take over", "z freeze"]),
        ({"state": "pausing"}, (), ["p resume", "t take over", "z freeze"]),
        ({"frozen": True}, (), ["p pause", "t take over", "z thaw"]),
        (held_by("ana"), ("t",), ["p pause", "t hand back", "R with a summary", "z freeze"]),
        (held_by("ben"), ("t", "escape"), ["p pause", "t take over", "z freeze"]),
    ],
    ids=["working", "paused", "pausing", "frozen", "held", "held by another"],
)
async def test_a_key_of_two_meanings_is_called_by_the_one_that_it_has(
    console: OpenConsole, fields: dict[str, Any], keys: tuple[str, ...], hints: list[str]
) -> None:
    async with console(size=(200, 30)) as seat:
        seat.link.snap("board", [{**run("run_01KATRIAG10", "triage"), **fields}])
        await seat.settle()
        await seat.settle()
        await seat.press(*keys)
        shown = [hint for hint in seat.screen.splitlines()[-1].strip().split("  ") if hint[0] in "ptzR"]
        assert shown == hints


# link


async def test_offline_a_kill_is_queued_and_shown_as_queued_and_nothing_else_is_taken(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        seat.link.close()
        await seat.settle()
        await seat.press("p", "x")
        assert seat.link.commands == []
        assert "QUEUED, NOT SENT: the link is down" in seat.screen
        assert "✖ OFFLINE" in seat.screen
        seat.link.open()
        assert seat.link.commands == [Command(cmd="cmd_2", do=Do.KILL, run="run_01KAHANGE07")]


async def test_offline_decisions_are_refused_with_a_reason(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        seat.link.close()
        await seat.settle()
        await seat.press("a")
        assert seat.link.commands == []
        assert seat.note.startswith("not sent: the link to the hub is down")


async def test_a_refused_connection_says_what_to_do_and_can_be_tried_again(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.close(code=4501, final=True)
        await seat.settle()
        assert "✖ REFUSED: the token has expired or was revoked" in seat.screen
        await seat.press("ctrl+r")
        assert seat.link.retries == 1


async def test_a_refused_command_is_told_loudly(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "a")
        seat.link.give(Res(cmd="cmd_1", ok=False, code="digest_mismatch", message="it changed"))
        await seat.settle()
        assert seat.note == "approve shell of sre REXX02 refused: it changed"


async def test_an_answer_says_of_what_it_is_when_another_call_is_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "a")
        seat.link.accept(seat.link.commands[0])
        assert seat.app.approvals_panel.list.cursor != seat.link.commands[0].approval
        assert seat.note.startswith("✔ approve shell of sre REXX02: recorded in ")


async def test_what_is_done_to_a_run_is_said_of_that_run(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        await seat.press("p")
        assert seat.note == "pause looper OOPE06: sent"
        await seat.go("hanger")
        seat.link.accept(seat.link.commands[0])
        assert seat.note.startswith("✔ pause looper OOPE06: recorded in ")


async def test_a_resume_that_a_limit_forbids_says_first_which_key_raises_it(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("spender")
        await seat.press("p")
        message = "still over its limit: cost $5.02 of $5.00; raise it with the resume"
        current = {"tripped": "cost $5.02 of $5.00"}
        seat.link.give(Res(cmd="cmd_1", ok=False, code="precondition_failed", message=message, current=current))
        assert seat.note.startswith("resume spender PEND08 refused, b raises it: still over its limit: cost $5.02")


# moving and looking


async def test_the_cursor_stays_on_its_run_when_the_order_changes(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("writer")
        await seat.settle(5.0)
        seat.link.delta("board", [run("run_zzz", "urgent", pending_approvals=1)])
        await seat.settle()
        assert seat.app.runs_panel.list.keys[2] == "run_zzz" or "run_zzz" in seat.app.runs_panel.list.keys[:4]
        assert seat.app.runs_panel.list.cursor == "run_01KAWRITE05"


async def test_the_order_stands_still_for_three_seconds_after_a_cursor_key(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.settle(5.0)
        await seat.pilot.press("j")
        seat.link.delta("board", [run("run_zzz", "urgent", pending_approvals=1)])
        await seat.settle(2.0)
        assert "run_zzz" not in seat.app.runs_panel.list.keys
        assert "order held" in seat.screen
        await seat.settle(2.0)
        assert "run_zzz" in seat.app.runs_panel.list.keys


async def test_a_run_that_is_gone_leaves_the_cursor_in_its_place(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        after = seat.app.runs_panel.list.keys[seat.app.runs_panel.list.position + 1]
        seat.link.delta("board", [], gone=["run_01KALOOPE06"])
        await seat.settle(5.0)
        assert seat.app.runs_panel.list.cursor == after


async def test_enter_opens_the_run_with_its_family_and_its_timeline(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("planner")
        await seat.press("enter")
        assert Sub(sub="run-1", view="run", run="run_01KAPLANN03") in seat.link.sent
        seat.link.snap(seat.link.tail(), sample_history.events(), rev=110)
        await seat.settle()
        assert "├▶ researcher" in seat.screen
        assert "http_get url=/v2/charges/88" in seat.screen


async def test_a_step_opens_with_everything_said_about_it(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("enter")
        seat.link.snap(seat.link.tail(), sample_history.events(), rev=110)
        await seat.settle()
        await seat.press("enter")
        assert '"database": "orders.db",' in seat.screen
        await seat.press("escape")
        assert '"database": "orders.db",' not in seat.screen


async def test_moving_up_stops_following_and_f_goes_on(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("enter")
        seat.link.snap(seat.link.tail(), sample_history.events(), rev=110)
        await seat.settle()
        await seat.press("k")
        assert "not following" in seat.screen
        await seat.press("f")
        assert seat.app.run_panel.list.cursor == seat.app.run_panel.list.keys[-1]


async def test_the_newest_steps_of_the_run_that_the_cursor_rests_on_stand_beside_the_table(
    console: OpenConsole,
) -> None:
    async with console(size=(160, 45)) as seat:
        await seat.go("refunds")
        await seat.settle()
        assert seat.link.sent[-1] == Sub(sub=seat.link.tail(), view="run", run="run_01KAREFUND1")
        seat.link.snap(seat.link.tail(), sample_history.events(), rev=110)
        await seat.settle()
        assert "newest steps" in seat.screen
        assert "“The ledger shows four doubl" in seat.screen


async def test_a_cursor_that_moves_on_asks_for_no_steps(console: OpenConsole) -> None:
    async with console(size=(160, 45)) as seat:
        asked = len([frame for frame in seat.link.sent if isinstance(frame, Sub)])
        for _ in range(3):
            await seat.pilot.press("j")
            seat.clock.now += 0.2
            seat.app.redraw()
        assert len([frame for frame in seat.link.sent if isinstance(frame, Sub)]) == asked


async def test_where_no_steps_are_shown_none_are_asked_for(console: OpenConsole) -> None:
    async with console(size=(120, 45)) as seat:
        await seat.press("j", "j")
        assert [frame.view for frame in seat.link.sent if isinstance(frame, Sub)] == ["board", "approvals"]


async def test_the_way_back_to_a_run_leads_to_its_own_timeline(console: OpenConsole) -> None:
    async with console(size=(160, 45)) as seat:
        await seat.go("refunds")
        await seat.press("enter", "2", "g")
        await seat.settle()
        assert seat.app.session.timeline is not None
        assert seat.app.session.timeline.run == seat.run("sre")
        await seat.press("escape")
        assert (seat.app.view, seat.app.session.timeline.run) == ("run", seat.run("refunds"))


async def test_older_events_are_paged(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("enter")
        seat.link.snap(seat.link.tail(), sample_history.events()[-2:], rev=110)
        await seat.settle()
        await seat.press("o")
        await seat.app.pages.settled()
        oldest = sample_history.events()[-2]["position"]
        assert ("events", "run_01KASREXX02", oldest) in seat.api.asked
        everything = Timeline("run_01KASREXX02")
        everything.add(sample_history.events())
        assert seat.app.run_panel.list.keys == everything.order()


async def test_next_goes_round_those_that_need_a_person(console: OpenConsole) -> None:
    async with console() as seat:
        visited = []
        for _ in range(8):
            await seat.press("n")
            visited.append(seat.app.session.board.rows.by_key[seat.app.runs_panel.list.cursor or ""].agent)
        assert visited == ["triage", "refunds", "spender", "looper", "hanger", "coder", "sre", "triage"]


async def test_the_filter_shows_what_matches_and_escape_clears_it(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("slash")
        await seat.type("agent:looper")
        await seat.press("enter")
        assert [seat.app.session.board.rows.by_key[key].agent for key in seat.app.runs_panel.list.keys] == ["looper"]
        await seat.press("escape")
        assert len(seat.app.runs_panel.list.keys) == 13


async def test_the_audit_is_loaded_filtered_and_verified(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("4")
        await seat.app.pages.settled()
        await seat.settle()
        assert "kill.outcome" in seat.screen
        await seat.press("v")
        await seat.app.pages.settled()
        await seat.settle()
        assert "✔ verified by the hub: 6 entries" in seat.screen
        await seat.press("slash")
        await seat.type("ana")
        await seat.press("enter")
        await seat.app.pages.settled()
        assert seat.api.asked[-1] == ("audit", None, "ana")


async def test_a_log_that_is_not_intact_is_an_alarm(console: OpenConsole) -> None:
    async with console() as seat:
        seat.api.verdict = {"ok": False, "problems": ["entry 3 was changed"]}
        await seat.press("4", "v")
        await seat.app.pages.settled()
        await seat.settle()
        assert "✖ NOT INTACT: entry 3 was changed" in seat.screen


async def test_the_help_and_the_way_back(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "question_mark")
        assert "Show the queue of held calls." in seat.screen
        await seat.press("escape")
        assert seat.app.view == "approvals"
        await seat.press("escape")
        assert seat.app.view == "runs"


async def test_q_leaves(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("q")
        assert seat.app.return_value == 0


async def test_an_empty_fleet_says_how_to_start(console: OpenConsole) -> None:
    async with console(filled=False) as seat:
        assert "Waiting for the hub." in seat.screen
        seat.link.open()
        seat.link.snap("board", [])
        await seat.settle()
        assert "No runs yet. Start one: opsconsole run" in seat.screen


async def test_the_words_of_an_empty_table_change_with_what_is_known(console: OpenConsole) -> None:
    async with console(filled=False) as seat:
        seat.link.open()
        await seat.settle()
        assert "Waiting for the hub." in seat.screen
        seat.link.snap("board", [])
        await seat.settle()
        assert "Waiting for the hub." not in seat.screen


async def test_a_message_passes_after_a_while(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("y")
        assert seat.note == "copied run_01KASREXX02"
        await seat.settle(11.0)
        assert seat.note == ""


async def test_a_row_is_selected_by_a_click_and_opened_by_two_and_nothing_is_decided(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.pilot.click("#run-list", offset=(10, 4))
        assert seat.app.runs_panel.list.cursor == seat.run("looper")
        await seat.pilot.click("#run-list", offset=(10, 4), times=2)
        await seat.settle()
        assert (seat.app.view, seat.app.run_panel.run, seat.link.commands) == ("run", seat.run("looper"), [])


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (160, 45), (20, 5)])
@pytest.mark.parametrize("keys", [[], ["2"], ["3"], ["4"], ["question_mark"], ["x"], ["2", "e"], ["2", "e", "escape"]])
async def test_every_view_fits_every_size(console: OpenConsole, size: tuple[int, int], keys: list[str]) -> None:
    async with console(size=size) as seat:
        await seat.press(*keys)
        lines = seat.screen.splitlines()
        assert len(lines) == size[1]
        assert "live" in lines[0] or "waiting" in lines[0]


async def test_a_resize_keeps_cursor_view_and_truth(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        await seat.pilot.resize_terminal(40, 10)
        await seat.settle()
        assert "looper" in seat.screen
        await seat.pilot.resize_terminal(160, 45)
        await seat.settle()
        assert (seat.app.runs_panel.list.cursor, "the same call failed 14 times" in seat.screen) == (
            seat.run("looper"),
            True,
        )


async def test_a_crash_says_one_line_and_shows_no_values(
    console: OpenConsole, caplog: pytest.LogCaptureFixture
) -> None:
    async with console() as seat:
        try:
            token = "ops_secret_value"
            raise KeyError(len(token))
        except KeyError:
            seat.app._fatal_error()
        [shown] = seat.app._exit_renderables
        words = "".join(segment.text for segment in shown.segments)
        assert words.strip() == "opsconsole stopped: KeyError. Agents go on; the log has the rest."
        assert "KeyError: 16" in caplog.text
        assert "ops_secret_value" not in caplog.text.replace('token = "ops_secret_value"', "")
        seat.app._exit_renderables.clear()


# runs that a gateway sees


async def test_a_composed_call_that_the_tool_does_not_take_is_not_sent(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t", "c", "enter")
        seat.app.draft_panel.editor.load_text('{"name": "shell", "args": {}}')
        await seat.settle()
        assert '✖ args: "command" is a required property' in seat.screen
        await seat.press("escape", "a")
        assert seat.link.commands == []


async def test_a_tool_that_is_not_offered_is_not_drafted(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t", "c")
        await seat.type("x")
        await seat.press("enter")
        assert (seat.app.view, seat.note[:22]) == ("takeover", "which of the 2 tools? ")


async def test_a_run_that_was_taken_over_amid_a_turn_is_seen_to_end_it(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("looper")
        await seat.press("t")
        seat.link.snap(seat.link.tail(), speaking("The stock is"), rev=110)
        await seat.settle()
        assert "the model is speaking" in seat.screen
        assert "The stock is▌" in seat.screen


async def test_a_runs_timeline_shows_the_words_as_they_come_and_what_was_ruled(console: OpenConsole) -> None:
    async with console(size=(120, 45)) as seat:
        await seat.go("refunds")
        await seat.press("enter")
        seat.link.snap(seat.link.tail(), [*sample_history.events(), *speaking("So I write", after=200)], rev=210)
        await seat.settle()
        lines = seat.screen.splitlines()
        assert any("So I write▌" in line for line in lines)
        assert any("sql_write" in line and " waits " in line for line in lines)
        assert any("sql_write" in line and "edited by ben" in line for line in lines)
        assert any("is served by gpt-5-mini-2026-02-11 now" in line for line in lines)
        assert any("ana as the model" in line for line in lines)


def speaking(words: str, *, after: int = 100) -> list[dict[str, Any]]:
    told = [
        {"type": "tool", "id": "t9", "name": "m", "kind": "model_call", "status": "running"},
        {"type": "message", "id": "m9", "role": "assistant", "append": words},
    ]
    return [
        {"position": after + place, "gen": "g", "at": NOW, "event": {"seq": after + place, "ts": NOW, **event}}
        for place, event in enumerate(told)
    ]
