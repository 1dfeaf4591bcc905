"""The rules of one run: holding, pausing, steering, fencing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallKind, Outcome
from opsconsole.sdk.arguments import exact
from opsconsole.sdk.gate import Admission, LinkView, Proposal
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import Order
from opsconsole.sdk.session import Answer, Cancel, Effect, Propose, Remember, Say, Session, Settle

UP = LinkView(up=True)
ARGS = exact("sql", {"query": "select 1"})


def call(name: str = "call_1") -> Proposal:
    return Proposal(
        call=name,
        kind=CallKind.TOOL_CALL,
        name="sql",
        args=ARGS,
        risk=None,
        ttl_seconds=60.0,
        ttl_given=False,
        proposed_at=0.0,
    )


def order(do: Do, cmd: str = "cmd_1", **fields: Any) -> Order:
    return Order(cmd=cmd, cseq=1, do=do, by="ann", **fields)


def allow(name: str = "call_1", cmd: str = "cmd_v1") -> Order:
    return order(Do.VERDICT, cmd, call=name, outcome=Outcome.ALLOW, digest=ARGS.digest)


def admissions(effects: list[Effect]) -> list[tuple[str, Admission]]:
    return [(one.call, one.decision.admission) for one in effects if isinstance(one, Settle)]


def states(effects: list[Effect]) -> list[RunState]:
    return [one.state for one in effects if isinstance(one, Say)]


def test_a_call_is_proposed_and_its_verdict_settles_it() -> None:
    session = Session(OnHubLost())
    assert [type(one) for one in session.propose(call())] == [Propose]
    assert admissions(session.order(allow(), 1.0)) == [("call_1", Admission.RUN)]


def test_a_verdict_that_came_before_a_restarted_agent_asked_again_is_used() -> None:
    session = Session(OnHubLost())
    assert session.order(allow(), 0.0) == []
    assert admissions(session.propose(call())) == [("call_1", Admission.RUN)]


def test_a_verdict_on_a_settled_call_is_void() -> None:
    session = Session(OnHubLost())
    session.propose(call())
    session.order(allow(), 1.0)
    again = session.order(allow(cmd="cmd_v2"), 2.0)
    assert again == [Answer(cmd="cmd_v2", status="void", code="settled", message="the call was already decided here")]


def test_a_paused_run_says_so_once_it_holds_and_proposes_only_when_resumed() -> None:
    session = Session(OnHubLost())
    assert states(session.order(order(Do.PAUSE), 0.0)) == []
    held = session.propose(call())
    assert (states(held), [one for one in held if isinstance(one, Propose)]) == ([RunState.PAUSED], [])
    resumed = session.order(order(Do.RESUME, "cmd_2"), 5.0)
    assert states(resumed) == [RunState.WORKING]
    assert [one.proposal.proposed_at for one in resumed if isinstance(one, Propose)] == [5.0]


def test_a_run_is_not_paused_while_a_call_of_it_still_runs() -> None:
    session = Session(OnHubLost())
    session.started("call_0")
    session.order(order(Do.PAUSE), 0.0)
    assert states(session.propose(call())) == []
    assert states(session.finished("call_0")) == [RunState.PAUSED]


def test_an_allow_that_arrives_in_a_pause_waits_for_the_resume() -> None:
    session = Session(OnHubLost())
    session.propose(call())
    session.order(order(Do.PAUSE), 0.0)
    assert admissions(session.order(allow(), 1.0)) == []
    assert admissions(session.order(order(Do.RESUME, "cmd_2"), 2.0)) == [("call_1", Admission.RUN)]


def test_a_kill_stops_what_waits_and_cancels_the_body() -> None:
    session = Session(OnHubLost())
    session.propose(call())
    effects = session.order(order(Do.KILL, text="runaway"), 1.0)
    assert admissions(effects) == [("call_1", Admission.STOP)]
    assert effects[-1] == Cancel(reason="killed by ann: runaway")


def test_a_second_kill_cancels_again() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.KILL), 0.0)
    again = session.order(order(Do.KILL, "cmd_2"), 1.0)
    assert [type(one) for one in again] == [Cancel]
    assert [one.cmd for one in session.kills] == ["cmd_1", "cmd_2"]


def test_an_allow_that_was_parked_in_a_pause_does_not_survive_a_kill() -> None:
    session = Session(OnHubLost())
    session.propose(call())
    session.order(order(Do.PAUSE), 0.0)
    session.order(allow(), 1.0)
    assert admissions(session.order(order(Do.KILL, "cmd_2"), 2.0)) == [("call_1", Admission.STOP)]
    assert admissions(session.order(order(Do.RESUME, "cmd_3"), 3.0)) == []


def test_what_an_operator_said_is_applied_when_the_agent_takes_it() -> None:
    session = Session(OnHubLost())
    assert session.order(order(Do.INJECT, text="stop spending"), 0.0) == []
    taken, effects = session.take_injected()
    assert ([one.text for one in taken], effects) == (["stop spending"], [Answer(cmd="cmd_1", status="applied")])
    assert session.take_injected() == ([], [])


def test_what_the_agent_never_took_is_void_at_its_end() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.INJECT, text="too late"), 0.0)
    assert session.end() == [Answer(cmd="cmd_1", status="void", code="ended", message="the run ended first")]


def test_a_hand_back_brings_the_operators_summary_to_the_agent() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.TAKEOVER, epoch=3), 0.0)
    assert (session.holder, session.epoch) == ("ann", 3)
    session.order(order(Do.RELEASE, "cmd_2", text="refunded by hand", epoch=4), 1.0)
    assert (session.holder, session.epoch) == ("", 4)
    assert [one.text for one in session.take_injected()[0]] == ["refunded by hand"]


def test_a_freeze_is_not_the_sdks_to_carry_out() -> None:
    (answer,) = Session(OnHubLost()).order(order(Do.FREEZE), 0.0)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.code) == ("void", "not_here")


def test_a_takeover_that_ran_out_ends_with_the_pause_that_says_so() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.TAKEOVER, epoch=1), 0.0)
    effects = session.order(order(Do.PAUSE, "cmd_2", epoch=2), 1.0)
    assert (session.paused, session.holder, session.epoch) == (True, "", 2)
    assert Remember() in effects


def test_a_pause_during_a_takeover_leaves_it_with_its_holder() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.TAKEOVER, epoch=1), 0.0)
    session.order(order(Do.PAUSE, "cmd_2", epoch=1), 1.0)
    assert (session.paused, session.holder) == (True, "ann")


def test_a_takeover_of_a_hub_that_lost_the_ones_before_ends_like_any_other() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.TAKEOVER, epoch=7), 0.0)
    session.order(order(Do.TAKEOVER, "cmd_2", epoch=1), 1.0)
    session.order(order(Do.PAUSE, "cmd_3", epoch=2), 2.0)
    assert session.holder == ""


def test_words_of_an_earlier_hand_back_end_no_later_takeover() -> None:
    session = Session(OnHubLost(), memory={"holder": "ben", "epoch": 3})
    session.order(order(Do.RELEASE, epoch=2, text="all fixed"), 0.0)
    assert (session.holder, [one.text for one in session.take_injected()[0]]) == ("ben", ["all fixed"])


def test_a_pause_and_a_takeover_outlive_the_process() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.PAUSE), 0.0)
    session.order(order(Do.TAKEOVER, epoch=2), 0.0)
    restarted = Session(OnHubLost(), memory=session.memory())
    assert (restarted.paused, restarted.holder, restarted.epoch) == (True, "ann", 2)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("propose"), st.sampled_from("abc")),
        st.tuples(st.just("allow"), st.sampled_from("abc")),
        st.tuples(st.sampled_from(["pause", "resume", "kill", "judge"]), st.just("")),
    ),
    max_size=25,
)


@given(_STEPS)
def test_no_interleaving_lets_a_call_run_after_the_fence_twice_or_unasked(steps: list[tuple[str, str]]) -> None:
    session = Session(OnHubLost())
    asked: set[str] = set()
    verdicts: set[str] = set()
    settled: list[str] = []
    for number, (what, name) in enumerate(steps):
        fenced = bool(session.fenced)
        effects: list[Effect] = []
        if what == "propose" and name not in asked:
            asked.add(name)
            effects = session.propose(call(name))
        elif what == "allow":
            verdicts.add(name)
            effects = session.order(allow(name, f"cmd_{number}"), float(number))
        elif what == "judge":
            effects = session.judge(float(number), UP)
        elif what in ("pause", "resume", "kill"):
            effects = session.order(order(Do(what), f"cmd_{number}"), float(number))
        for one, admission in admissions(effects):
            settled.append(one)
            if admission is Admission.RUN:
                assert not fenced
                assert not session.fenced
                assert not session.paused
                assert one in asked
                assert one in verdicts
    assert len(settled) == len(set(settled))
    if session.fenced:
        assert set(settled) == asked


def test_a_hand_back_of_a_hub_that_lost_some_epochs_ends_the_takeover_all_the_same() -> None:
    session = Session(OnHubLost(), memory={"holder": "ben", "epoch": 3})
    session.order(order(Do.RELEASE, epoch=3), 0.0)
    assert session.holder == ""


def test_a_call_that_was_allowed_does_not_begin_after_the_fence() -> None:
    session = Session(OnHubLost())
    session.propose(call())
    session.order(allow(), 0.0)
    session.order(order(Do.KILL), 1.0)
    assert (session.started("call_1"), session.executing) == (False, set())


def test_what_fenced_a_run_first_is_why_it_stops() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.KILL), 0.0)
    session.fence("nothing was heard")
    assert session.fenced == "killed by ann"


def test_a_killed_run_takes_no_verdict_and_no_resume() -> None:
    session = Session(OnHubLost())
    session.order(order(Do.KILL), 0.0)
    told = [*session.order(allow("call_9"), 1.0), *session.order(order(Do.RESUME, "cmd_2"), 2.0)]
    assert [(one.cmd, one.status, one.code) for one in told if isinstance(one, Answer)] == [
        ("cmd_v1", "void", "settled"),
        ("cmd_2", "void", "fenced"),
    ]
    assert states(told) == []


def test_a_kill_after_the_end_cancels_nobody_and_waits_for_its_answer() -> None:
    session = Session(OnHubLost())
    session.end()
    assert (session.order(order(Do.KILL), 0.0), [one.cmd for one in session.kills]) == ([], ["cmd_1"])
