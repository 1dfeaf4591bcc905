"""Tools that a provider runs: nobody can hold their calls, so it is decided once a run whether they are offered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.errors import CallDenied, CallInterrupted
from opsconsole.gateway.dialect.interface import Request, ToolOffer
from opsconsole.gateway.holding import Wait
from opsconsole.gateway.live import PROVIDER_TOOLS, GatewayRun
from opsconsole.gateway.offers import note_offers
from opsconsole.gateway.settings import ProviderTools
from opsconsole.sdk.calls import Answered, Ask, Call, checked
from opsconsole.sdk.new_ids import new_id

PROVIDER_TOOL = "provider_tool"
"""What the call is named by which a person, or a policy, is asked."""
RULINGS_MAX = 500
"""Of one run; a tool beyond them is asked about each time."""
SECRETS = frozenset({"authorization", "authorization_token", "headers", "api_key"})
"""Of a definition: neither shown nor compared, for they change."""
LEVELS_MAX = 12
PASSING = frozenset({"expired", "gate:expired", "hub_lost", "hub_refused", "journal", "call_id"})
"""Rules of refusals that are not a word on the tool: it is asked about again."""


_ALL_OFFERED: frozenset[str] = frozenset()


def provider_offers(request: Request) -> list[ToolOffer]:
    """What of a request the provider would run itself."""
    return [tool for tool in request.tools if tool.runs_at == "provider"]


async def not_offered(run: GatewayRun, request: Request, mode: ProviderTools, wait: Wait) -> frozenset[str]:
    """The names of the tools to take out of a request, each said on the run.

    Raises: CallDenied, for a stored prompt that may not be used; RunStopped, and what `wait` raises.
    """
    if not request.tools:
        return _ALL_OFFERED
    note_offers(run, request)
    refused: set[str] = set()
    for offer in provider_offers(request) if mode != "allow" else ():
        if mode == "ask" and not run.live.session.holder and await _is_allowed(run, request, offer, wait):
            continue
        if offer.is_needed:
            why = "A prompt stored at the provider may bring tools that run there and can't be held"
            raise CallDenied(f"{why}: {offer.name} is refused.", call="", by="gateway", rule=PROVIDER_TOOL)
        refused.add(offer.name)
        text = f"{offer.name} runs at the provider and can't be held: it is not offered"
        run.note(text, "warning", once=offer.name)
    return frozenset(refused)


async def _is_allowed(run: GatewayRun, request: Request, offer: ToolOffer, wait: Wait) -> bool:
    definition = _without_secrets(offer.definition, LEVELS_MAX)
    key = hashlib.sha256(json.dumps([offer.name, definition], sort_keys=True).encode()).hexdigest()
    known = run.provider_tools.get(key)
    if known is not None:
        return known
    args = {"tool": offer.name, "model": request.model, "definition": definition}
    allowed, is_final = await _asked(run, args, wait)
    if is_final and len(run.provider_tools) < RULINGS_MAX:
        run.provider_tools[key] = allowed
        with contextlib.suppress(sqlite3.Error):  # a later process asks again
            run.live.journal.put(PROVIDER_TOOLS, json.dumps(run.provider_tools))
    return allowed


async def _asked(run: GatewayRun, args: dict[str, Any], wait: Wait) -> tuple[bool, bool]:
    """Whether it may be offered, and whether that holds until the run ends."""
    reason = "It runs at the provider: what it does there nobody can hold. The answer holds until the run ends."
    ask = Ask(
        kind=CallKind.TOOL_CALL, name=PROVIDER_TOOL, args=args, call=new_id("call"), risk=Risk.HIGH, reason=reason
    )
    try:
        call = run.calls.propose(ask)
        assert isinstance(call, Call)  # its id is new
        call.keep_result = False
        try:
            decision = checked(await wait(call.decided), lambda _: "a provider's tool is allowed or refused as it is")
        except BaseException:
            run.calls.withdraw(call)
            raise
        begun = run.calls.begin(call, decision)
    except CallInterrupted:
        return False, False
    except CallDenied as denied:
        return False, denied.rule not in PASSING
    if isinstance(begun, Answered):
        return False, True
    run.calls.completed(call, None, text="It may be offered until the run ends.")
    return True, True


def _without_secrets(value: Any, levels: int) -> Any:
    """The definition as it is shown; what is nested too deep is not told apart, nor allowed by an earlier answer."""
    if levels < 0:
        return f"[nested deeper than {LEVELS_MAX} levels: {hashlib.sha256(repr(value).encode()).hexdigest()}]"
    if isinstance(value, Mapping):
        return {key: _shown(key, one, levels) for key, one in value.items()}
    return [_without_secrets(one, levels - 1) for one in value] if isinstance(value, list) else value


def _shown(key: str, value: Any, levels: int) -> Any:
    if key not in SECRETS:
        return _without_secrets(value, levels - 1)
    return {"names": sorted(value)} if isinstance(value, Mapping) else "[kept back]"
