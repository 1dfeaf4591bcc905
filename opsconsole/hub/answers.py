"""What HTTP handlers share: reading bounded bodies and parameters, and answers in one shape; it routes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from opsconsole.domain.ids import is_id
from opsconsole.hub.admission import Refusal
from opsconsole.protocol.limits import FRAME_BYTES_MAX

Body = TypeVar("Body", bound=BaseModel)
BODY_SECONDS_MAX = 30.0
"""A body of the largest size crosses any usable link in this time."""
_TRUE = frozenset({"1", "true", "yes"})


def answer(value: Any, status: int = 200) -> Response:
    """JSON; values that JSON has no word for become null."""
    return Response(to_json(value, inf_nan_mode="null"), status_code=status, media_type="application/json")


def spliced(name: str, texts: Iterable[str], **fields: Any) -> Response:
    """`fields` and a list of texts that are JSON already."""
    head = to_json(fields)[:-1]
    comma = b"," if fields else b""
    body = head + comma + f'"{name}":['.encode() + ",".join(texts).encode() + b"]}"
    return Response(body, media_type="application/json")


def failure(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


def not_found(what: str) -> Refusal:
    """There is no such thing."""
    return Refusal(status=404, code="not_found", message=what)


def bad(message: str) -> Refusal:
    """The request makes no sense."""
    return Refusal(status=422, code="bad_request", message=message)


async def read_body(request: Request, limit: int = FRAME_BYTES_MAX) -> bytes:
    """The whole body. Raises: Refusal (413) when it is larger than `limit` bytes."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise Refusal(status=413, code="too_large", message=f"at most {limit} bytes")
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(status=408, code="too_slow", message="the body did not come in time") from None
    except ClientDisconnect:
        raise Refusal(status=400, code="incomplete", message="the body ended early") from None
    return b"".join(chunks)


async def read_as(model: type[Body], request: Request) -> Body:
    """The body as a model. Raises: Refusal (413, 422)."""
    try:
        return model.model_validate_json(await read_body(request))
    except ValidationError as error:
        raise bad(explain(error)) from None


def explain(error: ValidationError) -> str:
    """The first problem, in words."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def path_id(request: Request, name: str) -> str:
    """An id from the path. Raises: Refusal (404)."""
    text = str(request.path_params[name])
    if not is_id(text):
        raise not_found(f"{text[:80]!r} is not an id")
    return text


def number(request: Request, name: str, default: int, *, low: int = 0, high: int = 2**53) -> int:
    """A whole number from the query. Raises: Refusal (422)."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and low <= int(text) <= high):
        raise bad(f"{name} is a whole number from {low} to {high}")
    return int(text)


def seconds(request: Request, name: str, high: float) -> float:
    """A time to wait from the query, 0.0 by default, cut at `high`. Raises: Refusal (422)."""
    try:
        value = float(request.query_params.get(name) or 0.0)
    except ValueError:
        raise bad(f"{name} is a number of seconds") from None
    if not 0.0 <= value < float("inf"):
        raise bad(f"{name} is a number of seconds")
    return min(value, high)


def flag(request: Request, name: str) -> bool:
    """Whether a yes was given in the query."""
    return request.query_params.get(name, "").lower() in _TRUE
