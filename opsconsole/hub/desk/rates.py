"""What gateways tell of the providers' rate limits: kept while their connection lasts, shown on the hub's own row."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.domain.command import Role
from opsconsole.hub.desk import watch_alerts
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.policies import changed_hub
from opsconsole.hub.desk.world import Session, World
from opsconsole.protocol.rates import LimitRow, Rate

GATEWAYS_MAX = 16
"""Gateways whose limits are shown at once."""


def told(world: World, session: Session, rates: Sequence[Rate], now: float) -> Effects:
    """A gateway tells how full the limits are; nobody else is believed about them."""
    if session.principal.role is not Role.GATEWAY:
        return []
    if session.conn not in world.rates and len(world.rates) >= GATEWAYS_MAX:
        return []
    world.rates[session.conn] = rows = [_row(world, session, rate, now) for rate in rates]
    return watch_alerts.told_rates(world, rows, now) + changed_hub()


def gone(world: World, conn: str) -> Effects:
    """Its connection ended: nobody knows how full they are now."""
    return changed_hub() if world.rates.pop(conn, None) else []


def _row(world: World, session: Session, rate: Rate, now: float) -> LimitRow:
    names = {
        "provider": world.shown(rate.provider, 64),
        "model": world.shown(rate.model, 200),
        "account": world.shown(rate.account, 16),
        "gateway": world.shown(session.host, 64),
    }
    return LimitRow.model_validate({**rate.model_dump(), **names, "at": now})
