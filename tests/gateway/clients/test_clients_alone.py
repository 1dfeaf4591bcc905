"""The clients and the scripted upstream without a gateway: where these fail, no other client test means anything."""

from __future__ import annotations

import pytest

from tests.gateway.clients.casts import EVERYBODY, Client, played_by
from tests.gateway.clients.stage import Stage, plays
from tests.support.model_script import Call, Delivery, Turn

pytestmark = [pytest.mark.process, pytest.mark.slow]

TORN = Delivery(cut="torn", newline="\r\n", comments=True)


@played_by(EVERYBODY)
@plays
async def test_a_client_understands_the_scripted_upstream(stage: Stage, client: Client) -> None:
    calls = [Call(name="shell", args={"command": "écho 👋"}), Call(name="read_file", args={"path": "a"})]
    agent = await stage.agent(
        **client.task,
        turns=[Turn(text="Grüße, 世界 👋", calls=calls, delivery=TORN), Turn(text="Done.")],
        by="upstream",
    )
    end = await agent.succeeds()
    assert end["texts"] == ["Grüße, 世界 👋", "Done."]
    assert end["ran"] == [["shell", {"command": "écho 👋"}], ["read_file", {"path": "a"}]]
    assert not client.streams or agent.words == "Grüße, 世界 👋Done."
    assert [call.status for call in stage.calls(agent)] == [200, 200]
