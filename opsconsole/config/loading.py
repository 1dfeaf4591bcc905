"""Reads the settings once: flag before environment before file before default; only the command line does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_data_dir

from opsconsole.config.readers import hub_url
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
from opsconsole.config.written import Written, read_written
from opsconsole.errors import ConfigError
from opsconsole.gateway.options import GatewayOptions


@dataclass(frozen=True, slots=True)
class _Found:
    value: Any
    source: str


def load(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """The settings. `flags` maps a setting's key (and `config`) to what the command line says; None is not given.

    Raises: ConfigError that names the setting, where its value came from and what is accepted.
    """
    environ = os.environ if environ is None else environ
    written = read_written(flags, environ)
    found = {setting.key: _find(setting, flags, environ, written) for setting in SETTINGS}
    values = {key: item.value for key, item in found.items()}
    server = ServerSettings(**_table(values, "server"))
    return Settings(
        hub=values["hub"] or _own_hub(server),
        source={key: item.source for key, item in found.items()},
        token=values["token"],
        data_dir=values["data_dir"] or Path(user_data_dir("opsconsole")),
        policy=values["policy"],
        server=server,
        limits=LimitSettings(**_table(values, "limits")),
        kill=KillSettings(**_table(values, "kill")),
        console=ConsoleOptions(**_table(values, "console"), keys=values["keys"], previews=values["previews"]),
        prices=values["prices"],
        gateway=GatewayOptions(**_table(values, "gateway")),
        notify=NotifySettings(**_table(values, "notify")),
    )


def _own_hub(server: ServerSettings) -> str:
    scheme = "https" if server.tls_cert else "http"
    host = DEFAULT_HOST if server.host in ("0.0.0.0", "::", "") else server.host
    return hub_url(f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port or DEFAULT_PORT}")


def _table(values: Mapping[str, Any], table: str) -> dict[str, Any]:
    return {key.split(".")[1]: value for key, value in values.items() if key.startswith(f"{table}.")}


def _find(setting: Setting, flags: Mapping[str, Any], environ: Mapping[str, str], written: Written) -> _Found:
    if flags.get(setting.key) is not None:
        return _parsed(setting, flags[setting.key], setting.flag)
    if environ.get(setting.variable):
        return _parsed(setting, environ[setting.variable], setting.variable)
    if setting.key in written.values:
        return _parsed(setting, written.values[setting.key], written.place(setting.key))
    return _Found(setting.default, "default")


def _parsed(setting: Setting, raw: Any, source: str) -> _Found:
    try:
        return _Found(setting.parse(raw), source)
    except (ValueError, TypeError):
        shown = "not usable" if setting.secret else f"{str(raw)[:100]!r}"
        raise ConfigError(f"{setting.key} from {source} is {shown}; accepted: {setting.accepts}") from None
