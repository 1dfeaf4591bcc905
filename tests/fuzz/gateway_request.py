"""Fuzz target: whatever a client sends is a request or a refusal, and goes upstream as it was where nothing changes."""

from __future__ import annotations

import json

from opsconsole.gateway.attribution import route
from opsconsole.gateway.coverage import covered
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import BadRequest, Changes
from opsconsole.gateway.provider_tools import provider_offers
from opsconsole.gateway.request_body import BodyRefused, decoded
from opsconsole.gateway.told import news, reserved, shown
from opsconsole.policy.prices import PriceList
from tests.fuzz.gateway_answer import BODIES, MODEL

CALL = {"id": "call_1", "type": "function", "function": {"name": "shell", "arguments": '{"cmd": "ls"}'}}
HISTORY = [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1"}]
SEEDS = [
    *(json.dumps({"model": MODEL, "stream": True} | body).encode() for body in BODIES.values()),
    json.dumps({"model": MODEL, "messages": HISTORY, "tools": [{"type": "web_search"}], "n": 2}).encode(),
    b"/r/run_1/agent/openai/v1/chat/completions",
    b"/anthropic/v1/messages?beta=true",
]


PRICES = PriceList()


def fuzz_one(data: bytes) -> None:
    """Raise when anything but a refusal comes of the bytes."""
    found = route(data.decode("ascii", "replace"))
    if found is not None:
        covered(found.provider, "POST", found.rest)
    try:
        decoded(data, "gzip" if len(data) % 2 else "deflate")
    except BodyRefused:
        pass
    for dialect in DIALECTS.values():
        try:
            request = dialect.read(data)
        except BadRequest:
            continue
        shown(request, reserved(request, dialect.provider, PRICES))
        list(news(request, first=True))
        drop = frozenset(offer.name for offer in provider_offers(request))
        dialect.forwarded(request, Changes(injected=["Stop."], drop_tools=drop))
        dialect.answer(request)
