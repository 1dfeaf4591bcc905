"""One sample of every frame and every event, for tests that must not leave one out."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

EVENTS: dict[str, dict[str, Any]] = {
    "run": {
        "seq": 1,
        "ts": 1.5,
        "type": "run",
        "agent": "worker",
        "parent": "run_0",
        "labels": {"team": "billing"},
        "caps": ["hold", "pause"],
        "on_hub_lost": {"gate": "allow", "allow_risk_max": "low", "run": "stop", "lease_seconds": 30.0},
    },
    "state": {"seq": 2, "ts": 1.5, "type": "state", "state": "failed", "exit": {"code": 1, "last_output": ["oops"]}},
    "message": {"seq": 3, "ts": 1.5, "type": "message", "id": "m1", "role": "assistant", "append": "hé\n"},
    "tool": {
        "seq": 4,
        "ts": 1.5,
        "type": "tool",
        "id": "c1",
        "name": "sql",
        "status": "proposed",
        "gate": True,
        "args": {"query": "x", "limit": None, "deep": [{"a": 1.5}]},
        "digest": "sha256:0",
        "risk": "high",
    },
    "usage": {"seq": 5, "ts": 1.5, "type": "usage", "model": "gpt", "turns": 3, "input_tokens": 7},
    "note": {"seq": 6, "ts": 1.5, "type": "note", "text": "hello", "data": {"id": "k1"}},
}
"""type -> an event that an agent may author."""

HELLO_RUN = {"run": "run_1", "gen": "g1", "seq": 3, "cseq": 2, "state": "working", "held": True}
BEAT = {"t": "beat", "n": 1, "now": 2.5, "echo": 1.5, "busy": "sql"}
BYE = {"t": "bye", "code": 1012, "reason": "restart", "reconnect": True, "after_ms": 100}
RES = {"t": "res", "cmd": "cmd_1", "ok": True, "status": "applied", "run": "run_1", "proof": "process", "killed": [7]}
COMMAND = {
    "t": "cmd",
    "cmd": "cmd_1",
    "do": "decide",
    "approval": "apr_1",
    "answer": "edit",
    "digest": "sha256:0",
    "args": {"query": "y", "limit": None},
    "if": {"state": ["working"], "epoch": 1},
    "ttl_seconds": 5.0,
}
POINT_COMMAND = {
    "t": "cmd",
    "cmd": "cmd_1",
    "run": "run_1",
    "cseq": 4,
    "do": "verdict",
    "by": "ana",
    "call": "c1",
    "outcome": "allow",
    "digest": "sha256:0",
    "args": {"query": "y", "limit": None},
    "granted": {"usd": 0.25, "tokens": 700},
}
ACK = {"t": "ack", "run": "run_1", "seq": 4, "want": 5}

FRAMES: dict[str, dict[str, dict[str, Any]]] = {
    "agent_to_hub": {
        "hello": {"t": "hello", "client": "sdk", "point": "sdk", "proc": {"host": "h", "pid": 1}, "runs": [HELLO_RUN]},
        "attach": {"t": "attach", "runs": [HELLO_RUN]},
        "detach": {"t": "detach", "run": "run_1"},
        "event": {"t": "event", "run": "run_1", "gen": "g1", "events": list(EVENTS.values())},
        "ack": {"t": "ack", "run": "run_1", "cseq": 4},
        "res": RES,
        "beat": BEAT,
        "bye": BYE,
    },
    "operator_to_hub": {
        "hello": {"t": "hello", "client": "console"},
        "sub": {"t": "sub", "sub": "b", "view": "run", "run": "run_1", "epoch": "e", "rev": 4},
        "look": {"t": "look", "run": "run_1", "approval": "ap_1"},
        "ack": {"t": "ack", "sub": "b", "rev": 4},
        "cmd": COMMAND,
        "beat": BEAT,
        "bye": BYE,
    },
    "hub_to_agent": {
        "welcome": {
            "t": "welcome",
            "epoch": "e",
            "conn": "c",
            "principal": "bot",
            "role": "agent",
            "beat_seconds": 10.0,
            "time": 1.5,
            "acked": {"run_1": 3},
        },
        "ack": ACK,
        "cmd": POINT_COMMAND,
        "beat": BEAT,
        "bye": BYE,
        "err": {"t": "err", "code": "forbidden", "message": "no", "ref": "run_1"},
    },
    "hub_to_operator": {
        "welcome": {
            "t": "welcome",
            "epoch": "e",
            "conn": "c",
            "principal": "ana",
            "role": "operator",
            "beat_seconds": 10.0,
            "time": 1.5,
        },
        "snap": {"t": "snap", "sub": "b", "epoch": "e", "part": 0, "end": True, "rev": 3, "rows": [{"key": "run_1"}]},
        "delta": {"t": "delta", "sub": "b", "from_rev": 3, "rev": 4, "rows": [{"key": "run_1"}], "gone": ["run_2"]},
        "res": {"t": "res", "cmd": "cmd_1", "ok": False, "code": "digest_mismatch", "current": {"digest": "d"}},
        "beat": BEAT,
        "bye": BYE,
        "err": {"t": "err", "code": "bad", "message": "no"},
    },
}
"""direction -> frame type -> a sample."""

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
"""Whatever JSON has, not deep."""
