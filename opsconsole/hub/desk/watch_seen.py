"""What the desk saw of a run, as the detectors' observations; it looks for nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from pydantic_core import to_json

from opsconsole.domain.run import HELD
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.domain.usage import beyond
from opsconsole.hub.desk.state import Call, Run
from opsconsole.hub.desk.watch_state import Ended, Noted, Proposed, Retried, Said, Started, Used, Watched
from opsconsole.hub.desk.world import World
from opsconsole.policy.detectors.observation import (
    CallEnded,
    CallProposed,
    Handoff,
    Message,
    RequestEnded,
    RunStarted,
    Seen,
    TurnEnded,
    WaitBegan,
    Waited,
    WaitEnded,
    WaitHeard,
)
from opsconsole.policy.detectors.outcome import Outcome
from opsconsole.policy.detectors.proposal import chars_of, wrong_in
from opsconsole.protocol.events import UsageEvent

RunsOf = Callable[[], Mapping[str, list[str]]]
"""Agent -> its live runs; worked out when somebody asks."""
OK = 200
PROVIDERS_MAX = 32
"""Of one run."""
TURNS_USUAL_MAX = 1_000
"""Turns that one reading adds: more is no reading of turns."""
_OUR_WORD = frozenset({CallStatus.DENIED, CallStatus.KILLED})
_WAITS = {CallKind.TOOL_CALL: Waited.TOOL, CallKind.MODEL_CALL: Waited.MODEL, CallKind.HANDOFF: Waited.MESSAGE}


def seen(world: World, run: Run, watched: Watched, noted: Noted) -> list[Seen]:
    """What the detectors see of what was noted."""
    return _SEEN_OF[type(noted)](world, run, watched, noted)


def _started(_world: World, run: Run, _watched: Watched, noted: Started) -> list[Seen]:
    return [RunStarted(run=run.id, at=noted.at, agent=run.agent)]


def _proposed(_world: World, run: Run, _watched: Watched, noted: Proposed) -> list[Seen]:
    """A call is about to be made."""
    call, at = noted.call, noted.at
    if call.kind is CallKind.HANDOFF:
        return [Handoff(run=run.id, at=at, agent=run.agent, source=run.agent, target=call.target)]
    args = noted.args or {}
    call.seen_digest = call.call_digest or _digest(call, args)
    return [
        CallProposed(
            run=run.id,
            at=at,
            agent=run.agent,
            call=call.id,
            tool=call.tool,
            args_digest=call.seen_digest,
            args_count=len(args),
            args_chars=chars_of(args),
            unknown_tool=not call.is_offered,
            **wrong_in(noted.facts),
        )
    ]


def _ended(world: World, run: Run, watched: Watched, noted: Ended) -> list[Seen]:
    """A call is over: of a tool, or a turn of the model, whose usage was told before its end."""
    call, at, latency_ms = noted.call, noted.at, noted.latency_ms or 0.0
    if call.kind is CallKind.HANDOFF:
        return []
    if call.kind is CallKind.MODEL_CALL:
        return flushed(watched, at, latency_ms) + _requested(run, watched, call, at)
    digest, call.seen_digest = call.seen_digest or call.call_digest, ""  # nobody asks again: a record is written of it
    return [
        CallEnded(
            run=run.id,
            at=at,
            agent=run.agent,
            call=call.id,
            tool=call.tool,
            args_digest=digest,
            outcome=Outcome(noted.text),
            ok=call.status is CallStatus.COMPLETED,
            latency_ms=latency_ms,
            denied_by_console=call.status in _OUR_WORD,
        )
    ]


def _requested(run: Run, watched: Watched, call: Call, at: float) -> list[Seen]:
    """A turn of the model was one request, for all that its point says of the provider."""
    if call.status in _OUR_WORD:
        return []
    return [
        RequestEnded(
            run=run.id,
            at=at,
            agent=run.agent,
            provider=watched.providers.get(call.tool, call.tool),
            request_digest=call.call_digest or call.id,
            status=OK if call.status is CallStatus.COMPLETED else None,
        )
    ]


def _retried(_world: World, run: Run, watched: Watched, noted: Retried) -> list[Seen]:
    """A gateway asks a provider again: the request before it failed, and this one is the same."""
    told = noted.told
    provider, request, status = (told.get(name) for name in ("provider", "request", "status"))
    if not isinstance(provider, str) or not isinstance(request, str):
        return []
    model = told.get("model")
    if isinstance(model, str) and len(watched.providers) < PROVIDERS_MAX:
        watched.providers[model] = provider
    return [
        RequestEnded(
            run=run.id,
            at=noted.at,
            agent=run.agent,
            provider=safe_line(provider, limit=64),
            request_digest=request[:64],
            status=status if isinstance(status, int) else None,
        )
    ]


def _used(world: World, run: Run, watched: Watched, noted: Used) -> list[Seen]:
    """A reading of usage: turns have ended where it counts more of them than the last."""
    at, event, before, after = noted.at, noted.event, noted.before, noted.after
    if after.turns <= before.turns:
        return []
    new = beyond(after, watched.usage.get(event.model, before))
    watched.usage[event.model] = after
    turns = min(max(1, new.turns), TURNS_USUAL_MAX)
    awaited = flushed(watched, at, 0.0)
    window, tokens = _window(world, event), new.input_tokens // turns
    turn = TurnEnded(
        run=run.id,
        at=at,
        agent=run.agent,
        model=event.model,
        served_model=event.served_model or "",
        provider=event.provider or "",
        fingerprint=event.fingerprint or "",
        input_tokens=tokens,
        output_tokens=new.output_tokens // turns,
        cost_usd=noted.cost_usd,
        window=window if tokens <= window else 0,  # more than it holds: it is another's window, or no one turn
    )
    if not watched.tells_turns:
        return [*awaited, turn]
    watched.turn = turn
    return awaited


def flushed(watched: Watched, at: float, latency_ms: float) -> list[Seen]:
    """The turn whose end was awaited."""
    turn, watched.turn = watched.turn, None
    return [replace(turn, at=at, latency_ms=latency_ms)] if turn else []


def _said(_world: World, run: Run, _watched: Watched, noted: Said) -> list[Seen]:
    return [Message(run=run.id, at=noted.at, agent=run.agent, speaker=noted.speaker or run.agent, text=noted.text)]


_SEEN_OF: dict[type[Noted], Callable[[World, Run, Watched, Any], list[Seen]]] = {
    Started: _started,
    Proposed: _proposed,
    Ended: _ended,
    Used: _used,
    Said: _said,
    Retried: _retried,
}


def waits(run: Run, watched: Watched, now: float, runs_of: RunsOf) -> list[Seen]:
    """What changed in what the run waits for, by what is open now: nothing that was not looked at leaves one behind."""
    is_held = run.state in HELD or bool(run.pending) or run.baton is not None
    found: list[Seen] = []
    open_now: dict[str, str] = {}
    if is_held and not run.ended:
        open_now[wait := f"{run.id}/operator"] = ""
        if wait not in watched.waits:
            found.append(_began(run, wait, Waited.APPROVAL, "", now))
    for call in () if run.ended or run.state in HELD else run.open_calls.values():
        if call.status is CallStatus.RUNNING:
            on = open_now[wait := f"{run.id}/{call.id}"] = _on(run, call, runs_of)
            if watched.waits.get(wait) != on:
                found.append(_began(run, wait, _WAITS[call.kind], on, call.since))
            elif watched.is_heard and call.kind is CallKind.MODEL_CALL:
                found.append(WaitHeard(run=run.id, at=now, agent=run.agent, wait=wait))
    over = watched.waits.keys() - open_now.keys()
    watched.waits, watched.is_heard = open_now, False
    return [WaitEnded(run=run.id, at=now, agent=run.agent, wait=wait) for wait in sorted(over)] + found


def _began(run: Run, wait: str, kind: Waited, on: str, at: float) -> Seen:
    return WaitBegan(run=run.id, at=at, agent=run.agent, wait=wait, kind=kind, on=on)


def _on(run: Run, call: Call, runs_of: RunsOf) -> str:
    """Whom or what a call waits for; an agent is its run where only one live run can be meant."""
    if call.kind is not CallKind.HANDOFF:
        return call.tool
    others = [one for one in runs_of().get(call.target, ()) if one != run.id]
    family = [one for one in others if one in run.children or one == run.parent]
    meant = family or others
    return meant[0] if len(meant) == 1 else f"agent {call.target}"


def _digest(call: Call, args: dict[str, Any]) -> str:
    """Of a call that was not gated, so that its point told none: what tells it from others, in whatever order."""
    body = to_json([call.tool, *sorted(args.items(), key=itemgetter(0))], inf_nan_mode="constants")
    return blake2b(body, digest_size=16).hexdigest()


def _window(world: World, event: UsageEvent) -> int:
    window = getattr(world.price, "window", None)
    return 0 if window is None else int(window(event.provider or "", event.served_model or event.model))
