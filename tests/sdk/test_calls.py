"""Calls through the gate, against a hub on a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opsconsole.domain.digest import call_digest
from opsconsole.protocol.limits import ARGS_BYTES_MAX
from opsconsole.sdk import CallDenied, NoCurrentRun, current_run, guard
from tests.sdk.conftest import Connect
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, deny, silent


async def query(q: str) -> str:
    return f"rows of {q}"


async def test_an_allowed_call_runs_and_is_recorded_from_proposal_to_result(
    connect: Connect, fake_hub: FakeHub
) -> None:
    async with connect() as hub, hub.run(agent="researcher", name="batch 88", labels={"team": "ops"}) as run:
        assert await run.tool("sql", {"q": "orders"}, query, risk="high", reason="to count them") == "rows of orders"
    record = fake_hub.only()
    assert record.states() == ["working", "completed"]
    proposed, running, completed = record.of("tool")
    assert (proposed["status"], proposed["gate"], proposed["args"]) == ("proposed", True, {"q": "orders"})
    assert proposed["digest"] == call_digest("sql", {"q": "orders"})
    assert (proposed["risk"], proposed["reason"]) == ("high", "to count them")
    assert (running["status"], running["verdict"]) == ("running", record.commands[0].cmd)
    assert (completed["status"], completed["result"]) == ("completed", "rows of orders")
    assert [(res.status, res.ok) for res in fake_hub.results] == [("applied", True)]


async def test_a_run_says_who_it_is(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="researcher", name="batch 88", labels={"team": "ops"}):
        pass
    (described,) = fake_hub.only().of("run")
    told = {name: described[name] for name in ("agent", "name", "labels", "on_hub_lost")}
    assert told == {
        "agent": "researcher",
        "name": "batch 88",
        "labels": {"team": "ops"},
        "on_hub_lost": {"gate": "wait", "run": "continue"},
    }


async def test_a_denied_call_does_not_run_and_the_agent_reads_why(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = deny("refunds are closed")
    ran = []
    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(CallDenied, match="refunds are closed") as denied:
            await run.tool("refund", {"id": 7}, lambda id: ran.append(id))
    assert (denied.value.by, denied.value.rule, ran) == ("ann", "test", [])
    assert fake_hub.only().statuses() == ["proposed", "denied"]


async def test_a_missing_decision_never_executes(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = silent
    ran = []
    async with connect() as hub, hub.run(agent="a") as run:
        call = asyncio.create_task(run.tool("refund", {"id": 7}, lambda id: ran.append(id)))
        await fake_hub.seen(lambda: fake_hub.runs and fake_hub.only().statuses() == ["proposed"])
        fake_hub.cut()
        await fake_hub.seen(lambda: len(fake_hub.hellos) > 1)
        assert not call.done()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert ran == []
    assert fake_hub.only().statuses() == ["proposed", "denied"]


async def test_an_edited_call_runs_with_the_edited_arguments_and_no_others(connect: Connect, fake_hub: FakeHub) -> None:
    edited = {"q": "orders limit 10"}
    fake_hub.verdict = lambda event: {"outcome": "allow", "args": edited, "digest": call_digest("sql", edited)}
    async with connect() as hub, hub.run(agent="a") as run:
        assert await run.tool("sql", {"q": "orders"}, query) == "rows of orders limit 10"


async def test_an_edit_the_function_cannot_take_is_refused_before_anything_runs(
    connect: Connect, fake_hub: FakeHub
) -> None:
    edited = {"wrong": 1}
    fake_hub.verdict = lambda event: {"outcome": "allow", "args": edited, "digest": call_digest("sql", edited)}
    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(CallDenied, match="do not fit") as denied:
            await run.tool("sql", {"q": "orders"}, query)
    assert denied.value.rule == "arguments"
    assert [(res.status, res.code) for res in fake_hub.results] == [("void", "arguments")]


async def test_a_verdict_over_other_arguments_is_void_and_nothing_runs(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = lambda event: {"outcome": "allow", "digest": call_digest("sql", {"q": "something else"})}
    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(CallDenied, match="other arguments"):
            await run.tool("sql", {"q": "orders"}, query)
    assert fake_hub.only().statuses() == ["proposed", "denied"]
    assert [(res.status, res.code) for res in fake_hub.results] == [("void", "digest_mismatch")]


async def test_arguments_changed_after_the_proposal_do_not_run(connect: Connect, fake_hub: FakeHub) -> None:
    args: dict[str, Any] = {"ids": [1]}

    def tamper(event: dict[str, Any]) -> dict[str, Any]:
        args["ids"].append(2)
        return {"outcome": "allow", "digest": event["digest"]}

    fake_hub.verdict = tamper
    async with connect() as hub, hub.run(agent="a") as run:
        assert await run.tool("delete", args, lambda ids: ids) == [1]


async def test_an_operators_answer_stands_as_the_result(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = lambda event: {"outcome": "answer", "text": "42 rows, I looked"}
    ran = []
    async with connect() as hub, hub.run(agent="a") as run:
        assert await run.tool("sql", {"q": "x"}, lambda q: ran.append(q)) == "42 rows, I looked"
    assert (ran, fake_hub.only().statuses()) == ([], ["proposed", "completed"])


async def test_a_failing_call_raises_its_own_error_and_is_recorded_as_failed(
    connect: Connect, fake_hub: FakeHub
) -> None:
    def broken(q: str) -> None:
        raise ValueError(f"no table {q}")

    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(ValueError, match="no table x"):
            await run.tool("sql", {"q": "x"}, broken)
    assert fake_hub.only().of("tool")[-1]["error"] == "ValueError: no table x"


async def test_a_synchronous_tool_leaves_the_agents_loop_alive(connect: Connect, fake_hub: FakeHub) -> None:
    turned = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tool(q: str) -> bool:
        asyncio.run_coroutine_threadsafe(_set(turned), loop).result(TIME_LIMIT_SECONDS)
        return turned.is_set()

    async with connect() as hub, hub.run(agent="a") as run:
        assert await run.tool("sql", {"q": "x"}, tool) is True


async def _set(event: asyncio.Event) -> None:
    event.set()


@pytest.mark.parametrize(
    "args",
    [{"x": "y" * (ARGS_BYTES_MAX + 1)}, {"x": float("nan")}, {"x": "\ud800"}, {"x": object()}],
    ids=["large", "nan", "surrogate", "object"],
)
async def test_arguments_that_nobody_could_be_shown_are_denied_here_and_recorded(
    connect: Connect, fake_hub: FakeHub, args: dict[str, Any]
) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(CallDenied) as denied:
            await run.tool("sql", args, lambda x: x)
    assert denied.value.rule == "arguments"
    (event,) = fake_hub.only().of("tool")
    assert (event["status"], event["name"], list(event["args"])) == ("denied", "sql", ["preview"])
    assert len(event["args"]["preview"]) <= 2_000


async def test_a_large_result_is_cut_in_the_record_and_whole_for_the_agent(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        assert len(await run.tool("read", {}, lambda: "\x00" * 10_000_000)) == 10_000_000
    assert fake_hub.only().of("tool")[-1]["result"].endswith("more bytes left out")


async def test_a_call_given_up_by_the_agent_is_withdrawn(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = silent
    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run.tool("sql", {"q": "x"}, query)
    assert fake_hub.only().of("tool")[-1]["error"] == "The agent gave the call up."


async def test_an_allow_that_meets_an_agent_that_gave_up_is_void(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = silent
    ran: list[int] = []
    async with connect() as hub, hub.run(agent="a") as run:
        call = asyncio.create_task(run.tool("sql", {"n": 1}, lambda n: ran.append(n)))
        proposed = (await fake_hub.seen(lambda: fake_hub.only().of("tool")))[0]
        cmd = fake_hub.send(run.id, "verdict", call=proposed["id"], outcome="allow", digest=proposed["digest"])
        fake_hub.wait(lambda: fake_hub.only().acked_cseq)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert (ran, call.cancelled(), fake_hub.result(cmd).status) == ([], True, "void")


async def test_the_same_call_id_never_runs_twice(connect: Connect, fake_hub: FakeHub) -> None:
    ran = []
    async with connect() as hub, hub.run(agent="a") as run:
        first = await run.tool("pay", {"n": 1}, lambda n: ran.append(n) or "paid", id="toolu_1")
        second = await run.tool("pay", {"n": 1}, lambda n: ran.append(n) or "paid", id="toolu_1")
    assert (first, second, ran) == ("paid", "paid", [1])


async def test_a_call_id_used_for_other_arguments_is_denied(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        await run.tool("pay", {"n": 1}, lambda n: n, id="toolu_1")
        with pytest.raises(CallDenied, match="other arguments"):
            await run.tool("pay", {"n": 1_000}, lambda n: n, id="toolu_1")


async def test_a_guarded_function_is_shown_with_its_arguments_by_name(connect: Connect, fake_hub: FakeHub) -> None:
    class Shop:
        @guard(name="refund", risk="high", reason="customer asked")
        def refund(self, order: int, *notes: str, amount: float = 1.5, **more: str) -> list[Any]:
            return [order, list(notes), amount, more]

    async with connect() as hub, hub.run(agent="a"):
        assert await Shop().refund(7, "late", amount=2.5, channel="mail") == [7, ["late"], 2.5, {"channel": "mail"}]
    proposed = fake_hub.only().of("tool")[0]
    assert proposed["args"] == {"order": 7, "notes": ["late"], "amount": 2.5, "more": {"channel": "mail"}}
    assert (proposed["name"], proposed["risk"], proposed["reason"]) == ("refund", "high", "customer asked")


async def test_a_guarded_coroutine_function_is_held_too(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = deny()
    async with connect() as hub, hub.run(agent="a"):
        with pytest.raises(CallDenied):
            await guard(query)("orders")


async def test_a_guarded_function_does_not_run_outside_of_a_run() -> None:
    ran = []
    with pytest.raises(NoCurrentRun):
        await guard(lambda x: ran.append(x))(1)
    assert (ran, current_run()) == ([], None)


async def test_a_handoff_names_its_target_and_its_child_names_its_parent(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="planner") as run:

        async def write(topic: str) -> str:
            async with hub.run(agent="writer"):
                return f"on {topic}"

        assert await run.handoff("writer", {"topic": "refunds"}, write) == "on refunds"
        parent = run.id
    proposed = fake_hub.run_of("planner").of("tool")[0]
    assert (proposed["kind"], proposed["name"], proposed["target"]) == ("handoff", "handoff", "writer")
    assert proposed["args"] == {"to": "writer", "args": {"topic": "refunds"}}
    assert fake_hub.run_of("writer").of("run")[0]["parent"] == parent


async def test_an_edit_of_a_handoff_may_not_change_its_target(connect: Connect, fake_hub: FakeHub) -> None:
    edited = {"to": "someone else", "args": {"topic": "x"}}
    fake_hub.verdict = lambda event: {"outcome": "allow", "args": edited, "digest": call_digest("handoff", edited)}
    async with connect() as hub, hub.run(agent="planner") as run:
        with pytest.raises(CallDenied, match="not its target"):
            await run.handoff("writer", {"topic": "refunds"}, lambda topic: topic)


async def test_many_calls_at_once_each_get_their_own_verdict(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        results = await asyncio.gather(*(run.tool("sql", {"q": str(n)}, query) for n in range(50)))
    assert results == [f"rows of {n}" for n in range(50)]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_tool_that_raises_stop_iteration_fails_and_hangs_nobody(
    connect: Connect, fake_hub: FakeHub, is_async: bool
) -> None:
    def first() -> Any:
        return next(iter([]))

    async def first_later() -> Any:
        return first()

    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(RuntimeError, match="StopIteration"):
            async with asyncio.timeout(TIME_LIMIT_SECONDS):
                await run.tool("read", {}, first_later if is_async else first)
        assert run._live.session.executing == set()
    assert fake_hub.only().statuses()[-1] == "failed"


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_reply_whose_usage_cannot_be_read_has_still_ended(
    connect: Connect, fake_hub: FakeHub, is_async: bool
) -> None:
    def unread(reply: Any) -> Any:
        raise KeyError("usage")

    async def reply(request: dict[str, Any]) -> str:
        return "hello"

    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(KeyError, match="usage"):
            await run.model_call({"model": "m"}, reply if is_async else lambda request: "hello", usage=unread)
        assert run._live.session.executing == set()
    assert fake_hub.only().statuses()[-1] == "completed"


async def test_what_the_wire_would_refuse_is_refused_in_the_agents_face(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(ValueError, match="a note's level is one of debug, info, warning, error, not 'loud'"):
            await run.note("x", level="loud")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"a message's role is one of user, .*, not 'tool'"):
            await run.message("tool", "x")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'tool'"):
            await run.message("tool", append="x")  # type: ignore[arg-type]
    assert [event["type"] for event in fake_hub.only().events] == ["run", "state", "state"]
