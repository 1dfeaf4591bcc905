from tests.support.hub import RunningHub

async def test_thin(hub: RunningHub):
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        assert (await console.follow("board"))["rows"][0]["run"] == "run_1"
        assert (await console.follow("approvals"))["rows"] == []
        await agent.propose(command="rm -rf /")
        row = await console.row(lambda row: row.get("approval"))
        res = await console.command(cmd="cmd_1", do="decide", approval=row["approval"], answer="approve", digest=row["digest"])
        assert res["ok"], res
        assert (await agent.next("cmd"))["outcome"] == "allow"
