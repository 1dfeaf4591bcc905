"""All detectors, in a table: whose events each needs, whether it may stop a run, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, TypeVar

from opsconsole.policy.detectors.agreement import Agreement
from opsconsole.policy.detectors.burn import Burn
from opsconsole.policy.detectors.context import Context
from opsconsole.policy.detectors.drift import Drift
from opsconsole.policy.detectors.finding import Detector, SettingsOf
from opsconsole.policy.detectors.latency import Latency
from opsconsole.policy.detectors.loop import Loop
from opsconsole.policy.detectors.model_change import ModelChange
from opsconsole.policy.detectors.parameters import Parameters
from opsconsole.policy.detectors.ping_pong import PingPong
from opsconsole.policy.detectors.rate_limit import RateLimit
from opsconsole.policy.detectors.retries import Retries
from opsconsole.policy.detectors.stall import Stall
from opsconsole.policy.file.settings import DetectorSettings

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One detector."""

    name: str
    """Of its memory; findings carry the name of its settings, which several share."""
    scope: Literal["run", "fleet"]
    make: Callable[[SettingsOf[DetectorSettings]], Detector | None]
    """None where the settings switch it off."""


def _of_run(make: Callable[[Settings], Detector], setting: str) -> Callable[[SettingsOf[DetectorSettings]], Any]:
    """A detector of one run, made with the settings that hold for it."""

    def made(settings_of: SettingsOf[DetectorSettings]) -> Detector | None:
        settings: Settings | None = getattr(settings_of(""), setting)
        return None if settings is None else make(settings)

    return made


def _of_fleet(
    make: Callable[[SettingsOf[Settings]], Detector], setting: str
) -> Callable[[SettingsOf[DetectorSettings]], Any]:
    """A detector of the fleet, which looks up each agent's settings."""
    pick = attrgetter(setting)

    def made(settings_of: SettingsOf[DetectorSettings]) -> Detector | None:
        return None if pick(settings_of("")) is None else make(lambda agent: pick(settings_of(agent)))

    return made


REGISTRY: tuple[Entry, ...] = (
    Entry(name="loop", scope="run", make=_of_run(Loop, "loop")),
    Entry(name="ping_pong", scope="run", make=_of_run(PingPong, "ping_pong")),
    Entry(name="context", scope="run", make=_of_run(Context, "context")),
    Entry(name="parameters", scope="run", make=_of_run(Parameters, "parameters")),
    Entry(name="model_change", scope="run", make=_of_run(ModelChange, "drift")),
    Entry(name="agreement", scope="run", make=lambda settings_of: Agreement() if settings_of("").agreement else None),
    Entry(name="latency", scope="fleet", make=_of_fleet(Latency, "latency")),
    Entry(name="stall", scope="fleet", make=_of_fleet(Stall, "stall")),
    Entry(name="drift", scope="fleet", make=_of_fleet(Drift, "drift")),
    Entry(name="rate_limit", scope="fleet", make=_of_fleet(RateLimit, "rate_limit")),
    Entry(name="retries", scope="fleet", make=_of_fleet(Retries, "retries")),
    Entry(name="burn", scope="fleet", make=_of_fleet(Burn, "burn")),
)
