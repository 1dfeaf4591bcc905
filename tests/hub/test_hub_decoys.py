"""Made-up calls: rare, by day, never beside a real one; whatever is answered, nothing runs, and it is told at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from opsconsole.domain.approval import Answer
from opsconsole.domain.command import Do, Role
from opsconsole.domain.digest import approval_digest, call_digest
from opsconsole.hub import decoys
from opsconsole.hub.admission import Fact
from opsconsole.hub.decoy_seals import STOPPED, DecoySeals
from opsconsole.hub.decoys import PARTS, STATUS, Decoys, Part, sealed
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.hub.server import Hub
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision, Policy, Proposal, Quorum, Verdict
from opsconsole.protocol.frames import AskedGrant, Command
from opsconsole.protocol.rows import ApprovalRow
from tests.hub.desk.office import Office
from tests.support.hub import ConsoleSocket, RunningHub, eventually, proposal, running_hub

ANA = Principal(name="ana", role=Role.OPERATOR)
BEN = Principal(name="ben", role=Role.OPERATOR)
NOON = 12 * 60
NONCE = "00ff"
LOOK: dict[str, Any] = {
    "weekday": 0,
    "minute": NOON,
    "is_free": True,
    "dice": 0.0,
    "new_id": "1",
    "nonce": NONCE,
}
"""Monday at noon, and it is its turn."""
ASKED = AskedGrant(uses=3, seconds=600.0)


class Place:
    """Decoys, what was recorded of them, and which rows changed."""

    def __init__(self, per_day: float = 1.0, policy: Policy | None = None) -> None:
        self.told: list[Fact] = []
        self.shown: list[str] = []
        self.desk = Office(policy=policy).desk
        self.decoys = Decoys(per_day=per_day, ask=self._ask, tell=self.told.append, show=self.shown.append)

    def _ask(self, part: Part, new_id: str, now: float) -> ApprovalRow | None:
        return self.desk.made_up_question(new_id, part.agent, part.tool, part.args, part.agent_reason, now)

    def look(self, now: float = 0.0, **changes: Any) -> None:
        planned = self.decoys.look(now, **(LOOK | changes))
        if planned is not None:
            self.decoys.show(planned)

    def decide(self, answer: Answer | None, *, now: float = 8.0, who: Principal = ANA, **changes: Any) -> Any:
        return self.give(now=now, who=who, do=Do.DECIDE, answer=answer, **changes)

    def give(self, *, now: float = 8.0, who: Principal = ANA, **changes: Any) -> Any:
        given = {"cmd": "cmd_1", "approval": "apr_1", "digest": DIGEST}
        if changes.get("answer") is Answer.RESPOND:
            given["text"] = "no"
        if changes.get("answer") is Answer.EDIT:
            given["args"] = {}
        return self.decoys.answer(Command(**(given | changes)), who, now)

    @property
    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.told]


def show_one(hub: Hub) -> None:
    """As when it is time for it."""
    planned = hub.decoys.look(hub.now(), **LOOK)
    assert planned is not None
    hub.decoys.show(planned)


DIGEST = approval_digest(
    run="run_1",
    call="call_1",
    call_digest=call_digest(PARTS[0].tool, PARTS[0].args),
    policy_hash=DefaultPolicy().hash,
)
SHOWN_SECONDS = DeskSettings().approval_ttl_seconds
"""Of the one that is shown."""


@pytest.fixture
def place() -> Place:
    """One is shown."""
    made = Place()
    made.look()
    return made


ASKED_BY_RULE = Verdict(decision=Decision.ASK, rule="files", reason="writes", facts={"path": {"inside": False}})


def rules(**by_tool: Verdict) -> Policy:
    """Judges tools by a table, and asks one person about the rest."""

    class Rules(DefaultPolicy):
        def judge(self, proposal: Proposal) -> Verdict:
            return by_tool.get(proposal.tool, ASKED_BY_RULE)

    return Rules()


def test_one_is_asked_about_as_the_policy_in_force_would_ask_about_it() -> None:
    denied = Verdict(decision=Decision.DENY, rule="no-sql", reason="never")
    two = Verdict(decision=Decision.ASK, rule="two", reason="two", quorums=(Quorum(approvers=2),))
    place = Place(policy=rules(sql=denied, shell=two))
    place.look()
    row = place.decoys.row("apr_1")
    assert row is not None
    assert (row.tool, row.rule, row.why, row.facts) == ("write_file", "files", "writes", {"path": {"inside": False}})


def test_a_policy_that_would_ask_nobody_about_any_is_shown_none() -> None:
    denied = Verdict(decision=Decision.DENY, rule="no", reason="never")
    place = Place(policy=rules(sql=denied, shell=denied, write_file=denied))
    place.look()
    assert place.decoys.ids == []


def test_one_is_recorded_and_shown_like_any_held_call(place: Place) -> None:
    row = place.decoys.row("apr_1")
    assert row is not None
    assert (row.tool, row.args, row.status) == (PARTS[0].tool, PARTS[0].args, "pending")
    assert place.kinds == ["decoy.shown"]
    assert place.shown == ["apr_1"]


def test_while_it_waits_the_record_holds_nothing_but_its_seal(place: Place) -> None:
    [shown] = place.told
    assert shown.details == {"commitment": f"sha256:{hashlib.sha256(b'00ffapr_1').hexdigest()}"}


@pytest.mark.parametrize("how", ["answered", "withdrawn"])
def test_once_it_is_over_the_record_says_what_was_sealed(place: Place, how: str) -> None:
    if how == "answered":
        place.decide(Answer.REJECT)
    else:
        place.decoys.make_room()
    fact = place.told[-1]
    opened = {name: fact.details[name] for name in ("approval", "tool", "args", "nonce")}
    assert (fact.kind, opened) == (
        f"decoy.{how}",
        {"approval": "apr_1", "tool": PARTS[0].tool, "args": PARTS[0].args, "nonce": NONCE},
    )


@pytest.mark.parametrize(
    "changes",
    [{"is_free": False}, {"minute": 3 * 60}, {"minute": 17 * 60}, {"weekday": 5}, {"weekday": 6}, {"dice": 0.99}],
    ids=["something-real-waits", "night", "evening", "saturday", "sunday", "not-its-turn"],
)
def test_none_is_shown_when_it_is_not_time_for_it(changes: dict[str, Any]) -> None:
    place = Place()
    place.look(**changes)
    assert (place.decoys.ids, place.told) == ([], [])


def test_none_is_shown_where_nobody_asked_for_any() -> None:
    place = Place(per_day=0.0)
    place.look()
    assert place.decoys.ids == []


def test_each_part_is_played() -> None:
    played = set()
    for number in range(300):
        place = Place(per_day=960.0)
        place.look(dice=number / 300)
        played |= {row.tool for name in place.decoys.ids if (row := place.decoys.row(name)) is not None}
    assert played == {part.tool for part in PARTS}


@pytest.mark.parametrize(
    ("answer", "caught"),
    [(Answer.REJECT, True), (Answer.RESPOND, True), (Answer.APPROVE, False), (Answer.EDIT, False)],
)
def test_an_answer_is_told_apart_and_recorded_with_its_time(place: Place, answer: Answer, caught: bool) -> None:
    res = place.decide(answer)
    assert (res.ok, res.status) == (True, STATUS)
    assert res.message.startswith("that was a DECOY, and nothing was behind it: ")
    (_, fact) = place.told
    assert (fact.kind, fact.principal) == ("decoy.answered", ANA)
    assert {name: fact.details[name] for name in ("answer", "caught", "seconds_to_decide")} == {
        "answer": answer.value,
        "caught": caught,
        "seconds_to_decide": 8.0,
    }
    assert place.decoys.ids == []


def test_an_answer_that_is_sent_again_is_given_once(place: Place) -> None:
    first, again = place.decide(Answer.REJECT), place.decide(Answer.REJECT)
    assert again == first.model_copy(update={"replayed": True})
    assert len(place.told) == 2


def test_the_id_of_an_answer_under_another_one_is_a_conflict(place: Place) -> None:
    place.decide(Answer.REJECT)
    res = place.decide(Answer.APPROVE)
    assert (res.ok, res.code, res.message) == (
        False,
        "idempotency_conflict",
        "this id was used for another command",
    )


@pytest.mark.parametrize("who", [ANA, BEN], ids=["its-giver", "somebody-else"])
def test_a_stop_under_the_id_of_an_answer_goes_to_the_desk(place: Place, who: Principal) -> None:
    place.decide(Answer.REJECT)
    assert place.decoys.answer(Command(cmd="cmd_1", do=Do.KILL, run="run_1"), who, 9.0) is None


def test_the_id_that_one_operator_used_is_free_for_another(place: Place) -> None:
    place.decide(Answer.REJECT)
    assert place.decide(Answer.REJECT, who=BEN, approval="apr_real") is None


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"answer": Answer.REJECT, "digest": "sha256:other"}, "digest_mismatch", "this is not what was shown"),
        ({"answer": None}, "bad_request", "a decision needs an answer: approve, edit, reject or respond"),
        ({"answer": Answer.RESPOND, "text": None}, "bad_request", "a response needs a text"),
        ({"answer": Answer.EDIT, "args": None}, "bad_request", "an edit needs the whole new arguments"),
    ],
    ids=["another-digest", "no-answer", "no-text", "no-arguments"],
)
def test_what_the_desk_would_refuse_is_refused_and_recorded(
    place: Place, changes: dict[str, Any], code: str, message: str
) -> None:
    res = place.decide(**changes)
    assert (res.ok, res.code, res.message) == (False, code, message)
    fact = place.told[-1]
    assert (fact.kind, fact.principal, fact.details["code"], fact.details["why"]) == (
        "command.refused",
        ANA,
        code,
        message,
    )
    assert place.decoys.ids == ["apr_1"]


def test_equal_refusals_do_not_fill_the_record(place: Place) -> None:
    for number in range(5):
        place.decide(Answer.REJECT, digest="sha256:other", cmd=f"cmd_{number}")
    assert place.kinds == ["decoy.shown", "command.refused"]
    place.look(90.0)
    assert place.told[-1].details == {"of": ["ana", "", "digest_mismatch"], "more": 4, "seconds": 60.0}


def test_who_may_not_decide_is_left_to_the_desk_to_refuse(place: Place) -> None:
    assert place.decide(Answer.REJECT, who=Principal(name="eve", role=Role.OBSERVER)) is None
    assert place.decoys.ids == ["apr_1"]


def test_a_grant_is_a_yes_and_the_approval_that_follows_it_counts_no_second_time(place: Place) -> None:
    granted = place.give(do=Do.GRANT, grant=ASKED, cmd="cmd_g")
    approved = place.decide(Answer.APPROVE)
    assert (granted.ok, granted.status, approved.ok, approved.status) == (True, STATUS, True, STATUS)
    assert place.kinds == ["decoy.shown", "decoy.answered"]
    assert (place.told[-1].details["answer"], place.told[-1].details["caught"]) == ("grant", False)


def test_another_operator_comes_too_late_for_one_that_is_answered(place: Place) -> None:
    place.decide(Answer.REJECT)
    res = place.decide(Answer.REJECT, who=BEN)
    assert (res.ok, res.code, res.message) == (False, "already_settled", "already rejected by ana")


def test_a_claim_is_shown_like_that_of_a_real_one_and_settles_nothing(place: Place) -> None:
    res = place.give(do=Do.CLAIM, digest=None)
    row = place.decoys.row("apr_1")
    assert (res.ok, res.status) == (True, "applied")
    assert row is not None
    assert (row.claimed_by, place.kinds, place.shown) == ("ana", ["decoy.shown"], ["apr_1", "apr_1"])


def test_a_claim_of_a_decoy_is_ended_like_that_of_a_real_one(place: Place) -> None:
    place.give(do=Do.CLAIM, digest=None, text="ana")
    place.give(do=Do.CLAIM, digest=None, text="", cmd="cmd_2")
    assert place.decoys.row("apr_1").claimed_by is None  # type: ignore[union-attr]


def test_an_answer_after_its_time_does_not_count(place: Place) -> None:
    res = place.decide(Answer.APPROVE, now=SHOWN_SECONDS)
    assert (res.ok, res.code, res.message, res.current) == (
        False,
        "already_settled",
        "it has expired",
        {"status": "expired"},
    )
    assert place.kinds == ["decoy.shown", "decoy.withdrawn", "command.refused"]


def test_what_is_about_a_real_call_is_none_of_its_business(place: Place) -> None:
    assert place.decide(Answer.REJECT, approval="apr_real") is None
    assert place.give(do=Do.GRANT, grant=ASKED, approval="apr_real") is None
    assert place.give(do=Do.CLAIM, approval="apr_real") is None
    assert place.decoys.answer(Command(cmd="cmd_2", do=Do.KILL, run="run_1"), ANA, 1.0) is None


def test_a_real_call_sends_it_away(place: Place) -> None:
    place.decoys.make_room()
    assert place.decoys.ids == []
    assert place.told[-1].details["why"] == "a real call waits"
    assert place.shown == ["apr_1", "apr_1"]


def test_one_that_nobody_answers_goes_and_counts_for_nobody(place: Place) -> None:
    place.look(SHOWN_SECONDS - 1)
    assert place.decoys.ids == ["apr_1"]
    place.look(SHOWN_SECONDS)
    assert place.decoys.ids == []
    assert place.told[-1].kind == "decoy.withdrawn"


async def test_a_console_sees_it_answers_it_and_is_told_and_no_count_of_real_calls_knows(hub: RunningHub) -> None:
    assert hub.service is not None
    inner = hub.service.parts.hub
    inner.decoys.per_day = 1.0
    async with hub.console() as console:
        await console.follow("approvals")
        show_one(inner)
        row = await console.row(lambda row: row["key"] == "apr_1")
        assert inner._gauges().approvals_pending == 0
        async with hub.http("operator") as client:
            assert [one["key"] for one in (await client.get("/v1/approvals")).json()["rows"]] == ["apr_1"]
        decided = {"approval": "apr_1", "answer": "approve", "digest": row["digest"]}
        res = await console.command(cmd="cmd_d1", do="decide", **decided)
        assert (res["status"], "DECOY" in res["message"]) == ("decoy", True)
        assert (await console.update())["gone"] == ["apr_1"]
    async with hub.http("operator") as client:
        kinds = [one["kind"] for one in (await client.get("/v1/audit?kind=decoy.*&newest=1")).json()["entries"]]
    assert kinds == ["decoy.shown", "decoy.answered"]


async def test_a_real_call_takes_its_place_at_once(hub: RunningHub) -> None:
    assert hub.service is not None
    inner = hub.service.parts.hub
    inner.decoys.per_day = 1.0
    async with hub.agent() as agent:
        await agent.begin()
        show_one(inner)
        assert inner.decoys.ids == ["apr_1"]
        await agent.emit(proposal("c1", "shell", {"command": "ls"}))
        await eventually(lambda: inner.desk.approval_ids(pending_only=True) and not inner.decoys.ids)


def digest_shown(hub: Hub) -> str:
    """What a decision on the one shown must quote."""
    row = hub.decoys.row("apr_1")
    assert row is not None
    return row.digest


async def decoy_answered(hub: RunningHub, console: ConsoleSocket) -> None:
    """A decoy is shown and refused, under `cmd_x`."""
    assert hub.service is not None
    inner = hub.service.parts.hub
    inner.decoys.per_day = 1.0
    show_one(inner)
    decided = {"approval": "apr_1", "answer": "reject", "digest": digest_shown(inner)}
    assert (await console.command(cmd="cmd_x", do="decide", **decided))["status"] == "decoy"


async def test_a_kill_under_the_id_of_an_answer_to_a_decoy_kills(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await decoy_answered(hub, console)
        res = await console.command(cmd="cmd_x", do="kill", run="run_1")
        assert (res["ok"], res["status"]) == (True, "recorded")


async def test_the_id_of_a_command_of_the_desk_answers_no_decoy(hub: RunningHub) -> None:
    assert hub.service is not None
    inner = hub.service.parts.hub
    inner.decoys.per_day = 1.0
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await console.command(cmd="cmd_x", do="kill", run="run_1")
        show_one(inner)
        res = await console.command(
            cmd="cmd_x", do="decide", approval="apr_1", answer="reject", digest=digest_shown(inner)
        )
        assert (res["ok"], res["code"], inner.decoys.ids) == (False, "idempotency_conflict", ["apr_1"])


async def test_only_who_may_decide_counts_as_being_there(hub: RunningHub) -> None:
    assert hub.service is not None
    inner = hub.service.parts.hub
    async with hub.http("admin") as client:
        asked = {"name": "eve", "role": "observer"}
        token = (await client.post("/v1/tokens", json=asked)).json()["token"]
    async with hub.console(token):
        assert (len(inner.operators), inner.deciders) == (1, set())
        async with hub.console():
            assert len(inner.deciders) == 1
        await eventually(lambda: not inner.deciders)


@pytest.mark.parametrize(
    "wrong",
    [
        {"do": "decide", "answer": "reject", "digest": "sha256:other"},
        {"do": "decide"},
        {"do": "decide", "answer": "respond"},
        {"do": "decide", "answer": "respond", "calls": [{"id": "c2", "name": "shell", "args": {}}]},
        {"do": "decide", "answer": "edit"},
        {"do": "decide", "answer": "edit", "args": {"command": "[secret:1]"}},
        {"do": "grant"},
        {"do": "grant", "grant": {"uses": 1, "seconds": 60.0}, "digest": "sha256:other"},
        {"do": "grant", "grant": {"uses": 1, "seconds": 60.0, "args": {"command": {"like": "**"}}}},
        {"do": "grant", "grant": {"uses": 1, "seconds": 60.0, "args": {"command": "[secret:1]"}}},
    ],
    ids=[
        "another-digest",
        "no-answer",
        "no-text",
        "calls",
        "no-arguments",
        "a-masked-secret",
        "no-grant",
        "grant-of-another-digest",
        "no-pattern",
        "grant-of-a-secret",
    ],
)
async def test_a_refusal_does_not_tell_a_decoy_from_a_real_call(hub: RunningHub, wrong: dict[str, Any]) -> None:
    assert hub.service is not None
    inner = hub.service.parts.hub
    inner.decoys.per_day = 1.0
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await agent.emit(proposal("c1", "shell", {"command": "ls"}))
        [real] = await eventually(lambda: inner.desk.approval_ids(pending_only=True))
        show_one(inner)
        answers = []
        for approval in (real, "apr_1"):
            row = inner.desk.approval_row(approval) or inner.decoys.row(approval)
            assert row is not None
            asked = {"digest": row.digest} | wrong
            answer = await console.command(cmd=f"cmd_{approval}", approval=approval, **asked)
            answers.append({name: answer[name] for name in ("ok", "code", "message")})
    assert answers[0] == answers[1]
    assert answers[0]["ok"] is False


# -- seals -------------------------------------------------------------------------------------------------------------


async def shown_as_it_is_due(hub: RunningHub) -> None:
    assert hub.service is not None
    parts = hub.service.parts
    parts.hub.decoys.per_day = 1.0
    planned = parts.hub.decoys.look(parts.hub.now(), **LOOK)
    assert planned is not None
    await DecoySeals(parts.hub, parts.records).show(planned)
    await told(hub, 1)


async def told(hub: RunningHub, number: int) -> list[dict[str, Any]]:
    """What the audit has of made-up calls, once it has so many entries."""
    async with asyncio.timeout(30.0), hub.http("admin") as client:
        while True:
            found: list[dict[str, Any]] = (await client.get("/v1/audit?kind=decoy.*")).json()["entries"]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.01)


async def closed_seals(hub: RunningHub) -> list[str]:
    assert hub.service is not None
    return [approval for approval, _ in await hub.service.parts.records.decoys()]


async def settled(hub: RunningHub) -> None:
    """What is left of earlier processes is opened and forgotten."""
    async with asyncio.timeout(30.0):
        while True:
            if not await closed_seals(hub):
                return
            await asyncio.sleep(0.01)


async def test_one_that_is_shown_when_the_hub_stops_is_opened(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await shown_as_it_is_due(hub)
        assert await closed_seals(hub) == ["apr_1"]
    async with running_hub(tmp_path) as hub:
        await settled(hub)
        shown, opened = await told(hub, 2)
    assert (opened["kind"], opened["why"]) == ("decoy.withdrawn", "the hub stops")
    assert sealed(opened["nonce"], opened["approval"]) == shown["commitment"]


async def test_one_that_is_shown_when_the_hub_dies_is_opened_once_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_hub(tmp_path) as hub:
        await shown_as_it_is_due(hub)
        assert hub.service is not None
        monkeypatch.setattr(hub.service.parts.hub.decoys, "withdraw", lambda _why: None)  # as one that dies does not
    for _ in range(2):
        async with running_hub(tmp_path) as hub:
            await settled(hub)
            entries = await told(hub, 2)
    assert [entry["kind"] for entry in entries] == ["decoy.shown", "decoy.withdrawn"]
    opened = {name: entries[1][name] for name in ("approval", "tool", "args", "nonce", "why")}
    part = {"tool": PARTS[0].tool, "args": PARTS[0].args}
    assert opened == {"approval": "apr_1", "nonce": NONCE, "why": STOPPED} | part


async def test_one_that_was_kept_and_never_shown_is_forgotten_without_a_word(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        assert hub.service is not None
        kept = {"approval": "apr_1", "tool": "sql", "args": {}, "nonce": NONCE, "after": 0}
        await hub.service.parts.records.keep_decoy("apr_1", json.dumps(kept))
    async with running_hub(tmp_path) as hub:
        await settled(hub)
        assert await told(hub, 0) == []


async def test_one_that_can_not_be_kept_is_not_shown(hub: RunningHub) -> None:
    class FullDisk:
        async def keep_decoy(self, _approval: str, _body: str) -> None:
            raise sqlite3.OperationalError("disk full")

    assert hub.service is not None
    inner = hub.service.parts.hub
    inner.decoys.per_day = 1.0
    planned = inner.decoys.look(inner.now(), **LOOK)
    assert planned is not None
    await DecoySeals(inner, FullDisk()).show(planned)  # type: ignore[arg-type]
    assert inner.decoys.ids == []


async def test_the_seal_of_one_that_was_answered_is_forgotten_and_opened_no_second_time(hub: RunningHub) -> None:
    await shown_as_it_is_due(hub)
    assert hub.service is not None
    parts = hub.service.parts
    async with hub.console() as console:
        decided = {"approval": "apr_1", "answer": "reject", "digest": digest_shown(parts.hub)}
        await console.command(cmd="cmd_1", do="decide", **decided)
    await told(hub, 2)
    await DecoySeals(parts.hub, parts.records).settle()
    assert await closed_seals(hub) == []
    assert [entry["kind"] for entry in await told(hub, 2)] == ["decoy.shown", "decoy.answered"]


def test_a_grant_after_its_time_is_refused(place: Place) -> None:
    res = place.give(do=Do.GRANT, grant=ASKED, now=SHOWN_SECONDS)
    assert (res.code, res.message, place.kinds) == (
        "precondition_failed",
        "the call was expired",
        ["decoy.shown", "decoy.withdrawn", "command.refused"],
    )


def test_the_time_of_an_answer_counts_from_when_it_was_shown() -> None:
    place = Place()
    place.look(100.0)
    place.decide(Answer.REJECT, now=108.0)
    assert place.told[-1].details["seconds_to_decide"] == 8.0


def test_of_the_answers_that_are_kept_the_oldest_goes_first(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoys, "ANSWERS_KEPT_MAX", 2)
    for number in range(3):
        place.give(do=Do.CLAIM, digest=None, cmd=f"cmd_{number}")
    again = [place.give(do=Do.CLAIM, digest=None, cmd=f"cmd_{number}").replayed for number in (2, 1)]
    assert again == [True, True]


async def test_one_is_not_shown_where_a_real_call_came_while_it_was_put_on_disk(hub: RunningHub) -> None:
    assert hub.service is not None
    parts = hub.service.parts
    parts.hub.decoys.per_day = 1.0
    planned = parts.hub.decoys.look(parts.hub.now(), **LOOK)
    assert planned is not None
    async with hub.agent() as agent:
        await agent.begin()
        await agent.emit(proposal("c1", "shell", {"command": "ls"}))
        await eventually(lambda: parts.hub.desk.approval_ids(pending_only=True))
        await DecoySeals(parts.hub, parts.records).show(planned)
        assert parts.hub.decoys.ids == []


async def test_a_seal_whose_opening_is_on_its_way_to_the_audit_is_not_opened_again(hub: RunningHub) -> None:
    assert hub.service is not None
    parts = hub.service.parts
    parts.hub.decoys.per_day = 1.0
    planned = parts.hub.decoys.look(parts.hub.now(), **LOOK)
    assert planned is not None
    seals = DecoySeals(parts.hub, parts.records)
    await seals.show(planned)
    shown, parts.hub.decoys._shown = parts.hub.decoys._shown, None  # over, and its entry not yet in the audit
    await seals.settle()
    parts.hub.decoys._shown = shown
    assert await closed_seals(hub) == ["apr_1"]
