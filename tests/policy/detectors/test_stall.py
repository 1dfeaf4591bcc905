"""Waits that are too old, that close a circle, or whose sender is gone."""

from __future__ import annotations

from dataclasses import replace

from opsconsole.policy.detectors.observation import Closed, Message, WaitBegan, Waited, WaitHeard
from opsconsole.policy.file.settings import StallSettings
from tests.policy.detectors.seeing import ended, only, restarted, texts, tick, told, waits


def stalled(seen):
    return texts(told(only(stall=StallSettings()), seen))


def asks(who: str, on: str, at: float = 0.0):
    return waits(f"{who}-{on}", who, Waited.MESSAGE, on, at)


def sent(who: str, to: str, at: float = 0.0) -> Message:
    return Message(run=who, agent=who, at=at, speaker=who, to=to, text="hello")


def test_a_model_call_without_a_sign_of_life_stalls_after_two_minutes() -> None:
    wait = waits("w", "ana", Waited.MODEL, "gpt-5")
    assert stalled([wait, tick(120)]) == []
    assert stalled([wait, tick(121)]) == [("warn", "stall: ana waits 121 s for model gpt-5")]


def test_a_sign_of_life_begins_the_time_anew_and_an_end_ends_it() -> None:
    wait = waits("w", "ana", Waited.MODEL, "gpt-5")
    assert stalled([wait, WaitHeard(run="ana", at=100, wait="w"), tick(200)]) == []
    assert stalled([wait, ended("w", "ana", 100), tick(900)]) == []


def test_a_tool_may_take_five_minutes() -> None:
    wait = waits("w", "ana", Waited.TOOL, "build")
    assert [len(stalled([wait, tick(at)])) for at in (299, 301)] == [0, 1]


def test_waiting_for_an_operator_is_no_stall_nor_is_waiting_for_who_does() -> None:
    asking = [waits("w", "ana", Waited.APPROVAL, "operators"), asks("ben", "ana")]
    assert stalled([*asking, tick(50_000)]) == []


def test_whoever_waits_is_told_by_the_name_of_its_agent_not_by_a_run_s_id() -> None:
    began = WaitBegan(run="run_1", agent="ana", at=0, wait="w", kind=Waited.MESSAGE, on="run_2")
    behind = WaitBegan(run="run_0", agent="chi", at=0, wait="v", kind=Waited.MESSAGE, on="run_1")
    gone = Closed(run="run_2", agent="ben", at=1)
    model = WaitBegan(run="run_1", agent="ana", at=0, wait="m", kind=Waited.MODEL, on="gpt-5")
    assert stalled([began, gone]) == [("trip", "orphan: ana waits for ben, which is gone")]
    (found,) = stalled([model, behind, tick(200)])
    assert found == ("warn", "stall: ana waits 200 s for model gpt-5; 1 more wait for ana")


def test_a_wait_that_begins_this_instant_is_no_negative_time_old() -> None:
    (found,) = stalled([asks("ben", "ana", 1e-9), asks("ana", "ben", 0.0)])
    assert found == ("trip", "deadlock: ana waits 0 s for ben, ben waits 0 s for ana ↺ ana")


def test_waiting_for_whoever_comes_is_no_stall() -> None:
    assert stalled([waits("w", "ana", Waited.MESSAGE, ""), tick(50_000)]) == []


def test_the_one_at_the_root_is_told_and_those_behind_it_are_named() -> None:
    seen = [waits("w", "ana", Waited.MODEL, "gpt-5"), asks("ben", "ana"), asks("chi", "ben"), tick(400)]
    found = told(only(stall=StallSettings()), seen)
    assert texts(found) == [("warn", "stall: ana waits 400 s for model gpt-5; 2 more wait for ana")]
    assert found[0].evidence["behind"] == ["ben", "chi"]


def test_a_message_to_one_who_knows_nothing_of_it_is_a_stall() -> None:
    idle = waits("idle", "ben", Waited.MESSAGE, "", 50)
    assert stalled([asks("ana", "ben"), idle, tick(301)]) == [("warn", "stall: ana waits 301 s for ben")]


def test_waiting_for_one_who_is_at_work_is_no_stall() -> None:
    work = [waits(f"w{at}", "ben", Waited.TOOL, "build", at) for at in range(0, 900, 100)]
    done = [ended(f"w{at}", "ben", at + 99) for at in range(0, 900, 100)]
    seen = sorted([*work, *done, tick(350), tick(650)], key=lambda one: one.at)
    assert stalled([asks("ana", "ben"), *seen]) == []


def test_a_circle_is_a_deadlock_at_once_and_says_who_waits_for_whom() -> None:
    found = told(only(stall=StallSettings()), [asks("ana", "ben"), asks("ben", "chi", 2), asks("chi", "ana", 5)])
    line = "ana waits 5 s for ben, ben waits 3 s for chi, chi waits 0 s for ana ↺ ana"
    assert texts(found) == [("trip", f"deadlock: {line}")]
    assert found[0].evidence == {"line": line, "cycle": ["ana", "ben", "chi"]}
    assert found[0].runs == ("ana", "ben", "chi")


def test_a_circle_of_runs_is_told_by_the_names_of_their_agents() -> None:
    circle = [
        replace(one, run=f"run_{one.agent}", waiter="", on=f"run_{one.on}")
        for one in (asks("ana", "ben"), asks("ben", "ana", 2))
    ]
    found = told(only(stall=StallSettings()), circle)
    line = "ana waits 2 s for ben, ben waits 0 s for ana ↺ ana"
    assert texts(found) == [("trip", f"deadlock: {line}")]
    assert found[0].evidence == {"line": line, "cycle": ["run_ana", "run_ben"]}


def test_two_runs_of_one_agent_that_wait_for_each_other_keep_their_ids() -> None:
    circle = [replace(one, agent="ana") for one in (asks("run_1", "run_2"), asks("run_2", "run_1", 2))]
    (found,) = texts(told(only(stall=StallSettings()), circle))
    assert found[1] == "deadlock: ana run_1 waits 2 s for ana run_2, ana run_2 waits 0 s for ana run_1 ↺ ana run_1"


def test_a_circle_with_a_message_on_its_way_is_given_ten_seconds() -> None:
    seen = [sent("ana", "ben"), asks("ana", "ben"), asks("ben", "ana")]
    assert stalled([*seen, tick(9)]) == []
    assert stalled([*seen, ended("ben-ana", "ben", 8), tick(20)]) == []
    assert [severity for severity, _ in stalled([*seen, tick(11)])] == ["trip"]


def test_a_circle_through_one_who_does_something_else_too_is_open() -> None:
    work = waits("w", "ana", Waited.TOOL, "build")
    assert stalled([work, asks("ana", "ben"), asks("ben", "ana"), tick(60)]) == []
    after = [asks("ana", "ben"), asks("ben", "ana"), ended("w", "ana", 70), tick(71)]
    assert [severity for severity, _ in stalled([work, *after])] == ["trip"]


def test_waiting_for_one_who_is_gone_is_an_orphan_at_once() -> None:
    gone = Closed(run="ben", at=30)
    assert stalled([asks("ana", "ben"), gone]) == [("trip", "orphan: ana waits for ben, which is gone")]
    assert stalled([gone, asks("ana", "ben", 40)]) == [("trip", "orphan: ana waits for ben, which is gone")]


def test_the_last_message_of_one_who_is_gone_may_still_arrive() -> None:
    seen = [asks("ana", "ben"), sent("ben", "ana", 29), Closed(run="ben", at=30)]
    assert stalled([*seen, ended("ana-ben", "ana", 35), tick(60)]) == []
    assert stalled([*seen[:1], sent("ben", "ana", 899), Closed(run="ben", at=900), tick(905)]) == []
    assert [text for _, text in stalled([*seen, tick(60)])] == ["orphan: ana waits for ben, which is gone"]


def test_open_waits_outlive_a_restart() -> None:
    detectors = only(stall=StallSettings())
    told(detectors, [asks("ana", "ben"), waits("w", "chi", Waited.TOOL, "build")])
    seen = [asks("ben", "ana", 5), tick(301)]
    assert [one.detector for one in told(restarted(detectors, "ana", "chi"), seen)] == ["stall", "stall"]
