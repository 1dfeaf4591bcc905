"""The hub's own row as a console keeps it, and which provider's rate limit fills first, in words; it draws nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from opsconsole.console.view.amounts import age
from opsconsole.console.view.ingest import BadRow, one_line
from opsconsole.console.view.line import Line, Tone
from opsconsole.console.view.rows import Rows
from opsconsole.protocol.rates import LimitRow
from opsconsole.protocol.rows import HubRow, Present

OLD_SECONDS = 60.0
"""A gateway tells at least every ten seconds; what is older is not shown as if it held."""
SHOWN_SHARE = 0.05
"""What is less used than this is no news."""
FAR_SECONDS = 7_200.0
"""A projection further than this says nothing."""
_KINDS = {"tokens": "TPM", "requests": "RPM", "input_tokens": "input TPM", "output_tokens": "output TPM"}
_MARKS: dict[str, tuple[str, Tone]] = {"ok": ("", "dim"), "warning": ("▲ ", "warn"), "critical": ("▲ ", "bad")}


class HubShown:
    """The hub's own row, if the hub shows one."""

    def __init__(self) -> None:
        self.rows: Rows[HubRow] = Rows(hub_row)

    @property
    def limits(self) -> list[LimitRow]:
        """What gateways tell of the providers' limits."""
        return [limit for row in self.rows.by_key.values() for limit in row.limits]

    @property
    def present(self) -> list[Present]:
        """Who is connected, this console too."""
        return [one for row in self.rows.by_key.values() for one in row.present]

    @property
    def policy(self) -> str:
        """The policy in force, as its name and the beginning of its hash; empty where it is not known."""
        named = (f"{row.policy} {row.policy_hash.rpartition(':')[2][:8]}" for row in self.rows.by_key.values())
        return next(named, "")

    @property
    def alarm(self) -> str:
        """What is amiss with the hub itself; empty when nothing is."""
        alerts = (alert for row in self.rows.by_key.values() for alert in row.alerts if alert.level != "info")
        return " · ".join(alert.text for alert in alerts)


def hub_row(raw: dict[str, Any], _plain: bool = False) -> HubRow:
    """The hub's row with every text safe on one line. Raises: BadRow."""
    try:
        return HubRow.model_validate(one_line(raw))
    except ValidationError as error:
        why = str(error.errors(include_url=False, include_input=False)[0]["msg"])
        raise BadRow(why, key=raw.get("key")) from None


def first_to_fill(limits: Iterable[LimitRow], now: float) -> LimitRow | None:
    """The limit that saturates first; where none is filling, the fullest. `now` is the hub's clock."""
    known = [one for one in limits if (one.used_share or 0.0) >= SHOWN_SHARE and now - one.at < OLD_SECONDS]
    return min(known, key=lambda one: (_full_in(one, now), -(one.used_share or 0.0)), default=None)


def words(limit: LimitRow, now: float) -> str:
    """`openai gpt-4o: TPM 38 %, full in 6m05`."""
    share = f"{_KINDS[limit.kind]} {round(100 * (limit.used_share or 0.0))} %"
    full_in = _full_in(limit, now)
    when = "" if full_in > FAR_SECONDS else ", full" if full_in <= 0 else f", full in {age(full_in)}"
    return f"{limit.provider} {limit.model}: {share}{when}"


def limit_line(limits: Iterable[LimitRow], now: float) -> Line:
    """What the header says of them; empty where there is nothing to say."""
    limit = first_to_fill(limits, now)
    if limit is None:
        return ()
    mark, tone = _MARKS[limit.level]
    return ((f" {mark}{words(limit, now)} ", tone),)


def _full_in(limit: LimitRow, now: float) -> float:
    if limit.full_in_seconds is None:
        return math.inf
    return max(0.0, limit.full_in_seconds - max(0.0, now - limit.at))
