"""Another model's answer where the one that was asked for cannot be had; each such step is said on the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from opsconsole.gateway.flow.breaker import FAILURES, Fallback, fallbacks_of
from opsconsole.gateway.upstream import Answer, Call, Upstream, UpstreamFailed, new_call_id

STOOD_IN_FOR = FAILURES | {429}
"""Statuses of a model that another may stand in for; the others are about the request itself."""


def standing_in(fallbacks: Iterable[Fallback], call: Call, body: Callable[[str], bytes]) -> list[Callable[[], Call]]:
    """The same call to other models, in order of preference; `body` writes it for a model."""

    def made(model: str) -> Callable[[], Call]:
        return lambda: replace(call, model=model, body=body(model), id=new_call_id())

    return [made(model) for model in fallbacks_of(fallbacks, call.provider, call.model)]


async def first_answer(
    upstream: Upstream,
    call: Call,
    instead: Iterable[Callable[[], Call]],
    note: Callable[[str, str], None],
    abandoned: Callable[[], None],
) -> tuple[Call, Answer]:
    """The beginning of the first answer that is no failure of its model, else of the last; `abandoned` is told as by
    `Upstream.ask`. Raises: UpstreamFailed."""
    following = iter(instead)
    while True:
        other = next(following, None)
        try:
            answer = await upstream.ask(call, abandoned)
        except UpstreamFailed as failed:
            if other is None or failed.timed_out:
                raise
            why = str(failed)
        else:
            if other is None or answer.status not in STOOD_IN_FOR:
                return call, answer
            why = f"it answered {answer.status}"
            answer.abort()
        before, call = call.model, other()
        note(f"{call.model} is asked in place of {before}: {why}", "warning")
