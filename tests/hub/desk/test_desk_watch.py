"""What detectors find in what the desk is told: an alert, a pause where a policy was written, an answer."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.domain.usage import Usage
from opsconsole.hub.desk import watch, watch_alerts
from opsconsole.hub.desk.watch_state import LOOK_SECONDS, UNSEEN_MAX
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.file.loader import load
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.interface import Limits
from opsconsole.protocol.rows import Alert
from tests.hub.desk.office import BEN, EYE, RUN, Agent, Office
from tests.hub.desk.papers import ruled_office

TEXT = 'version = 1\nname = "watched"\n[defaults]\ndecision = "allow"\n'
SECRET = "ghp_" + "a1B2" * 9


def policy(more: str = "") -> FilePolicy:
    return load(TEXT + more, read=lambda _name: b"", run_limits=Limits())


def watched_office(more: str = "") -> Office:
    return Office(policy=policy(more))


def work(agent: Agent, call: str, query: str = "select 1", result: str = "no rows", **about: Any) -> None:
    """A call that nobody is asked about, and its end."""
    agent.say(
        {"type": "tool", "id": call, "name": "run_sql", "status": "running", "args": {"query": query}},
        {"type": "tool", "id": call, "status": "completed", "result": result, **about},
    )


def loop(agent: Agent, times: int = 4, first: int = 0, **about: Any) -> None:
    for number in range(first, first + times):
        work(agent, f"c{number}", **about)


def looked(office: Office) -> None:
    office.pass_time(LOOK_SECONDS + 0.01)


def found(office: Office, run: str = RUN) -> list[Alert]:
    return [alert for alert in office.row(run).alerts if alert.detector]


def test_a_loop_is_an_alert_with_its_evidence() -> None:
    office = watched_office()
    loop(office.agent())
    looked(office)
    (alert,) = found(office)
    assert (alert.detector, alert.severity, alert.level, alert.text) == (
        *("loop", "trip", "critical"),
        "loop: run_sql called 4 times with the same outcome",
    )
    assert alert.evidence == {"tool": "run_sql", "call": "c3", "rule": "same call", "times": 4, "of": 4}


def test_a_run_that_loops_is_paused_and_told_why() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent)
    looked(office)
    assert (office.row().state, [one.by for one in agent.told("pause")]) == ("pausing", ["hub"])
    (nudge,) = agent.told("inject")
    assert "called 4 times with the same outcome" in (nudge.text or "")


def test_a_tool_that_the_model_was_not_offered_is_a_made_up_parameter() -> None:
    office = watched_office()
    agent = office.agent()
    agent.propose("c1", "no_such_tool", {}, offered=False)
    agent.propose("c2", "run_sql", {}, offered=True)
    looked(office)
    assert [(one.detector, one.text) for one in found(office)] == [("parameters", "no_such_tool: no such tool")]


def test_warnings_without_number_do_not_buy_a_run_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_alerts, "RAISED_MAX", 2)
    office = watched_office()
    agent = office.agent()
    for query in range(3):
        for number in range(3):
            work(agent, f"w{query}.{number}", f"select {query}", f"row {query}")
    loop(agent, 12)
    looked(office)
    assert office.row().state == "pausing"


def test_an_end_of_a_run_makes_no_further_look_due() -> None:
    office = watched_office()
    for number in range(20):
        office.agent(f"run_{number}").state("completed")
        work(office.agent(f"run_on{number}"), "c1")
    looks = [timer for timer in office.desk._world.timers if timer[2:] == ("watch", watch.ARMED)]
    assert len(looks) <= 1


def test_what_only_warns_pauses_nothing() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent, 3)
    looked(office)
    assert ([one.severity for one in found(office)], office.row().state) == (["warn"], "working")
    assert agent.told("pause") == []


def test_where_nobody_has_written_a_policy_a_trip_is_only_an_alert() -> None:
    office = Office(policy=DefaultPolicy())
    loop(office.agent())
    looked(office)
    assert ([one.paused for one in found(office)], office.row().state) == ([False], "working")


def test_a_policy_may_say_that_a_trip_pauses_nothing() -> None:
    office = watched_office("[detectors]\npause = false\n")
    loop(office.agent())
    looked(office)
    assert ([one.paused for one in found(office)], office.row().state) == ([False], "working")


def test_a_run_that_an_operator_has_taken_over_is_not_paused() -> None:
    office = watched_office()
    agent = office.agent()
    office.operator().ask("takeover", run=RUN)
    loop(agent)
    looked(office)
    assert ([one.paused for one in found(office)], agent.told("pause")) == ([False], [])


def test_work_that_goes_on_is_no_loop() -> None:
    office = watched_office()
    agent = office.agent()
    for number in range(12):
        work(agent, f"c{number}", f"select {number}", f"row {number}")
    looked(office)
    assert found(office) == []


def test_the_trip_is_on_record_with_what_it_paused() -> None:
    office = watched_office()
    loop(office.agent())
    looked(office)
    (entry,) = office.storage.facts("alert.raised")
    about = ("run", "detector", "severity", "paused")
    assert ([entry[name] for name in about], entry["who"]["principal"]) == ([RUN, "loop", "trip", True], "hub")


def test_the_same_trouble_is_told_once() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent, 9)
    looked(office)
    loop(agent, 3, first=20)
    looked(office)
    assert office.storage.kinds("alert.raised") == ["alert.raised"]


def test_the_timeline_has_the_alert() -> None:
    office = watched_office()
    loop(office.agent())
    looked(office)
    (note,) = [one for one in office.storage.events(RUN, "hub") if one["type"] == "note"]
    assert (note["kind"], note["level"], note["data"]) == (
        *("alert", "error"),
        {"alert": found(office)[0].id, "detector": "loop", "severity": "trip"},
    )


def test_evidence_shows_no_secret_and_drives_no_terminal() -> None:
    office = watched_office()
    agent = office.agent()
    name = f"\x1b]0;pwned\x07{SECRET}"
    for number in range(4):
        agent.say(
            {"type": "tool", "id": f"c{number}", "name": name, "status": "running", "args": {}},
            {"type": "tool", "id": f"c{number}", "status": "completed", "result": "x"},
        )
    looked(office)
    (alert,) = found(office)
    shown = alert.model_dump_json()
    assert SECRET not in shown
    assert "\\u001b" not in shown
    assert "\x1b" not in shown
    assert SECRET not in str(office.storage.facts("alert.raised"))


def test_names_that_the_schema_has_not_are_told_by_the_facts() -> None:
    office = ruled_office()
    agent = office.agent()
    for number in range(3):
        agent.propose(f"c{number}", "run_sql", {"query": f"select ghost_{number} from users"})
    looked(office)
    assert ("parameters", "trip") in [(one.detector, one.severity) for one in found(office)]


def test_a_model_that_changes_within_a_run_is_told() -> None:
    office = watched_office()
    agent = office.agent()
    agent.say({"type": "usage", "model": "gpt", "served_model": "gpt-1", "turns": 1, "input_tokens": 10})
    agent.say({"type": "usage", "model": "gpt", "served_model": "other-2", "turns": 2, "input_tokens": 20})
    looked(office)
    assert "drift" in [one.detector for one in found(office)]


def test_a_model_that_changes_within_a_run_is_one_alert() -> None:
    office = watched_office()
    agent = office.agent()
    agent.say({"type": "usage", "model": "gpt", "served_model": "gpt-2026-01-01", "turns": 1, "input_tokens": 10})
    agent.say({"type": "usage", "model": "gpt", "served_model": "other-2", "turns": 2, "input_tokens": 20})
    looked(office)
    assert [one.kind for one in office.row().alerts if one.kind in ("drift", "model_changed")] == ["drift"]


def retry(agent: Agent, request: str, times: int) -> None:
    told = {"provider": "openai", "model": "gpt", "request": request, "status": 429}
    note = {"type": "note", "level": "warning", "text": "retry", "data": {"retry": told}}
    agent.say(*[note] * times)


def test_runs_that_ask_a_provider_again_together_are_a_retry_storm_which_pauses_none() -> None:
    office = watched_office()
    for number in range(3):
        retry(office.agent(f"run_{number}", point="gateway"), f"q{number}", 3)
        looked(office)
    (alert,) = [one for one in found(office, "run_0") if one.detector == "retries"]
    assert (alert.detector, alert.severity, alert.evidence["storm"], len(alert.runs)) == ("retries", "trip", True, 3)
    assert office.row("run_0").state == "working"


def test_only_a_gateway_is_believed_about_retries() -> None:
    office = watched_office()
    for number in range(3):
        retry(office.agent(f"run_{number}"), f"q{number}", 4)
    looked(office)
    assert found(office, "run_0") == []


def test_a_model_that_is_slower_than_usual_is_told_to_all_who_wait_for_it() -> None:
    office = watched_office()
    agents = [office.agent(f"run_{number}", point="gateway") for number in range(2)]
    for number in range(60):
        agent = agents[number % 2]
        slow = 900.0 if number >= 54 else 200.0
        agent.turn(f"m{number}")
        agent.usage(turns=number + 1, input_tokens=10 * (number + 1))
        agent.tool(f"m{number}", "completed", duration_ms=slow)
    looked(office)
    office.pass_time(1)
    alert = next(one for one in found(office, "run_1") if one.detector == "latency")
    assert (alert.severity, alert.evidence["dependency"], sorted(alert.runs)) == (
        "trip",
        "model gpt",
        ["run_0", "run_1"],
    )
    assert office.row("run_1").state == "working"


def test_a_limit_that_is_nearly_full_stands_on_the_hub_s_own_row_and_can_be_answered() -> None:
    office = watched_office()
    agent = office.agent(point="gateway")
    rate = {"provider": "openai", "model": "gpt", "kind": "tokens", "limit": 1_000.0, "used_share": 0.97}
    agent.send({"t": "beat", "n": 1, "now": 1.0, "rates": [rate]})
    (alert,) = office.desk.hub_row().alerts
    assert (alert.detector, alert.severity) == ("rate_limit", "trip")
    assert office.operator().ask("answer_alert", alert=alert.id, verdict="fine").ok
    assert office.desk.hub_row().alerts[0].verdict == "fine"


def test_an_old_wait_for_a_tool_is_a_stall_with_who_waits_for_what() -> None:
    office = watched_office()
    office.agent().say({"type": "tool", "id": "c1", "name": "fetch", "status": "running", "args": {}})
    office.pass_time(330)
    (alert,) = found(office)
    assert (alert.detector, alert.severity) == ("stall", "warn")
    assert alert.evidence["line"].startswith("worker waits 3")
    assert "tool fetch" in alert.evidence["line"]


def test_a_call_that_waits_for_a_person_is_no_stall() -> None:
    office = Office(policy=DefaultPolicy())
    office.agent().propose("c1", "pay", {"usd": 5})
    office.pass_time(500)
    assert found(office) == []


def handing(office: Office, run: str, agent: str, target: str) -> Agent:
    point = office.agent(run, agent=agent)
    point.say({"type": "tool", "id": "h1", "name": "handoff", "kind": "handoff", "status": "running", "target": target})
    return point


def test_two_agents_that_wait_for_one_another_are_a_deadlock_on_both_rows() -> None:
    office = watched_office()
    handing(office, "run_a", "planner", "worker")
    looked(office)
    handing(office, "run_b", "worker", "planner")
    looked(office)
    office.pass_time(30)
    (first,), (second,) = found(office, "run_a"), found(office, "run_b")
    assert (first.id, first.severity, sorted(first.runs)) == (second.id, "trip", ["run_a", "run_b"])
    assert "↺" in first.evidence["line"]
    assert (office.row("run_a").state, office.row("run_b").state) == ("working", "working")


def answer(office: Office, verdict: str, **about: Any) -> Any:
    return office.operator().ask("answer_alert", alert=found(office)[0].id, run=RUN, verdict=verdict, **about)


def test_an_operator_s_answer_is_on_record_before_it_counts() -> None:
    office = watched_office()
    loop(office.agent(), 3)
    looked(office)
    office.hold()
    assert answer(office, "fine", note="a poll") is None
    assert found(office)[0].verdict == ""
    office.release()
    assert (found(office)[0].verdict, found(office)[0].verdict_by) == ("fine", "ana")
    (entry,) = office.storage.facts("alert.answered")
    assert (entry["verdict"], entry["note"], entry["detector"]) == ("fine", "a poll", "loop")


def test_two_answers_fine_raise_the_threshold_of_that_agent() -> None:
    office = watched_office()
    agents = [office.agent(f"run_{number}") for number in range(3)]
    for number in range(2):
        loop(agents[number], 3)
        looked(office)
        alert = found(office, f"run_{number}")[0]
        assert office.operator().ask("answer_alert", alert=alert.id, verdict="fine").ok
    loop(agents[2], 3)
    looked(office)
    assert found(office, "run_2") == []


def test_an_answer_that_was_given_is_refused_and_another_is_taken() -> None:
    office = watched_office()
    loop(office.agent(), 3)
    looked(office)
    assert answer(office, "fine").ok
    assert answer(office, "fine").code == "precondition_failed"
    assert answer(office, "real").ok


def test_only_what_a_detector_raised_is_answered() -> None:
    office = watched_office()
    office.agent()
    assert office.operator().ask("answer_alert", alert="alr_0", verdict="real").code == "not_found"
    assert office.operator().ask("answer_alert", alert="alr_0").code == "bad_request"


def test_an_observer_answers_nothing() -> None:
    office = watched_office()
    loop(office.agent(), 3)
    looked(office)
    refused = office.operator(EYE).ask("answer_alert", alert=found(office)[0].id, verdict="real")
    assert (refused.code, found(office)[0].verdict) == ("forbidden", "")


def test_a_loop_is_found_over_a_restart() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent, 2)
    office.save_records()
    loop(agent, 1, first=2)
    office.restart()
    agent.connect()
    loop(agent, 1, first=3)
    looked(office)
    assert [one.evidence["times"] for one in found(office) if one.severity == "trip"] == [4]


def test_what_was_seen_before_its_record_counts_once() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent, 2)
    looked(office)
    office.save_records()
    office.restart()
    agent.connect()
    looked(office)
    assert found(office) == []


def test_alert_and_pause_are_as_they_were_after_a_restart() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent)
    looked(office)
    before = (found(office), office.row().state)
    office.restart()
    assert (found(office), office.row().state) == before
    looked(office)
    assert (office.storage.kinds("alert."), len(found(office))) == (["alert.raised"], 1)


def test_an_answer_is_as_it_was_after_a_restart_and_counts_once() -> None:
    office = watched_office()
    loop(office.agent(), 3)
    looked(office)
    answer(office, "fine")
    office.save_records()
    office.restart()
    office.restart()
    loop(office.agent("run_2"), 3)
    looked(office)
    assert (found(office)[0].verdict, len(found(office, "run_2"))) == ("fine", 1)


def test_a_run_that_ends_leaves_no_memory() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent, 3)
    agent.say({"type": "state", "state": "completed"})
    looked(office)
    watch = office.desk._world.watch
    assert (watch.runs, watch.due, watch.chars, watch.detectors.dump_run(RUN)) == ({}, {}, 0, None)


def test_what_the_detectors_did_not_see_is_told() -> None:
    office = watched_office()
    agent = office.agent()
    for number in range(UNSEEN_MAX):
        work(agent, f"c{number}", f"select {number}", f"row {number}")
    looked(office)
    assert [alert.kind for alert in office.desk.hub_row().alerts] == ["detectors_behind"]
    office.pass_time(120)
    assert office.desk.hub_row().alerts == []


def test_a_run_that_makes_noise_hides_no_other() -> None:
    office = watched_office()
    noisy, quiet = office.agent("run_n"), office.agent("run_q")
    for number in range(UNSEEN_MAX):
        work(noisy, f"c{number}", f"select {number}", f"row {number}")
    loop(quiet)
    looked(office)
    assert [one.detector for one in found(office, "run_q")] == ["loop"]


def test_other_thresholds_hold_from_the_reload_on() -> None:
    office = watched_office()
    agent = office.agent()
    loop(agent, 2)
    changed = policy("[detectors]\nloop = { warn = 9, trip = 9 }\n")
    office.step(lambda now: office.desk.change_policy(changed, "", now))
    loop(agent, 3, first=2)
    looked(office)
    assert found(office) == []


def test_a_detector_that_the_policy_switches_off_finds_nothing() -> None:
    office = watched_office("[detectors]\nloop = false\n")
    loop(office.agent(), 8)
    looked(office)
    assert found(office) == []


def test_the_context_is_measured_by_the_model_s_window() -> None:
    class Listed:
        def __call__(self, _provider: str, _model: str, usage: Usage) -> float | None:
            return usage.tokens * 1e-5

        def window(self, _provider: str, _model: str) -> int:
            return 1_000

    office = watched_office()
    office.desk._world.price = Listed()
    office.agent().say({"type": "usage", "model": "gpt", "turns": 1, "input_tokens": 900})
    looked(office)
    assert [(one.detector, one.severity) for one in found(office)] == [("context", "trip")]


def test_ben_s_real_lowers_what_ana_s_fine_has_raised() -> None:
    office = watched_office()
    for number, (who, verdict) in enumerate(((None, "fine"), (None, "fine"), (BEN, "real"))):
        run = f"run_{number}"
        loop(office.agent(run), 4)
        looked(office)
        operator = office.operator(who) if who else office.operator()
        assert operator.ask("answer_alert", alert=found(office, run)[0].id, verdict=verdict).ok
    loop(office.agent("run_9"), 3)
    looked(office)
    assert [one.severity for one in found(office, "run_9")] == ["warn"]
