"""What an event costs a hub's CPU on this machine now: a desk fed for a moment with a usual run's events; no disk."""

from __future__ import annotations

import json
import time
from typing import Any

from opsconsole.domain.command import Role
from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.desk.effects import Store
from opsconsole.hub.desk.principal import Principal
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.prices import PriceList
from opsconsole.policy.redaction import masker
from opsconsole.protocol.frames import Hello, HelloRun
from opsconsole.protocol.quick import EVENT_FRAMES, read

FRAMES = 150
EVENTS_A_FRAME = 4
ROUNDS = 3
"""The quickest counts: what else runs on the machine only ever adds."""
_RUN, _CONN = "run_calibration", "calibration"


def seconds_per_event() -> float:
    """CPU seconds for each event that a hub takes in, decoded and judged."""
    return min(_round() for _ in range(ROUNDS))


def _round() -> float:
    desk = Desk(epoch="calibration", policy=DefaultPolicy(), price=PriceList(), mask=masker(b"calibration"))
    who = Principal(name="calibration", role=Role.AGENT, token_id="none", origin="", client="", agent_prefix=None)
    hello = Hello(point="sdk", runs=[HelloRun(run=_RUN, gen="g1")])
    desk.agent_hello(_CONN, who, hello, 1.0)
    frames = [_frame(number) for number in range(FRAMES)]
    began = time.process_time()
    for number, data in enumerate(frames):
        frame = read(data, "agent_to_hub")
        now = 2.0 + number
        if isinstance(frame, EVENT_FRAMES):
            for effect in desk.agent_frame(_CONN, frame, data, now):
                if isinstance(effect, Store):
                    desk.stored(effect.token, number + 1, now)
            desk.run_row(_RUN)
    return (time.process_time() - began) / (FRAMES * EVENTS_A_FRAME)


def _frame(number: int) -> bytes:
    first = number * EVENTS_A_FRAME + 1
    tokens = 1_000 * (number + 1)
    events: list[dict[str, Any]] = [
        {"type": "message", "role": "assistant", "text": "I look at the next file and change what is wrong. " * 4},
        {"type": "tool", "id": f"call_{number}", "name": "read_file", "status": "running", "args": {"path": "a/b.py"}},
        {"type": "tool", "id": f"call_{number}", "name": "read_file", "status": "completed", "result": "x = 1\n" * 40},
        {
            "type": "usage",
            "model": "gpt-4o",
            "provider": "openai",
            "turns": number + 1,
            "input_tokens": tokens,
            "output_tokens": number + 1,
        },
    ]
    if number == 0:
        events[0] = {"type": "run", "agent": "calibration"}
    stamped = [{"seq": first + place, "ts": 1.0, **event} for place, event in enumerate(events)]
    return json.dumps({"t": "event", "run": _RUN, "gen": "g1", "events": stamped}).encode()
