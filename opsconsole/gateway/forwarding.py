"""What goes upstream for a turn: the request as settings, operators and its run's history change it; it sends none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from opsconsole.domain.light import light_dataclass
from opsconsole.gateway.dialect.interface import Changes, Dialect, Request
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.narrowing import ANSWER_TOKENS_LEAST, Narrowing
from opsconsole.gateway.output import Headers
from opsconsole.gateway.patience import Patience
from opsconsole.gateway.settings import GatewaySettings
from opsconsole.gateway.stand_in import standing_in
from opsconsole.gateway.told import Most, Price, context_of, expected_tokens, reserved
from opsconsole.gateway.upstream import Call

CUT_WORDS = frozenset({"length", "max_tokens", "incomplete"})
"""How the APIs say that an answer ended at its longest."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Where a request goes."""

    provider: str
    url: str
    headers: Headers


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One turn on its way."""

    call: Call
    instead: list[Callable[[], Call]]
    """The same to models that may stand in, in order."""


def outgoing(
    run: GatewayRun,
    dialect: Dialect,
    request: Request,
    errand: Errand,
    settings: GatewaySettings,
    *,
    drop: frozenset[str],
    clamp: int | None,
    patience: Patience | None,
) -> Outgoing:
    """`drop`: tools that are not offered; `clamp`: the longest answer in tokens, where the request sets none."""
    changes = Changes(
        injected=run.live.injected(), drop_tools=drop, edited=dict(run.splices.notes), output_tokens_max=clamp
    )
    whole = run.splices.restored(request)
    call = Call(
        provider=errand.provider,
        url=errand.url,
        method="POST",
        headers=errand.headers,
        body=dialect.forwarded(whole, changes),
        run=run.id,
        model=request.model,
        tokens=expected_tokens(request),
        patience=patience,
    )
    if not settings.fallbacks:
        return Outgoing(call=call, instead=[])
    instead = standing_in(settings.fallbacks, call, lambda name: dialect.forwarded(whole, replace(changes, model=name)))
    return Outgoing(call=call, instead=instead)


def clamp_of(run: GatewayRun, request: Request, settings: GatewaySettings) -> int | None:
    """The longest answer that the turn's reservation covers, where a budget applies and the request sets no limit."""
    if request.output_tokens_max is not None or not settings.clamp or run.live.is_unlimited:
        return None
    run.note(
        f"Answers of {request.model or 'the model'} end at {settings.answer_tokens:,} tokens where a request sets no "
        "limit: more is not reserved of the run's budget (gateway.clamp, gateway.answer_tokens)",
        once=f"clamp {request.model}",
    )
    return settings.answer_tokens


def most_of_turn(
    run: GatewayRun, dialect: Dialect, request: Request, price: Price, settings: GatewaySettings
) -> tuple[Most, Narrowing | None]:
    """What a turn reserves, with what its provider remembers of the run; and how it may go with less, unless the
    request itself says how long its answer may be. Raises: CallDenied, as `reserved`."""
    remembered, longest = run.contexts.get(context_of(request), 0), settings.answer_tokens

    def reserves(answer_tokens: int) -> Most:
        return reserved(request, dialect.provider, price, answer_tokens, run.note, context_tokens=remembered)

    is_fixed = request.output_tokens_max is not None or not settings.clamp or longest <= ANSWER_TOKENS_LEAST
    return reserves(longest), None if is_fixed else Narrowing(reserves=reserves, answer_tokens=longest)


def note_context(run: GatewayRun, request: Request, id: str, tokens: int) -> None:
    """A whole answer of so many tokens, with its request: who continues from it pays for them again."""
    run.remembered_upstream(id, tokens)
    if not request.previous:
        run.remembered_upstream(context_of(request), tokens)


def note_cut(run: GatewayRun, clamp: int | None, finish: str) -> None:
    """Says so of an answer that ended because of the clamp."""
    if clamp is not None and finish in CUT_WORDS:
        run.note(f"This answer was cut: it reached the {clamp:,} tokens it had reserved", "warning")
