"""The command line's side of the hub's HTTP interface: one call, one answer or one error of ours; it prints nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from ulid import ULID

from opsconsole import __version__
from opsconsole.cli.hub_file import find_token
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.domain.text import safe_line
from opsconsole.errors import CommandFailed, ConfigError, HubRefused, HubUnreachable

ANSWER_SECONDS = 15.0
"""A hub answers in milliseconds; one that takes so long is hung or overloaded."""
CONNECT_SECONDS = 5.0
WAIT_SECONDS_MAX = 25.0
"""The longest a hub holds one question about a command; longer waits ask again."""
SENDS_MAX = 3
"""How often the same command is sent when its answer got lost; its id makes that one command."""
LIST_MAX = 1_000
"""Rows asked for in one list."""


class HubClient:
    """One connection to a hub. Every method raises HubUnreachable, HubRefused or CommandFailed."""

    def __init__(self, url: str, token: str, *, is_local: bool = False) -> None:
        self.url = url
        self.now = time.time()
        """The hub's clock at its last answer that told it; this machine's before any did."""
        # A proxy of the environment is for hubs elsewhere: it must never see this machine's tokens.
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"opsconsole-cli/{__version__}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=not is_local,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, *path: str, patience_seconds: float = ANSWER_SECONDS, **query: Any) -> dict[str, Any]:
        """The JSON object at `/v1/...`; query values of None are left out."""
        asked = {name: value for name, value in query.items() if value is not None}
        patience = httpx.Timeout(patience_seconds, connect=CONNECT_SECONDS)
        found = self._ask("GET", path, params=asked, timeout=patience)
        if isinstance(found.get("time"), int | float):
            self.now = float(found["time"])
        return found

    def post(self, *path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a JSON object."""
        return self._ask("POST", path, json=body)

    def delete(self, *path: str, **query: Any) -> dict[str, Any]:
        """The answer to a removal; query values of None are left out."""
        return self._ask("DELETE", path, params={name: value for name, value in query.items() if value is not None})

    def command(self, do: str, **body: Any) -> str:
        """Gives an operator's command; its id, once the hub has recorded it. None values are left out."""
        return self.give(do, **body)[0]

    def give(self, do: str, **body: Any) -> tuple[str, dict[str, Any]]:
        """As `command`, with the hub's answer."""
        cmd = f"cmd_{ULID()}"
        command = {"cmd": cmd, "do": do, **{name: value for name, value in body.items() if value is not None}}
        for last in (False,) * (SENDS_MAX - 1) + (True,):
            try:
                answer = self.post("commands", body=command)
                self._check_result(answer)
                return cmd, answer
            except _AnswerLost as error:
                if last:
                    raise HubUnreachable(f"{error}; whether {cmd} ({do}) was recorded is not known") from None
        raise AssertionError("unreachable")

    def follow(self, cmd: str, seconds: float) -> dict[str, Any]:
        """The report on a command once it is settled, or as it stands after `seconds`."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            wait = round(max(0.0, min(left, WAIT_SECONDS_MAX)), 3)
            report = self.get("commands", cmd, wait=wait, patience_seconds=ANSWER_SECONDS + wait)
            if report.get("settled") or left <= 0:
                return report

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The rows of a list."""
        rows: list[dict[str, Any]] = self.get(path, limit=LIST_MAX, **query).get("rows", [])
        return rows

    def greet(self) -> None:
        """Asks whether anything is there, as nobody."""
        with suppress(CommandFailed, HubRefused):
            self._ask("GET", ("info",))

    def _ask(self, method: str, path: tuple[str, ...], **request: Any) -> dict[str, Any]:
        place = "/v1/" + "/".join(quote(part, safe="") for part in path)
        try:
            answer = self._http.request(method, place, **request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise HubUnreachable(f"no hub answers at {self.url}: {_reason(error)}") from None
        except httpx.TransportError as error:
            raise _AnswerLost(f"the hub at {self.url} gave no answer: {_reason(error)}") from None
        except (httpx.InvalidURL, httpx.DecodingError) as error:
            raise HubRefused(f"{self.url} is not a hub: {error}", status=0) from None
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict) and document.get("t") == "res":
            self._check_result(document)
        if answer.is_success and isinstance(document, dict):
            return document
        if answer.is_success:
            raise HubRefused(f"{self.url} does not answer like a hub", status=answer.status_code)
        error = document.get("error") if isinstance(document, dict) else None
        if isinstance(error, dict):
            raise CommandFailed(
                self._explained(answer, str(error.get("message", ""))),
                code=_code(answer, str(error.get("code", ""))),
                current=_current(error),
            )
        raise HubRefused(self._explained(answer, ""), status=answer.status_code)

    def _explained(self, answer: httpx.Response, message: str) -> str:
        said = safe_line(message) or f"HTTP {answer.status_code} from {self.url}"
        again = answer.headers.get("Retry-After")
        return f"{said} (again in {safe_line(again)} s)" if again else said

    def _check_result(self, document: Mapping[str, Any]) -> None:
        if document.get("ok") is False:
            raise CommandFailed(
                safe_line(str(document.get("message") or document.get("code") or "refused")),
                code=str(document.get("code", "")),
                current=_current(document),
            )


class _AnswerLost(HubUnreachable):
    """The hub was reached and said nothing: what was asked may have happened."""


def connect(settings: Settings, role: Role = Role.OPERATOR) -> HubClient:
    """A client with the token for `role`. Raises: ConfigError; HubUnreachable when there is no hub to have one for."""
    try:
        token = find_token(settings, role)
    except ConfigError:
        with HubClient(settings.hub, "none", is_local=settings.hub_is_local) as stranger:
            stranger.greet()
        raise
    return HubClient(settings.hub, token, is_local=settings.hub_is_local)


def _code(answer: httpx.Response, code: str) -> str:
    """The error's own code; what a status says is worth more than a code nobody knows."""
    by_status = {401: "unauthorised", 403: "forbidden", 404: "not_found", 409: "conflict"}
    return by_status.get(answer.status_code, code) if answer.status_code in (401, 403) or not code else code


def _current(refusal: Mapping[str, Any]) -> dict[str, Any]:
    current = refusal.get("current")
    return current if isinstance(current, dict) else {}


def _reason(error: Exception) -> str:
    return safe_line(str(error)) or type(error).__name__
