"""The hub's price list is the policy's; this name stays for those who look for it here."""

from __future__ import annotations

from opsconsole.policy.prices import MODELS_KEPT_MAX, PriceList, Rates

__all__ = ["MODELS_KEPT_MAX", "PriceList", "Rates"]
