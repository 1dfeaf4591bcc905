"""Which points take a run for taken over: those that steer it, while it is; whatever was missed, lost or restarted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Limits
from opsconsole.protocol.frames import Frame, PointCommand
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import order_of
from opsconsole.sdk.session import Answer, Session
from tests.hub.desk.office import ANA, BEN, RUN, Agent, Office
from tests.hub.desk.test_desk_budget import turn

TAKEOVER_SECONDS = 30.0


class SteeredPoint(Agent):
    """A point with the real rules of the agent's side; what is on its way arrives when it is let, or is lost."""

    def __init__(self, office: Office, point: str) -> None:
        super().__init__(office, point=point)
        self.session = Session(OnHubLost())
        self.wire: list[PointCommand] = []
        self.journalled_commands: set[str] = set()
        self.turns = 0

    def connect(self, **hello: Any) -> Agent:
        """Say what it takes the run for, and all that it has ever told."""
        self.wire.clear()
        super().connect(**({"held": True} if self.session.holder else {}) | hello)
        if self.journal:
            self.send(self.frame(self.journal))
        else:
            self.start()
        return self

    def hear(self, frame: Frame) -> None:
        """A command is on its way; all else is there at once."""
        if isinstance(frame, PointCommand):
            self.wire.append(frame)
        else:
            super().hear(frame)

    def arrive(self) -> None:
        """What is on its way is journalled, obeyed once, acknowledged and answered."""
        while self.conn and self.wire:
            command = self.wire.pop(0)
            self.heard.append(command)
            self.cseq = max(self.cseq, command.cseq)
            if command.cmd not in self.journalled_commands:
                self.journalled_commands.add(command.cmd)
                effects = self.session.order(order_of(command), 0.0) + self.session.take_injected()[1]
                for effect in effects:
                    if isinstance(effect, Answer):
                        self.answer(effect.cmd, effect.status)
            self.acknowledge()

    def begin_again(self) -> None:
        """Its process is another one, with what the last one kept."""
        if self.conn:
            self.drop()
        self.session = Session(OnHubLost(), memory=self.session.memory())

    def ask_for_turns(self) -> None:
        """A turn of the model, with which turns may be let go ahead."""
        if self.conn:
            self.turns += 1
            turn(self, f"{self.point}{self.turns}", tokens=10)
            self.tool(f"{self.point}{self.turns}", "completed")


class Steering:
    """A run with the agent's own point and a gateway, and two operators."""

    def __init__(self) -> None:
        limits = Limits(tokens=100_000_000)
        self.office = Office(
            policy=DefaultPolicy(run_limits=limits), settings=DeskSettings(takeover_lease_seconds=TAKEOVER_SECONDS)
        )
        self.sdk, self.gateway = SteeredPoint(self.office, "sdk"), SteeredPoint(self.office, "gateway")

    def come(self, point: SteeredPoint) -> None:
        if not point.conn:
            point.connect()

    def ask(self, do: str, who: Any = ANA, **about: Any) -> Any:
        return self.office.operator(who).ask(do, run=RUN, **about)

    def settle(self) -> None:
        """Everybody is there, and all that is on its way arrives."""
        self.office.release()
        for point in (self.sdk, self.gateway):
            self.come(point)
        while self.sdk.wire or self.gateway.wire:
            self.sdk.arrive()
            self.gateway.arrive()

    @property
    def holders(self) -> tuple[str, str]:
        """Who holds the run, as the agent's own point and the gateway know it."""
        return self.sdk.session.holder, self.gateway.session.holder


STEPS: dict[str, Callable[[Steering], Any]] = {
    "sdk comes": lambda all_: all_.come(all_.sdk),
    "sdk goes": lambda all_: all_.sdk.drop() if all_.sdk.conn else None,
    "sdk leaves": lambda all_: all_.sdk.drop(clean=True) if all_.sdk.conn else None,
    "sdk hears": lambda all_: all_.sdk.arrive(),
    "sdk begins again": lambda all_: all_.sdk.begin_again(),
    "gateway comes": lambda all_: all_.come(all_.gateway),
    "gateway goes": lambda all_: all_.gateway.drop() if all_.gateway.conn else None,
    "gateway leaves": lambda all_: all_.gateway.drop(clean=True) if all_.gateway.conn else None,
    "gateway hears": lambda all_: all_.gateway.arrive(),
    "gateway begins again": lambda all_: all_.gateway.begin_again(),
    "a turn": lambda all_: all_.gateway.ask_for_turns(),
    "ana takes over": lambda all_: all_.ask("takeover", note="mine"),
    "ben takes over": lambda all_: all_.ask("takeover", BEN, note="mine"),
    "ana hands back": lambda all_: all_.ask("release", text="done"),
    "ben hands back": lambda all_: all_.ask("release", BEN),
    "ben pauses": lambda all_: all_.ask("pause", BEN),
    "ben resumes": lambda all_: all_.ask("resume", BEN),
    "a while passes": lambda all_: all_.office.pass_time(5.0),
    "the takeover runs out": lambda all_: all_.office.pass_time(TAKEOVER_SECONDS + 1.0),
    "records are saved": lambda all_: all_.office.save_records(),
    "the disk is slow": lambda all_: all_.office.hold(),
    "the disk is fast": lambda all_: all_.office.release(),
    "the hub dies": lambda all_: all_.office.restart(),
}


def after(*steps: str) -> Steering:
    all_ = Steering()
    for step in steps:
        STEPS[step](all_)
    return all_


@settings(max_examples=250)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=40))
def test_a_point_takes_a_run_for_taken_over_only_while_it_is_and_only_where_it_is_steered(steps: list[str]) -> None:
    all_ = after("gateway comes", "records are saved", *steps)
    all_.settle()
    run = all_.office.desk._world.runs[RUN]
    sdk, gateway = all_.holders
    assert run.baton is not None or (sdk, gateway) == ("", "")
    assert not (run.steered_by == "gateway" and sdk)
    assert not (run.steered_by == "others" and gateway)


LEASED = ("gateway comes", "a turn", "sdk comes", "ana takes over", "a while passes")


@pytest.mark.parametrize(
    ("again", "by", "back"),
    [("ana takes over", "ana", "ana hands back"), ("ben takes over", "ben", "ben hands back")],
    ids=["renewed", "passed on"],
)
def test_a_takeover_that_is_renewed_or_passed_on_stays_on_its_side_to_the_end(again: str, by: str, back: str) -> None:
    all_ = after(*LEASED, again)
    all_.settle()
    held = all_.holders
    STEPS[back](all_)
    all_.settle()
    assert (held, all_.holders) == (("", by), ("", ""))


def test_a_takeover_renewed_while_its_side_is_away_goes_over_and_the_side_left_hears_its_end() -> None:
    all_ = after("gateway comes", "sdk comes", "ana takes over", "sdk hears", "sdk goes", "ana takes over")
    all_.gateway.arrive()
    before = all_.holders
    all_.settle()
    assert (before, all_.holders) == (("ana", "ana"), ("", "ana"))
    STEPS["ana hands back"](all_)
    all_.settle()
    assert all_.holders == ("", "")


def test_a_takeover_that_ran_out_is_over_at_the_point_too() -> None:
    all_ = after("sdk comes", "ana takes over", "sdk hears", "the takeover runs out")
    all_.settle()
    assert (all_.sdk.session.paused, all_.holders) == (True, ("", ""))


def test_a_point_that_a_dead_hub_told_of_a_takeover_on_no_record_is_set_right() -> None:
    all_ = after("sdk comes", "records are saved", "the disk is slow", "ana takes over", "sdk hears", "the hub dies")
    before = all_.holders[0]
    all_.settle()
    assert (before, all_.office.row().baton, all_.holders[0]) == ("ana", None, "")


def test_a_point_that_left_before_the_end_of_a_takeover_is_set_right_when_it_comes_back() -> None:
    all_ = after("gateway comes", "sdk comes", "ana takes over", "sdk hears", "sdk leaves")
    other = all_.office.agent(point="supervisor", caps=["freeze"], state=None)
    STEPS["ana hands back"](all_)
    other.acknowledge()
    all_.settle()
    assert all_.holders[0] == ""


def test_a_point_that_goes_on_about_a_takeover_is_told_once_until_it_hears() -> None:
    all_ = after("gateway comes", "sdk comes")
    for _ in range(5):
        all_.sdk.drop()
        all_.sdk.connect(held=True)
    run = all_.office.desk._world.runs[RUN]
    assert [one.frame.do for one in run.commands] == ["release"]


def test_a_side_that_is_left_hears_so_though_it_does_not_tell_what_it_takes_the_run_for() -> None:
    office = Office()
    gateway, sdk = office.agent(point="gateway"), office.agent()
    office.operator().ask("takeover", run=RUN)
    sdk.drop()
    office.operator().ask("takeover", run=RUN)
    sdk.connect()
    assert [one.do for one in sdk.commands][-1] == "release"
    assert [one.do for one in gateway.commands] == ["takeover"]


def test_a_takeover_that_was_over_before_a_point_came_back_is_not_told_to_it() -> None:
    all_ = after("gateway comes", "ana takes over", "gateway leaves", "sdk comes", "the takeover runs out", "sdk hears")
    all_.settle()
    assert (all_.gateway.told("takeover"), all_.holders) == ([], ("", ""))


def test_the_end_of_one_takeover_ends_none_that_began_while_it_was_being_recorded() -> None:
    all_ = after("sdk comes", "ana takes over", "the disk is slow", "ana hands back", "ana takes over")
    ana = all_.office.operator()
    all_.settle()
    refused = ana.answer_to(2)
    assert (refused and refused.code, all_.holders[0]) == ("precondition_failed", "ana")
    STEPS["ana hands back"](all_)
    all_.settle()
    assert all_.holders[0] == ""
