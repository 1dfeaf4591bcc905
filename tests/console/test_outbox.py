"""A command from key press to answer, over links that come and go."""

from opsconsole.console.view.outbox import ANSWER_SECONDS_MAX, KILL_QUEUE_SECONDS, CommandOutbox, Sent
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command, Res

KILL = Command(cmd="cmd_1", do=Do.KILL, run="r1")
PAUSE = Command(cmd="cmd_2", do=Do.PAUSE, run="r1")


def test_only_a_kill_is_queued_while_the_link_is_down() -> None:
    box = CommandOutbox()
    assert box.give(PAUSE, online=False, now=0) is None
    entry = box.give(KILL, online=False, now=0)
    assert entry is not None
    assert (entry.status, entry.until) == (Sent.QUEUED, KILL_QUEUE_SECONDS)


def test_a_queued_kill_is_sent_when_the_link_opens() -> None:
    box = CommandOutbox()
    box.give(KILL, online=False, now=0)
    assert box.opened(now=KILL_QUEUE_SECONDS - 1) == [KILL]


def test_a_kill_that_waited_too_long_is_never_sent() -> None:
    box = CommandOutbox()
    entry = box.give(KILL, online=False, now=0)
    assert box.opened(now=KILL_QUEUE_SECONDS) == []
    assert entry is not None
    assert entry.status is Sent.EXPIRED


def test_an_unanswered_command_is_sent_again_as_it_was_and_an_answered_one_is_not() -> None:
    box = CommandOutbox()
    box.give(PAUSE, online=True, now=0)
    box.give(KILL, online=True, now=0)
    box.answered(Res(cmd="cmd_1", ok=True, status="recorded"), now=1)
    assert box.opened(now=2) == [PAUSE]


def test_the_first_answer_stands() -> None:
    box = CommandOutbox()
    entry = box.give(KILL, online=True, now=0)
    assert entry is not None
    assert box.answered(Res(cmd="cmd_1", ok=False, code="forbidden", message="no"), now=1) is entry
    assert box.answered(Res(cmd="cmd_1", ok=True), now=2) is None
    assert (entry.status, entry.code, entry.answered_at) == (Sent.REFUSED, "forbidden", 1)


def test_a_command_the_hub_never_answered_ends_as_unknown() -> None:
    box = CommandOutbox()
    entry = box.give(PAUSE, online=True, now=0)
    assert box.expire(now=ANSWER_SECONDS_MAX) == [entry]
    assert entry is not None
    assert entry.status is Sent.UNKNOWN
    assert box.opened(now=ANSWER_SECONDS_MAX) == []


def test_a_queued_kill_can_be_taken_back_and_a_sent_one_cannot() -> None:
    box = CommandOutbox()
    box.give(KILL, online=False, now=0)
    assert (box.withdraw("cmd_1"), box.withdraw("cmd_1"), box.queued()) == (True, False, [])


def test_an_answer_to_somebody_elses_command_is_ignored() -> None:
    assert CommandOutbox().answered(Res(cmd="cmd_9", ok=True), now=0) is None


def test_settled_commands_are_forgotten_and_open_ones_kept() -> None:
    box = CommandOutbox()
    box.give(KILL, online=True, now=0)
    for number in range(300):
        box.give(Command(cmd=f"cmd_x{number}", do=Do.PAUSE, run="r"), online=True, now=0)
        box.answered(Res(cmd=f"cmd_x{number}", ok=True), now=0)
    assert "cmd_1" in box.entries
    assert len(box.entries) <= 202
