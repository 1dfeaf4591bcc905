"""The behaviours that a person can see, in sentences; a test cites those that it proves, and a document lists both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])

BEHAVIOURS: dict[str, dict[str, str]] = {
    "Watching": {
        "watch.runs": "A live run is listed with its agent, state, link, turns, tokens, cost and start.",
        "watch.show": "One run is shown with its points and its timeline; its id may be shortened.",
        "watch.console": "A console is told of a change without asking.",
        "watch.plain": "Any command is supervised unknowingly: input, output and status pass, its end is reported.",
        "watch.without-hub": "An agent runs though no hub is there; one line says so.",
        "watch.beginning": "A beginning of an id that fits several runs does nothing.",
    },
    "Deciding": {
        "decide.held": "A risky call waits, and is shown with its exact arguments, its risk and the agent's reason.",
        "decide.approve": "An approved call runs exactly as it was shown.",
        "decide.edit": "An edited call runs with the operator's arguments.",
        "decide.reject": "A rejected call does not run, and the model reads why.",
        "decide.respond": "An operator's answer stands for the tool's result.",
        "decide.read-only": "A tool on the list of read-only tools asks nobody.",
        "decide.first-wins": "The first decision stands; a second is a conflict.",
        "decide.digest": "A decision that quotes another digest than that of the held call is refused.",
        "decide.idempotent": "A command sent twice under one id is carried out once.",
        "decide.recorded-first": "A decision is on record before the agent hears it.",
        "decide.two": "Where a policy wants two people of a group, one yes lets nothing run; one no ends it.",
        "decide.two-edit": "An edit of such a call starts the count anew, over what was edited.",
        "decide.reminded": "A call that nobody answers is told of again, then to the next group, and never allowed.",
        "decide.grant": "A standing grant lets later calls of its pattern run, counted, on record, and no others.",
        "decide.grant-ends": "A grant ends with its uses, its time, any alarm of its run and any other policy.",
    },
    "The policy file": {
        "policy.loaded": "A hub starts only with a good policy file, and tells every problem of a bad one.",
        "policy.reload": "A changed policy file is taken up by itself; its difference is in the audit.",
        "policy.bad": "A bad change keeps the policy in force and alarms until the file is good again.",
        "policy.kept": "The entry of a verdict holds the rules and facts behind it: it can be judged again.",
    },
    "Steering": {
        "steer.pause": "A paused run holds at its next step until it is resumed.",
        "steer.pause-approved": "What is approved while a run is paused runs when it is resumed.",
        "steer.inject": "The model reads what an operator says at its next step.",
        "steer.takeover-text": "An operator who has taken over answers as the model.",
        "steer.takeover-call": "A call that the operator composed as the model runs once without asking again.",
        "steer.takeover-waiting": "A turn that waited for the operator goes to the model when the run is handed back.",
        "steer.takeover-lapses": "A takeover that nobody renews ends in a paused run.",
        "steer.takeover-over": "A takeover that is over, however it ended, is over at every point of the run.",
        "steer.release": "The model reads the operator's summary after the hand-back.",
        "steer.second-operator": "Another operator takes a run over only with a reason.",
        "steer.freeze": "The processes of a frozen run stand still until they are thawed.",
        "steer.no-point": "What no point of a run can do is refused and says so.",
        "steer.cap": "A run at a limit of cost, turns or tokens is paused, with an alert.",
        "steer.cap-lower": "Lower limits hold with the very next turn, also of a run whose gateway was let go ahead.",
        "steer.cap-cost": "A run that spent its money in one turn makes no second one.",
        "steer.cap-raise": "A run at its limit is resumed only with a higher limit.",
        "steer.unpriced": "A model without a price is an alert, not $0.",
    },
    "Killing": {
        "kill.ladder": "A kill climbs from asking to SIGTERM to freeze and SIGKILL, and ends with proof.",
        "kill.escapees": "What ignores SIGTERM or escaped into a session of its own dies too.",
        "kill.receipt": "The receipt names each step, what it took and what came of it.",
        "kill.now": "`kill --now` asks nobody.",
        "kill.all": "`kill --all` kills every live run, each with proof.",
        "kill.held": "A held call of a killed run is cancelled and can be approved no more.",
        "kill.child": "A run that was handed work dies with its parent.",
        "kill.frozen": "A frozen tree is killed without running again.",
        "kill.hung": "An agent whose loop hangs is killed with proof all the same.",
        "kill.dead": "A kill of a dead run is done and says so.",
        "kill.nobody-there": "A kill that nothing proves is not called dead; it becomes so when the proof comes.",
        "kill.unconfirmed": "A kill without proof after 15 s is loud, and stays so.",
        "kill.body-ended": "A supervised process whose agent said that it ended is killed all the same.",
        "kill.orphans": "A tree whose supervisor is killed does not outlive it.",
    },
    "Restarting": {
        "restart.checkpoint": "An agent that was killed goes on from its checkpoint, and no call runs twice.",
        "restart.hub-approval": "An approval outlives `kill -9` of the hub; approved afterwards, the agent goes on.",
        "restart.decided-while-away": "A decision taken while the agent was away reaches it when it is back.",
        "restart.nothing-lost": "What an agent did while the hub was down is on the timeline, once and in order.",
        "restart.killed-hub": "A run that was killed is still dead, with its receipt, after a restart of the hub.",
        "restart.refused": "A command that was refused stays refused to who gives it again after a restart.",
        "restart.agent-killed": "An agent killed from outside is told as failed, with the signal, by its supervisor.",
    },
    "The record": {
        "record.entries": "Every decision and kill is recorded with who, from where, what exactly and why.",
        "record.show": "One entry is shown whole.",
        "record.verify": "The record of a running hub verifies.",
        "record.export": "The record is exported whole, as JSON Lines and as CSV.",
        "record.prove": "An entry is proven to somebody who has only the public key.",
        "record.prove-false": "A changed proof is not believed.",
        "record.consistency": "The first entries are proven unchanged.",
        "record.changed": "A single changed bit of the record is found.",
        "record.cut": "A cut tail is found, and no hub starts on it.",
        "record.append-only": "The database itself refuses to change or remove an entry.",
        "backup.complete": "A hub starts on a backup made while another ran, and knows what was decided.",
        "tokens.create": "A new token works, as the person it was made for.",
        "tokens.list": "Tokens are listed without their secrets.",
        "tokens.revoke": "A revoked token opens nothing, and who made and revoked it is on record.",
        "tokens.admin-only": "An operator makes no tokens.",
    },
    "Exit codes": {
        "exit.0": "0: done.",
        "exit.1": "1: refused.",
        "exit.2": "2: wrong usage or configuration.",
        "exit.3": "3: a kill without proof.",
        "exit.4": "4: no hub answers.",
        "exit.5": "5: not authorised, or the wrong role.",
        "exit.6": "6: no such run.",
        "exit.7": "7: already settled.",
        "exit.8": "8: the audit does not verify.",
        "exit.kill-some": "A kill of a known and an unknown run kills the one and exits with 6.",
    },
    "Bad input: frames": {
        "frames.malformed": "A malformed frame closes its own connection, says why, and disturbs nobody else.",
        "frames.oversized": "An oversized frame closes its own connection with 1009.",
        "frames.deep": "A frame of endless nesting is a malformed frame.",
        "frames.utf8": "Text that is not UTF-8 closes its own connection.",
        "frames.version": "Who speaks another version is told which one is spoken.",
        "frames.unauthenticated": "Who has no valid token is not let in.",
        "frames.role": "A token of another role opens no door.",
        "frames.origin": "A web page drives no hub.",
        "frames.replayed": "A replayed frame is acknowledged and counted once.",
        "frames.out-of-order": "A gap is asked for, and nothing beyond it is taken.",
        "frames.unknown-event": "An event of an unknown type is kept and shown.",
        "frames.invalid-event": "One event that does not validate costs no other.",
        "frames.second-agent": "A second process for a run supersedes the first, with an alert.",
        "frames.stranger": "Another team's token speaks for nobody else's run.",
        "frames.flood": "A console that floods is closed, while agents are served.",
        "frames.edge-of-args": "A proposal too large to be read is refused with a reason.",
    },
    "Bad input: arguments, texts, clocks, terminals": {
        "args.control": "Control characters of an agent are shown, not sent; what runs is what was proposed.",
        "args.huge": "Ten megabytes of arguments are refused with a reason, and the agent goes on.",
        "args.huge-text": "Ten megabytes of text are cut and say so.",
        "args.huge-output": "Ten megabytes of output pass through unchanged.",
        "args.deep": "Arguments nested too deep are refused with a reason.",
        "args.surrogate": "Text that is no Unicode is refused as an argument and kept as a note.",
        "args.bytes-output": "Output that is not UTF-8 is shown as far as it is.",
        "args.cli-json": "An edit that is no JSON object is a usage error and decides nothing.",
        "args.clocks": "An agent whose clock is an hour off is held, allowed and timed by the hub's clock.",
        "args.hub-clock": "A hub whose clock went back orders and expires by what it has stored.",
    },
    "Bad input: storage": {
        "storage.newer": "A database of a newer version is refused by name.",
        "storage.read-only": "A directory that cannot be written is refused by name.",
        "storage.locked": "A second hub on a directory is told who holds it.",
        "storage.full-refuses": "On a full disk nothing is allowed, and a decision says that it was not taken.",
        "storage.full-stops": "On a full disk a kill acts at once.",
        "storage.full-bounded": "However long a disk is full, what waits for it is bounded; what was left out is told.",
        "storage.full-returns": "When space returns the hub goes on: events, decisions, the record of the kill.",
    },
    "Traps": {
        "trap.missing-decision": "A call that nobody decides on never runs.",
        "trap.denial-stays": "A denial does not become an allow at the timeout.",
        "trap.shown-is-run": "Arguments that the agent changes while its call is held do not run.",
        "trap.shown-is-proposed": "A call proposed again with other arguments is refused; the first question stands.",
        "trap.second-stop": "A second kill is not swallowed: it hurries the first, and both have their receipt.",
        "trap.late-write": "A late write does not revive a dead run.",
        "trap.cancelled-stays": "Recovery does not restart a run that was killed.",
        "trap.heartbeat": "A heartbeat does not hide a hang: it is no progress, and says what the agent is stuck in.",
        "trap.no-end": "An agent that vanished without an end is neither called alive nor dead.",
        "trap.backlog": "A backlog is not replayed as new after a stall.",
        "trap.starves": "A stalled hub does not slow what it controls, and a stalled console does not slow the hub.",
        "trap.minted-once": "A call proposed again and again is one approval with one verdict.",
        "trap.spend-window": "What a run spent counts on through restarts of the agent and of the hub.",
        "trap.escape": "Escape sequences in agent text neither write the clipboard nor fake a prompt.",
    },
}
"""group -> id -> what a person sees."""

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "decide.recorded-first": (
        "tests/hub/desk/test_desk_decisions.py::test_a_decision_is_recorded_before_the_agent_hears_it",
    ),
    "decide.two": (
        "tests/hub/desk/test_desk_quorum.py::test_the_first_yes_of_two_lets_nothing_run",
        "tests/hub/desk/test_desk_quorum.py::test_one_no_ends_it_whoever_says_it",
        "tests/hub/desk/test_desk_quorum.py::test_nothing_runs_without_two_of_the_group_whatever_happens_in_between",
    ),
    "decide.two-edit": (
        "tests/hub/desk/test_desk_quorum.py::test_an_edit_starts_the_count_anew_with_its_editor",
        "tests/hub/desk/test_desk_quorum.py::test_who_agrees_to_an_edit_lets_the_edited_call_run",
    ),
    "decide.reminded": (
        "tests/hub/desk/test_desk_quorum.py::test_half_of_the_time_over_people_are_reminded_once",
        "tests/hub/desk/test_desk_quorum.py::test_the_next_group_is_asked_when_nobody_answers",
        "tests/hub/desk/test_desk_quorum.py::test_votes_that_come_too_late_are_a_refusal",
    ),
    "decide.grant": (
        "tests/hub/desk/test_desk_grants.py::test_each_use_is_on_record_before_its_allow",
        "tests/hub/desk/test_desk_grants.py::test_other_arguments_are_asked_about",
    ),
    "decide.grant-ends": (
        "tests/hub/desk/test_desk_grants.py::test_no_grant_lets_more_run_than_it_says_and_none_after_an_alarm",
        "tests/hub/desk/test_desk_grants.py::test_another_policy_ends_every_grant",
    ),
    "policy.loaded": (
        "tests/hub/test_hub_policy.py::test_a_hub_does_not_start_with_a_bad_policy_and_tells_every_problem",
    ),
    "policy.reload": ("tests/hub/test_hub_policy.py::test_a_changed_file_is_taken_up_and_its_difference_is_on_record",),
    "policy.bad": (
        "tests/hub/test_hub_policy.py::test_a_bad_change_keeps_the_old_policy_and_alarms_once",
        "tests/hub/test_hub_policy.py::test_the_alarm_ends_when_the_file_is_good_again",
    ),
    "policy.kept": ("tests/hub/desk/test_desk_policy.py::test_what_was_kept_of_a_call_gives_the_same_verdict_again",),
    "steer.takeover-lapses": (
        "tests/hub/desk/test_desk_control.py::test_a_takeover_nobody_renews_ends_in_a_paused_run",
    ),
    "steer.takeover-over": (
        "tests/hub/desk/test_desk_steering.py::test_a_takeover_that_ran_out_is_over_at_the_point_too",
        "tests/hub/desk/test_desk_steering.py"
        "::test_a_point_takes_a_run_for_taken_over_only_while_it_is_and_only_where_it_is_steered",
    ),
    "steer.cap-lower": ("tests/gateway/test_lease.py::test_after_the_limits_are_lowered_the_next_turn_asks",),
    "restart.refused": (
        "tests/hub/desk/test_desk_recovery.py"
        "::test_a_command_refused_when_it_was_on_record_stays_refused_to_who_gives_it_again",
    ),
    "storage.full-bounded": (
        "tests/hub/test_hub_storage_trouble.py"
        "::test_lines_of_the_hub_beyond_what_may_wait_for_a_full_disk_are_told_as_missing",
    ),
    "kill.unconfirmed": (
        "tests/hub/desk/test_desk_kill.py::test_a_kill_without_an_answer_is_unconfirmed_and_later_dead",
        "tests/console/test_receipt.py::test_an_unconfirmed_kill_is_loud",
    ),
    "args.hub-clock": (
        "tests/hub/test_hub_small_parts.py::test_the_clock_never_goes_below_what_storage_holds",
        "tests/storage/test_storage_event_files.py::test_a_clock_that_went_back_keeps_the_order_after_a_restart",
        "tests/console/test_session.py::test_ages_follow_the_hubs_clock_whatever_ours_says",
    ),
    "trap.missing-decision": (
        "tests/hub/desk/test_desk_gate.py::test_no_verdict_is_no_permission",
        "tests/sdk/test_gate.py::test_no_order_of_events_lets_a_call_run_without_its_verdict",
    ),
    "trap.denial-stays": (
        "tests/hub/desk/test_desk_decisions.py::test_a_rejected_question_does_not_expire_into_anything",
        "tests/sdk/test_gate.py::test_a_denial_does_not_become_an_allow_when_the_time_is_over",
    ),
    "trap.shown-is-proposed": (
        "tests/hub/desk/test_desk_gate.py::test_a_call_whose_arguments_change_after_it_was_proposed_is_refused",
    ),
    "trap.second-stop": ("tests/hub/desk/test_desk_kill.py::test_a_second_kill_is_told_again_and_not_swallowed",),
    "trap.late-write": ("tests/hub/desk/test_desk_kill.py::test_a_late_word_does_not_revive_the_dead",),
    "trap.cancelled-stays": ("tests/hub/desk/test_desk_recovery.py::test_a_killed_run_stays_killed",),
    "trap.heartbeat": (
        "tests/hub/desk/test_desk_links.py::test_a_beat_is_not_progress",
        "tests/sdk/test_stopping.py::test_a_hung_loop_is_told_as_busy_and_its_kill_as_not_obeyed",
    ),
    "trap.no-end": (
        "tests/hub/desk/test_desk_links.py::test_a_dropped_point_is_stale_then_lost_and_its_run_keeps_its_state",
        "tests/console/test_status.py::test_no_state_is_claimed_over_a_link_that_is_not_live",
    ),
    "trap.backlog": (
        "tests/hub/desk/test_desk_recovery.py::test_an_old_command_is_not_delivered_after_a_restart",
        "tests/console/test_outbox.py::test_a_kill_that_waited_too_long_is_never_sent",
    ),
    "trap.starves": (
        "tests/hub/test_hub_views.py::test_a_console_that_stops_reading_delays_nobody_and_queues_nothing",
        "tests/hub/test_hub_sockets.py::test_a_kill_passes_however_much_its_console_has_sent",
    ),
    "trap.minted-once": ("tests/hub/desk/test_desk_gate.py::test_the_same_proposal_twice_is_one_question",),
    "trap.spend-window": ("tests/hub/desk/test_desk_recovery.py::test_the_spend_of_a_run_survives_a_restart",),
}
"""id -> further tests that prove it, outside of this folder."""

KNOWN = frozenset(name for group in BEHAVIOURS.values() for name in group)


def proves(*behaviours: str) -> Callable[[Test], Test]:
    """Cites what a test proves. Raises: KeyError for a behaviour that the manifest does not know."""
    for name in behaviours:
        if name not in KNOWN:
            raise KeyError(name)
    return lambda test: test
