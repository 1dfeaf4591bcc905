"""What of a request is told to the hub: the conversation an operator reads, what it may cost, what is new in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from opsconsole.domain.light import light_dataclass
from opsconsole.errors import CallDenied
from opsconsole.gateway.dialect.interface import Counts, Request, Said
from opsconsole.gateway.media_tokens import weighed
from opsconsole.gateway.settings import ANSWER_TOKENS
from opsconsole.policy.prices import Billed, PriceList
from opsconsole.sdk.model_request import TOOLS_MAX, shown_request

BYTES_PER_TOKEN = 4
"""A rough measure of text; what was used in truth replaces it."""
MESSAGES_SHOWN_MAX = 200
"""Of one conversation, the newest."""
NEW_TOLD_MAX = 200
"""Messages told of one request: an agent that sends a thousand at once is read in part."""
FIRST_TOLD_MAX = 20
"""Messages told of a conversation that had begun before the gateway saw it."""
CHOICES_MAX = 128
"""More answers to one request no server gives."""
_ANSWER_TOKENS_USUAL = 500
"""Of an answer whose length nobody limited, until it has told."""
_TOLD_ROLES = ("system", "user")

_DEARER_TIERS = frozenset({"priority", "fast"})
"""Asked for, they may be served; what is cheaper may not be."""
_TIER_CHARS_MAX = 40

Price = PriceList
Tell = Callable[..., None]
"""A line on the run's timeline, as `GatewayRun.note`."""


def input_tokens(request: Request) -> int:
    """Roughly; what is no text counts as the most that its provider may make of it."""
    return asked_tokens(request)[0]


def asked_tokens(request: Request) -> tuple[int, int]:
    """The same, and how many of them are sound."""
    if not request.media:
        return max(1, len(request.raw) // BYTES_PER_TOKEN), 0
    found = weighed(request)
    return max(1, len(request.raw) - found.chars) // BYTES_PER_TOKEN + found.tokens, found.sound_tokens


def expected_tokens(request: Request) -> int:
    """What a turn is thought to take of a rate limit: providers count a limit on the answer that was asked for."""
    return input_tokens(request) + (
        _ANSWER_TOKENS_USUAL if request.output_tokens_max is None else max(0, request.output_tokens_max)
    )


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """The most that a turn is expected to use."""

    model: str
    provider: str
    usd: float | None
    """None where no price is known."""
    input_tokens: int
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Both ways."""
        return self.input_tokens + self.output_tokens

    def to_json(self) -> dict[str, Any]:
        """As a proposal carries it."""
        return {"usd": self.usd, "tokens": self.tokens}


def shown(request: Request, most: Most, clamp: int | None = None, least: Most | None = None) -> dict[str, Any]:
    """The arguments of a turn's proposal: what an operator is shown who answers as the model, and the reservation.

    `least` is the part of it with which the turn can go, where its answer may be made shorter.
    """
    newest = request.conversation[-MESSAGES_SHOWN_MAX:]
    tools = [{"name": tool.name, "parameters": dict(tool.schema or {})} for tool in request.tools[:TOOLS_MAX]]
    messages = [_message(said) for said in newest]
    limited = {} if clamp is None else {"answer_tokens_max": clamp}
    told = shown_request({"model": request.model, "messages": messages, "tools": tools})
    narrowed = {} if least is None else {"least": least.to_json()}
    return told | {"reserve": most.to_json() | narrowed} | limited


def reserved(
    request: Request,
    provider: str,
    price: Price,
    answer_tokens: int = ANSWER_TOKENS,
    tell: Tell | None = None,
    *,
    context_tokens: int = 0,
) -> Most:
    """What a turn reserves; `context_tokens` is what its provider remembers of the conversation, and bills again.

    Raises: CallDenied where the settings refuse models without a price, and this is one; `tell` hears of it.
    """
    asked, sound = asked_tokens(request)
    asked += context_tokens
    answer = answer_tokens if request.output_tokens_max is None else max(0, request.output_tokens_max)
    answer *= _choices(request.body.get("n"))
    asked_tier = tier if (tier := tier_asked(request)) in _DEARER_TIERS else ""
    billed_most = Billed(
        input_tokens=asked,
        input_audio_tokens=sound,
        output_tokens=answer,
        service_tier=asked_tier,
        speed=_speed(request),
    )
    return most_of(billed_most, request.model, provider, price, tell)


def context_of(request: Request) -> str:
    """The id by which a request names what its provider remembers; empty where it names nothing."""
    given = request.body.get("conversation")
    named = given.get("id") if isinstance(given, dict) else given
    return request.previous or (named if isinstance(named, str) else "")


def _choices(given: Any) -> int:
    """How many answers are asked for; servers take a number of any kind, or one in a text."""
    if given is None:
        return 1
    try:
        return max(1, min(CHOICES_MAX, math.ceil(float(given))))
    except (TypeError, ValueError, OverflowError):
        return 1


def _speed(request: Request) -> str:
    """Anthropic: `fast` costs a multiple."""
    return "fast" if request.body.get("speed") == "fast" else ""


def most_of(billed_most: Billed, model: str, provider: str, price: Price, tell: Tell | None = None) -> Most:
    """The same in money. Raises: CallDenied, as `reserved`."""
    priced = price.turn(provider, billed_most, model)
    if priced.usd is None and price.prices.blocks:
        _refuse(model, tell)
    return Most(
        model=model,
        provider=provider,
        usd=priced.usd,
        input_tokens=billed_most.input_tokens,
        output_tokens=billed_most.output_tokens,
    )


def _refuse(model: str, tell: Tell | None) -> NoReturn:
    reason = f"No price is known for {model or 'this model'}, and the settings refuse models without one."
    if tell is not None:
        tell(reason, "error", once=f"unpriced {model}")
    raise CallDenied(reason, call="", by="gateway", rule="unpriced")


def tier_asked(request: Request) -> str:
    """The service tier that a request asks for; empty where it does not."""
    tier = request.body.get("service_tier")
    return tier[:_TIER_CHARS_MAX] if isinstance(tier, str) else ""


def estimated(request: Request) -> Counts:
    """What a request is thought to have used, where its provider did not live to tell."""
    tokens, sound = asked_tokens(request)
    return Counts(input_tokens=tokens, input_audio_tokens=sound, service_tier=tier_asked(request))


def news(request: Request, *, first: bool) -> Iterator[tuple[int, str, str]]:
    """(place, role, text) of what the last answer of the model does not know yet; of a first request, all of it."""
    said = request.conversation
    known = 0 if first else _after_answer(said)
    start = max(known, len(said) - (FIRST_TOLD_MAX if first else NEW_TOLD_MAX))
    for place in range(start, len(said)):
        one = said[place]
        if one.role in _TOLD_ROLES and one.text:
            yield place, one.role, one.text


def _after_answer(said: tuple[Said, ...]) -> int:
    for place in range(len(said), 0, -1):
        if said[place - 1].role == "assistant":
            return place
    return 0


def _message(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": said.role, "content": said.text}
    if said.calls:
        message["tool_calls"] = [{"id": one.id, "name": one.name, "args": one.args} for one in said.calls]
    if said.call:
        message["tool_call_id"] = said.call
    return message
