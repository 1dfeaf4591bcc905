"""What a console says to a hub: subscriptions, acknowledgements, resumption, and nothing it does not owe."""

from datetime import UTC
from typing import Any

from opsconsole.console.sample import NOW, approval, run
from opsconsole.console.sample_history import events
from opsconsole.console.view.session import LinkPhase, Notice, Session
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Ack, Beat, Command, Delta, Err, Res, Snap, Sub, Welcome

KILL = Command(cmd="cmd_1", do=Do.KILL, run="r1")


def session() -> Session:
    return Session(wall=0.0, now=0.0, zone=UTC)


def welcome(epoch: str = "e1") -> Welcome:
    return Welcome(epoch=epoch, conn="c", principal="ana", role="operator", beat_seconds=10, time=NOW)


def snap(sub: str, *rows: dict[str, Any], rev: int = 5, epoch: str = "e1") -> Snap:
    return Snap(sub=sub, epoch=epoch, part=0, end=True, rev=rev, rows=list(rows))


def delta(sub: str, *rows: dict[str, Any], since: int = 5) -> Delta:
    return Delta(sub=sub, from_rev=since, rev=since + 1, rows=list(rows))


def test_a_first_welcome_asks_for_both_views_whole() -> None:
    assert session().opened(welcome(), now=1) == [
        Sub(sub="board", view="board"),
        Sub(sub="approvals", view="approvals"),
    ]


def test_every_applied_frame_is_acknowledged() -> None:
    one = session()
    one.opened(welcome(), now=1)
    assert one.received(snap("board", run("r1", "a")), now=2).send == [Ack(sub="board", rev=5)]
    assert one.received(delta("board", run("r1", "a")), now=3).send == [Ack(sub="board", rev=6)]


def test_after_a_lost_connection_the_views_are_resumed_where_they_stood() -> None:
    one = session()
    one.opened(welcome(), now=1)
    one.received(snap("board", run("r1", "a")), now=2)
    one.closed(now=3, code=1006, reason="", final=False, retry_at=4)
    assert one.opened(welcome(), now=5) == [
        Sub(sub="board", view="board", epoch="e1", rev=5),
        Sub(sub="approvals", view="approvals"),
    ]


def test_after_a_restart_of_the_hub_everything_is_asked_for_anew_and_stays_on_screen_meanwhile() -> None:
    one = session()
    one.opened(welcome(), now=1)
    one.received(snap("board", run("r1", "a")), now=2)
    one.closed(now=3, code=1012, reason="", final=False, retry_at=4)
    assert one.opened(welcome("e2"), now=5)[0] == Sub(sub="board", view="board")
    assert set(one.board.rows.by_key) == {"r1"}


def test_a_gap_asks_for_a_snapshot_and_acknowledges_nothing() -> None:
    one = session()
    one.opened(welcome(), now=1)
    one.received(snap("approvals", approval("apr_1", "r", "a", "t", {})), now=2)
    assert one.received(delta("approvals", since=9), now=3).send == [Sub(sub="approvals", view="approvals")]


def test_a_run_is_followed_and_left() -> None:
    one = session()
    one.opened(welcome(), now=1)
    assert one.watch("r1") == [Sub(sub="run-1", view="run", run="r1")]
    assert one.received(snap("run-1", *events(), rev=110), now=2).send == [Ack(sub="run-1", rev=110)]
    assert one.watch("r2") == [Sub(sub="run-1", view="run", off=True), Sub(sub="run-2", view="run", run="r2")]
    assert one.received(delta("run-1", since=110), now=3).send == []


def test_a_followed_run_is_resumed_after_a_reconnection() -> None:
    one = session()
    one.opened(welcome(), now=1)
    one.watch("r1")
    one.received(snap("run-1", *events(), rev=110), now=2)
    one.closed(now=3, code=1006, reason="", final=False, retry_at=4)
    assert one.opened(welcome(), now=5)[-1] == Sub(sub="run-1", view="run", run="r1", epoch="e1", rev=110)


def test_a_command_is_sent_again_with_the_same_id_until_it_is_answered() -> None:
    one = session()
    one.opened(welcome(), now=1)
    _, frames = one.give(KILL, now=2)
    assert frames == [KILL]
    one.closed(now=3, code=1006, reason="", final=False, retry_at=4)
    assert one.opened(welcome(), now=5)[0] == KILL
    one.received(Res(cmd="cmd_1", ok=True, status="recorded"), now=6)
    one.closed(now=7, code=1006, reason="", final=False, retry_at=8)
    assert KILL not in one.opened(welcome(), now=9)


def test_without_a_link_only_a_kill_is_taken() -> None:
    one = session()
    assert one.give(Command(cmd="cmd_2", do=Do.PAUSE, run="r1"), now=1) == (None, [])
    entry, frames = one.give(KILL, now=1)
    assert entry is not None
    assert frames == []
    assert one.opened(welcome(), now=2)[0] == KILL


def test_a_kill_that_expired_in_the_queue_is_told_loudly() -> None:
    one = session()
    one.give(KILL, now=1)
    assert one.tick(now=200) == [
        Notice(
            text="NOT SENT: kill r1 waited too long for the link. "
            "Nothing was stopped; look again and press the key again.",
            loud=True,
        )
    ]


def test_ages_follow_the_hubs_clock_whatever_ours_says() -> None:
    one = Session(wall=NOW - 3_600, now=0.0, zone=UTC)
    one.opened(welcome(), now=10)
    assert one.clock.at(12) == NOW + 2
    one.received(Beat(now=NOW + 100), now=20)
    assert one.clock.at(20) == NOW + 100


def test_an_error_of_the_hub_is_told_safely() -> None:
    one = session()
    one.opened(welcome(), now=1)
    outcome = one.received(Err(code="bad_request", message="no\x1b[2J"), now=2)
    assert outcome.notices == [Notice(text="the hub reports: bad_request no␛[2J", loud=True)]


def test_a_final_close_is_no_mere_loss() -> None:
    one = session()
    one.opened(welcome(), now=1)
    one.closed(now=2, code=4501, reason="revoked", final=True, retry_at=None)
    assert (one.link.phase, one.link.code, one.link.reason) == (LinkPhase.REFUSED, 4501, "revoked")


def test_failed_attempts_are_counted_from_the_loss_on() -> None:
    one = session()
    one.opened(welcome(), now=1)
    for now in (2, 3, 4):
        one.closed(now=now, code=0, reason="", final=False, retry_at=now + 1)
    assert (one.link.attempts, one.link.heard_at, one.link.retry_at) == (2, 1, 5)
