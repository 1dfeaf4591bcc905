"""Every setting there is, a row each: its key, its variable, its flag, what it accepts, its default; it reads none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opsconsole.config.readers import (
    between,
    boolean,
    hub_url,
    limit,
    number,
    one_of,
    pairs,
    path,
    positive,
    text,
    texts,
    token,
    whole,
)
from opsconsole.config.settings import (
    ConsoleOptions,
    KillSettings,
    LimitSettings,
    NotifySettings,
    ServerSettings,
)
from opsconsole.gateway.options import GatewayOptions, base_url, fallbacks
from opsconsole.notify.rules import QuietHours
from opsconsole.policy.price_settings import Prices, prices_of

_URL = "an address such as http://127.0.0.1:8787 (http, https, ws or wss, no user, no query)"
_PORT = "a whole number from 0 to 65535 (0 = any free port)"
_SECONDS, _MILLISECONDS = "seconds above 0", "whole milliseconds from 0 to 60000"
_TRUTH = "true or false"
_SERVER, _LIMITS, _KILL, _CONSOLE = ServerSettings(), LimitSettings(), KillSettings(), ConsoleOptions()
_GATEWAY, _NOTIFY = GatewayOptions(), NotifySettings()
_BASE_URL = "an API's base URL (http or https, no user, no query)"
_KEY = "one line of printable ASCII without spaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its key in the TOML file (which is also its place in Settings), its variable, what it accepts."""

    key: str
    variable: str
    flag: str
    accepts: str
    parse: Callable[[Any], Any]
    default: Any
    secret: bool = False


def _setting(
    key: str,
    accepts: str,
    parse: Callable[[Any], Any],
    default: Any,
    *,
    short: bool = False,
    secret: bool = False,
    named: str = "",
) -> Setting:
    """Names are derived: `kill.term_ms` is OPSCONSOLE_KILL_TERM_MS and --kill-term-ms; short ones lose their table, and
    one that is `named` has a name of its own."""
    name = named or (key.split(".")[-1] if short else key.replace(".", "_"))
    return Setting(
        key=key,
        variable=f"OPSCONSOLE_{name.upper()}",
        flag="--" + name.replace("_", "-"),
        accepts=accepts,
        parse=parse,
        default=default,
        secret=secret,
    )


SETTINGS: tuple[Setting, ...] = (
    _setting("hub", _URL, hub_url, None),
    _setting("token", "one line of printable ASCII without spaces", token, None, secret=True),
    _setting("data_dir", "a directory", path, None),
    _setting("policy", "a policy file", path, None),
    _setting("prices", "a table of prices by the name of a model (as JSON in the environment)", prices_of, Prices()),
    _setting("server.host", "a host name or address", text, _SERVER.host, short=True),
    _setting("server.port", _PORT, between(0, 65_535), _SERVER.port, short=True),
    *(_setting(f"server.{name}", "a PEM file", path, None, short=True) for name in ("tls_cert", "tls_key")),
    _setting("server.insecure_bind", _TRUTH, boolean, _SERVER.insecure_bind, short=True),
    _setting("server.allowed_origins", "a list of origins", texts(","), _SERVER.allowed_origins, short=True),
    _setting("server.checkpoint_copy", "a file, best on another disk", path, None, short=True),
    _setting(
        "server.events_days", 'whole days of at least 1, or "unlimited"', limit(between(1, 100_000)), 30, short=True
    ),
    _setting("server.decoys_per_day", "a number of at least 0", number, _SERVER.decoys_per_day, short=True),
    _setting("limits.cost_usd", 'US dollars of at least 0, or "unlimited"', limit(number), _LIMITS.cost_usd),
    _setting("limits.turns", 'a whole number of at least 0, or "unlimited"', limit(whole), _LIMITS.turns),
    _setting("limits.tokens", 'a whole number of at least 0, or "unlimited"', limit(whole), _LIMITS.tokens),
    _setting("limits.approval_ttl_seconds", _SECONDS, positive, _LIMITS.approval_ttl_seconds),
    _setting("kill.cooperative_ms", _MILLISECONDS, between(0, 60_000), _KILL.cooperative_ms),
    _setting("kill.term_ms", _MILLISECONDS, between(0, 60_000), _KILL.term_ms),
    _setting("kill.verify_ms", _MILLISECONDS, between(0, 60_000), _KILL.verify_ms),
    _setting("gateway.url", "a gateway's address (http or https, no user, no query)", base_url, None, named="gateway"),
    _setting("gateway.enabled", _TRUTH, boolean, _GATEWAY.enabled),
    _setting("gateway.host", "a host name or address", text, _GATEWAY.host),
    _setting("gateway.port", _PORT, between(0, 65_535), _GATEWAY.port),
    *(_setting(f"gateway.{name}_url", _BASE_URL, base_url, None) for name in ("openai", "anthropic")),
    *(_setting(f"gateway.{name}_key", _KEY, token, None, secret=True) for name in ("openai", "anthropic")),
    _setting("gateway.deny", '"reask", "strip" or "stop"', one_of("reask", "strip", "stop"), _GATEWAY.deny),
    _setting("gateway.provider_tools", '"strip", "ask" or "allow"', one_of("strip", "ask", "allow"), "strip"),
    _setting("gateway.clamp", '"on" or "off"', one_of("on", "off"), _GATEWAY.clamp),
    _setting("gateway.answer_tokens", "a whole number from 1", between(1, 10_000_000), _GATEWAY.answer_tokens),
    _setting("gateway.held_mib", "whole mebibytes of at least 16", between(16, 1_048_576), _GATEWAY.held_mib),
    _setting("gateway.background", _TRUTH, boolean, _GATEWAY.background),
    _setting("gateway.hub_lost", '"refuse", "wait" or "allow"', one_of("refuse", "wait", "allow"), _GATEWAY.hub_lost),
    *(
        _setting(f"gateway.{name}_seconds", _SECONDS, positive, getattr(_GATEWAY, f"{name}_seconds"))
        for name in ("keepalive", "patience", "grace", "idle", "share")
    ),
    _setting("gateway.fallbacks", 'a list of texts such as "openai/gpt-4o=gpt-4o-mini"', fallbacks, _GATEWAY.fallbacks),
    _setting("console.kill_key", '"once" or "twice"', one_of("once", "twice"), _CONSOLE.kill_key, short=True),
    *(_setting(f"console.{n}", _TRUTH, boolean, getattr(_CONSOLE, n), short=True) for n in ("mouse", "ascii")),
    _setting(
        "console.theme",
        '"dark", "light", "ansi", "colour-blind" or "mono"',
        one_of("dark", "light", "ansi", "colour-blind", "mono"),
        "dark",
        short=True,
    ),
    _setting("console.notify", '"off", "bell", "osc9" or "osc777"', one_of("off", "bell", "osc9", "osc777"), "bell"),
    _setting("keys", 'a table of keys by act, such as kill = "ctrl+k"', pairs, _CONSOLE.keys),
    _setting("previews", 'a table of sources by tool, such as run_sql = "sqlite:/srv/shop.db"', pairs, ()),
    _setting("notify.urls", "a list of apprise addresses", texts(None, fits="://"), _NOTIFY.urls, secret=True),
    _setting("notify.quiet", "hours such as 22:00-07:00", lambda value: QuietHours.parse(text(value)), _NOTIFY.quiet),
    _setting("notify.per_minute", "a whole number from 1 to 600", between(1, 600), _NOTIFY.per_minute),
    _setting("notify.alerts", '"trip" or "all"', one_of("trip", "all"), _NOTIFY.alerts),
)
"""Every setting there is. Flags exist for those that a command offers."""

TABLES = frozenset(setting.key.split(".")[0] for setting in SETTINGS if "." in setting.key)
"""The tables of a configuration file."""
