"""What all turns of a gateway share: its settings, its way out, its prices and counts; it does nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.gateway.held_bytes import HeldBytes
from opsconsole.gateway.metrics import Counts
from opsconsole.gateway.settings import GatewaySettings
from opsconsole.gateway.told import Price
from opsconsole.gateway.upstream import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """One gateway's."""

    settings: GatewaySettings
    upstream: Upstream
    price: Price
    counts: Counts
    held: HeldBytes
