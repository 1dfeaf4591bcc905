"""Settings, read once, by flag > environment > TOML file > default; only the command line sees them."""

from opsconsole.config.loading import load
from opsconsole.config.readers import DEFAULT_PORTS, hub_url
from opsconsole.config.settings import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    ConsoleOptions,
    KillSettings,
    LimitSettings,
    NotifySettings,
    ServerSettings,
    Settings,
)
from opsconsole.config.table import SETTINGS, Setting

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_PORTS",
    "SETTINGS",
    "ConsoleOptions",
    "KillSettings",
    "LimitSettings",
    "NotifySettings",
    "ServerSettings",
    "Setting",
    "Settings",
    "hub_url",
    "load",
]
