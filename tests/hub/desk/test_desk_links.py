"""Points come, speak and go: generations, second processes, silence, commands missed, and what a beat does not show."""

from __future__ import annotations

from opsconsole.domain.command import Role
from opsconsole.hub.desk.principal import Principal
from opsconsole.protocol.limits import Close
from tests.hub.desk.office import BOT, EYE, RUN, Agent, Office

OTHER = Principal(name="other", role=Role.AGENT)
BOUND = Principal(name="bound", role=Role.AGENT, agent_prefix="billing-")


def test_a_dropped_point_is_stale_then_lost_and_its_run_keeps_its_state() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    assert (office.row().link, office.row().state) == ("stale", "working")
    office.pass_time(61)
    assert (office.row().link, office.row().state) == ("lost", "working")


def test_a_point_that_comes_and_goes_is_not_lost_early() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.pass_time(30)
    agent.connect()
    office.pass_time(25)
    agent.drop()
    office.pass_time(10)
    assert office.row().link == "stale"
    office.pass_time(51)
    assert office.row().link == "lost"


def test_a_run_lost_for_a_day_has_failed() -> None:
    """`No end event` is taken for alive: not here."""
    office = Office()
    agent = office.agent()
    agent.propose(ttl_seconds=86_400)
    agent.drop()
    office.pass_time(86_400 + 62)
    row = office.row()
    assert (row.state, row.reason, row.pending_approvals) == ("failed", "lost", 0)
    assert office.storage.kinds("run.given") == ["run.given_up"]


def test_a_run_whose_supervisor_left_and_whose_sdk_is_lost_is_given_up() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop(clean=True)
    agent.drop()
    office.pass_time(86_400 + 62)
    assert office.row().state == "failed"


def test_a_run_given_up_that_speaks_again_is_a_zombie() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.pass_time(86_400 + 62)
    agent.connect()
    agent.state("working")
    assert (office.row().state, office.row().zombie) == ("failed", True)


def test_a_goodbye_is_no_alarm() -> None:
    office = Office()
    agent = office.agent()
    agent.send({"t": "bye", "code": 1000})
    office.pass_time(100)
    assert office.row().link == "detached"


def test_a_point_that_leaves_one_run_keeps_the_others() -> None:
    office = Office()
    agent = office.agent()
    agent.send({"t": "detach", "run": RUN})
    assert office.row().link == "detached"
    agent.state("idle")
    assert agent.problems == ["not_attached"]


def test_a_beat_is_not_progress() -> None:
    """A heartbeat hides a hang: not here."""
    office = Office()
    agent = office.agent()
    before = office.row().progress_at
    office.pass_time(500)
    agent.beat(busy="sql for 500 s")
    assert (office.row().link, office.row().progress_at) == ("live", before)


def test_commands_missed_are_told_on_return_in_order_and_once() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.drop()
    operator.ask("pause", run=RUN)
    operator.ask("resume", run=RUN)
    agent.connect()
    assert [str(one.do) for one in agent.commands] == ["pause", "resume"]
    agent.acknowledge()
    agent.drop()
    agent.connect()
    assert len(agent.commands) == 2


def test_commands_that_were_journalled_but_not_acknowledged_are_not_told_again() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("pause", cmd="cmd_p", run=RUN)
    agent.drop()
    agent.connect()
    assert len(agent.told("pause")) == 1
    assert office.desk.command_report("cmd_p").status == "delivered"


def test_a_point_whose_cursor_is_ahead_of_the_hub_hears_every_command() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("kill", run=RUN)
    agent.cseq = 50
    office.restart()
    agent.connect()
    assert len(agent.told("kill")) == 1
    assert agent.told("kill")[0].cseq > 50


def test_a_point_ahead_of_the_hub_does_not_hide_commands_from_another() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.save_records()
    office.restart()
    agent.cseq, supervisor.cseq = 0, 40
    agent.connect()
    office.operator().ask("kill", run=office.run)
    supervisor.connect()
    assert (len(supervisor.told("kill")), {one.cmd for one in agent.told("kill")}) == (1, {f"cmd_ana1.{office.run}"})
    agent.acknowledge()
    supervisor.acknowledge()
    agent.drop()
    heard = len(agent.commands)
    agent.connect()
    assert len(agent.commands) == heard


def test_a_newer_connection_of_the_same_process_takes_over() -> None:
    office = Office()
    agent = office.agent()
    old = agent.conn
    office.peers[old] = watcher = Agent(office)
    agent.connect()
    assert watcher.closes == [Close.SUPERSEDED]
    office.step(lambda now: office.desk.agent_gone(old, "closed", False, now))
    assert office.row().link == "live"


def test_a_second_process_supersedes_the_first_and_is_noticed() -> None:
    office = Office()
    first = office.agent()
    second = Agent(office, gen="g2", pid=200).connect()
    second.start()
    assert (first.closes, "superseded" in office.alerts()) == ([Close.SUPERSEDED], True)
    first.state("idle")
    assert (first.problems, office.row().state) == (["not_attached"], "working")


def test_an_older_generation_does_not_come_back() -> None:
    office = Office()
    first = office.agent()
    Agent(office, gen="g2").connect().start()
    first.conn = ""
    first.connect()
    assert first.closes[-1] == Close.SUPERSEDED


def test_two_processes_that_start_the_same_run_at_once_do_not_mix_their_journals() -> None:
    office = Office()
    one, two = Agent(office, gen="g1").connect(), Agent(office, gen="g2", pid=200).connect()
    one.start()
    two.start()
    one.say({"type": "note", "text": "from one"})
    assert one.problems == ["not_attached"] or one.closes == [Close.SUPERSEDED]
    assert [batch.store.gen for batch in office.storage.batches if batch.store.gen != "hub"] == ["sdk/g1", "sdk/g2"]


def test_a_run_belongs_to_whose_token_started_it() -> None:
    office = Office()
    office.agent()
    thief = Agent(office, gen="g9", who=OTHER).connect()
    thief.state("completed")
    assert thief.problems == ["forbidden", "not_attached"]
    assert (office.row().state, office.row().owner) == ("working", "bot")


def test_a_run_started_first_by_another_is_not_taken_by_an_early_attach() -> None:
    office = Office()
    thief = Agent(office, gen="g9", who=OTHER).connect()
    office.agent()
    thief.start()
    assert (thief.problems, office.row().owner) == (["forbidden"], "bot")


def test_a_token_bound_to_some_agents_starts_no_others() -> None:
    office = Office()
    agent = Agent(office, who=BOUND, agent="shipping-1").connect()
    agent.start()
    assert (agent.problems, office.row()) == (["forbidden"], None)


def test_a_token_bound_to_some_agents_cannot_rename_its_run() -> None:
    office = Office()
    agent = Agent(office, who=BOUND, agent="billing-1").connect()
    agent.start()
    agent.say({"type": "run", "agent": "shipping-1"})
    assert (agent.problems, office.row().agent) == (["forbidden"], "billing-1")


def test_only_an_agents_token_starts_a_run() -> None:
    office = Office()
    agent = Agent(office, who=EYE).connect()
    agent.start()
    assert (agent.problems, office.row()) == (["forbidden"], None)


def test_the_first_event_of_a_run_describes_it() -> None:
    office = Office()
    agent = Agent(office).connect()
    agent.state("working")
    assert (agent.problems, office.row()) == (["forbidden"], None)


def test_a_point_that_attached_before_its_run_was_known_hears_what_it_missed() -> None:
    office = Office()
    late = Agent(office).connect()
    office.agent(point="supervisor", caps=["kill_process"], state=None)
    office.operator().ask("kill", run=RUN)
    late.start()
    assert len(late.told("kill")) == 1


def test_a_run_can_be_attached_on_an_open_connection() -> None:
    office = Office()
    agent = office.agent()
    agent.send({"t": "attach", "runs": [{"run": "run_2", "gen": "g1"}]})
    agent.send(
        {"t": "event", "run": "run_2", "gen": "g1", "events": [{"seq": 1, "ts": 1, "type": "run", "agent": "b"}]}
    )
    assert office.row("run_2").agent == "b"


def test_the_link_of_a_run_is_that_of_its_worst_point() -> None:
    office = Office()
    agent, _ = office.supervised()
    agent.drop()
    assert (office.row().link, {point.name: point.link for point in office.row().points}) == (
        "stale",
        {"supervisor": "live", "sdk": "stale"},
    )


def test_frames_after_a_goodbye_are_nobodys() -> None:
    office = Office()
    agent = office.agent()
    agent.send({"t": "bye", "code": 1000})
    agent.state("idle")
    assert office.row().state == "working"
    assert BOT.name == office.row().owner
