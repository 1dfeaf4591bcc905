"""Agents that speak HTTP: events posted, commands fetched by long-poll; to the desk they are connections."""

from __future__ import annotations

import itertools
import time
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from opsconsole.errors import RemoteProtocolError
from opsconsole.hub.admission import Refusal, busy
from opsconsole.hub.answers import answer, bad, number, path_id, read_as, seconds
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.settings import COMMANDS_KEPT_MAX
from opsconsole.hub.server import Hub
from opsconsole.protocol.coding import decode, encode
from opsconsole.protocol.events import Id
from opsconsole.protocol.frames import (
    Ack,
    Err,
    EventFrame,
    Frame,
    Hello,
    HelloRun,
    PointCommand,
    PointName,
    Res,
    Skip,
    Welcome,
)
from opsconsole.protocol.limits import BATCH_EVENTS_MAX, Close

STORE_SECONDS_MAX = 10.0
"""How long a post waits for its events to be durable."""
POINTS_MAX = 2_000
"""Agents over HTTP at once."""
COMMANDS_MAX = COMMANDS_KEPT_MAX
"""Commands waiting for one of them: all that the desk keeps for a run, or it could not catch up."""
DEFAULT_POINT = "http"

_STATUS = {"forbidden": 403, "not_attached": 409, "superseded": 409}


class EventsBody(BaseModel):
    """What is posted to /v1/runs/{run}/events."""

    gen: Id
    point: PointName = DEFAULT_POINT
    skip: Skip | None = None
    events: Annotated[list[dict[str, Any]], Field(max_length=BATCH_EVENTS_MAX)] = []


class HttpPoint:
    """One agent's point of one run, as long as its requests keep coming."""

    def __init__(self, conn: str, run: str, gen: str) -> None:
        self.conn = conn
        self.run = run
        self.gen = gen
        self.acked = 0
        self.want: int | None = None
        self.error: Refusal | None = None
        self.is_closed = False
        self.commands: list[PointCommand] = []
        self.used_at = time.monotonic()
        self.requests = 0

    def put(self, frame: Frame) -> None:
        """A frame from the desk."""
        if isinstance(frame, PointCommand):
            self._queue(frame)
        elif isinstance(frame, Ack) and frame.run == self.run:
            self.acked = max(self.acked, frame.seq or 0)
            self.want = frame.want
        elif isinstance(frame, Welcome):
            self.acked = frame.acked.get(self.run, 0)
        elif isinstance(frame, Err):
            status = _STATUS.get(frame.code, 422)
            self.error = self.error or Refusal(status=status, code=frame.code, message=frame.message)

    def _queue(self, command: PointCommand) -> None:
        """To be fetched; none is dropped from among others, or the next acknowledgement would cover it unseen."""
        if len(self.commands) >= COMMANDS_MAX:
            self.close(Close.FLOOD, "too many commands wait: post the run's events again to attach")
        elif not self.is_closed:
            self.commands.append(command)

    def close(self, code: int, reason: str) -> None:
        """The desk lets go of it; what it did not fetch is pushed when it attaches again."""
        self.is_closed = True
        self.commands.clear()
        self.error = self.error or Refusal(status=409, code="closed", message=reason, details={"close": code})


class HttpPoints:
    """All of them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._points: dict[tuple[str, str, str], HttpPoint] = {}
        self._numbers = itertools.count(1)

    async def post_events(self, request: Request, principal: Principal) -> Response:
        """Store events of a run; the answer comes when they are durable."""
        run = path_id(request, "run")
        body = await read_as(EventsBody, request)
        if self._hub.recorder.events_problem:
            raise busy(f"events are not stored just now: {self._hub.recorder.events_problem}")
        point = self._attach(principal, run, body)
        frame, data = _frame(run, body)
        if frame is not None:
            point.want = None
            last = frame.events[-1].seq if frame.events else (frame.skip.last if frame.skip else 0)
            await self._hub.room()
            self._hub.agent_frame(point.conn, frame, data)
            await self._hub.waiters.until(lambda: _is_answered(point, last), STORE_SECONDS_MAX)
        self._raise(point)
        if frame is not None and not _is_answered(point, last):
            raise busy("the events are not durable yet: post them again")
        found = {"acked": point.acked}
        return answer(found if point.want is None else found | {"want": point.want})

    def _attach(self, principal: Principal, run: str, body: EventsBody) -> HttpPoint:
        key = (principal.token_id, run, body.point)
        point = self._points.get(key)
        if point is not None and (point.gen != body.gen or point.is_closed):
            self._drop(key, "a newer generation speaks", clean=False)
            point = None
        if point is None:
            if len(self._points) >= POINTS_MAX:
                raise busy("too many agents over HTTP")
            point = HttpPoint(f"h{next(self._numbers)}", run, body.gen)
            self._points[key] = point
            self._hub.peers[point.conn] = point
            hello = Hello(client=principal.client, point=body.point, runs=[HelloRun(run=run, gen=body.gen)])
            self._hub.agent_hello(point.conn, principal, hello)
        if point.error is not None:
            self._drop(key, "refused", clean=True)
            raise point.error
        point.used_at = time.monotonic()
        return point

    def _seated(self, principal: Principal, run: str, name: str) -> HttpPoint:
        point = self._points.get((principal.token_id, run, name))
        if point is None or point.is_closed:
            raise Refusal(
                status=409, code="not_attached", message="post the run's events first (an empty list will do)"
            )
        point.used_at = time.monotonic()
        return point

    def _raise(self, point: HttpPoint) -> None:
        error, point.error = point.error, None
        if error is not None:
            raise error

    async def get_commands(self, request: Request, principal: Principal) -> Response:
        """Commands after the one named, which it thereby acknowledges; waits for the first if asked to."""
        run = path_id(request, "run")
        point = self._seated(principal, run, request.query_params.get("point", DEFAULT_POINT))
        after = number(request, "after", 0)
        wait = seconds(request, "wait", self._hub.limits.wait_seconds_max)
        point.commands = [command for command in point.commands if command.cseq > after]
        if after:
            self._hub.agent_frame(point.conn, Ack(run=run, cseq=after), b"")
        point.requests += 1
        try:
            await self._hub.waiters.until(lambda: bool(point.commands) or point.is_closed, wait)
        finally:
            point.requests -= 1
            point.used_at = time.monotonic()
        self._raise(point)
        return answer({"commands": [command.model_dump(mode="json", exclude_none=True) for command in point.commands]})

    async def post_result(self, request: Request, principal: Principal) -> Response:
        """What came of a command."""
        run = path_id(request, "run")
        body = await read_as(Res, request)
        if body.run not in (None, run):
            raise bad("the result names another run")
        point = self._seated(principal, run, request.query_params.get("point", DEFAULT_POINT))
        frame = body.model_copy(update={"run": run})
        self._hub.agent_frame(point.conn, frame, encode(frame))
        self._raise(point)
        return answer({"ok": True})

    def expire(self) -> None:
        """Take agents for gone that have not asked for a while."""
        silent = time.monotonic() - self._hub.limits.http_point_silent_seconds
        for key, point in list(self._points.items()):
            if point.is_closed or (point.used_at < silent and not point.requests):
                self._drop(key, "no request for a while", clean=False)

    def cut(self, token_id: str) -> None:
        """Let go of the agents of a revoked token."""
        for key in [key for key in self._points if key[0] == token_id]:
            self._drop(key, "the token was revoked", clean=False)

    def _drop(self, key: tuple[str, str, str], why: str, *, clean: bool) -> None:
        point = self._points.pop(key)
        self._hub.peers.pop(point.conn, None)
        self._hub.agent_gone(point.conn, why, clean)


def _frame(run: str, body: EventsBody) -> tuple[EventFrame | None, bytes]:
    """The event frame of a post, and its bytes; None for a post that only attaches."""
    if not body.events and body.skip is None:
        return None, b""
    raw: dict[str, Any] = {"t": "event", "run": run, "gen": body.gen}
    if body.skip is not None:
        raw["skip"] = body.skip.model_dump()
    data = to_json(raw | {"events": body.events})
    try:
        frame = decode(data, "agent_to_hub")
    except RemoteProtocolError as error:
        raise bad(str(error)) from None
    if not isinstance(frame, EventFrame):
        raise bad("not events")
    return frame, data


def _is_answered(point: HttpPoint, last: int) -> bool:
    return point.acked >= last or point.want is not None or point.error is not None
