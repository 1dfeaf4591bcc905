"""Settings, read once, by flag > environment > TOML file > default; only the command line sees them."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from platformdirs import user_config_dir, user_data_dir

from opsconsole.errors import ConfigError
from opsconsole.gateway.options import GatewayOptions, base_url, fallbacks
from opsconsole.notify.rules import QuietHours
from opsconsole.policy.price_settings import Prices, prices_of

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8787
CONFIG_BYTES_MAX = 1_048_576
"""A configuration file is written by hand; a larger one is not one of ours."""

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
DEFAULT_PORTS = {"http": 80, "https": 443}
_TRUTHS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_UNLIMITED = frozenset({"unlimited", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where and how the hub listens; `port` 0 is any free one."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_bind: bool = False
    allowed_origins: tuple[str, ...] = ()
    checkpoint_copy: Path | None = None
    events_days: int | None = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Caps of each run under the default policy; None is unlimited."""

    cost_usd: float | None = 5.0
    turns: int | None = 200
    tokens: int | None = 2_000_000
    approval_ttl_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSettings:
    """The supervisor's ladder: how long each step may take, in milliseconds."""

    cooperative_ms: int = 250
    term_ms: int = 750
    verify_ms: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How the console behaves on this terminal."""

    kill_key: Literal["once", "twice"] = "once"
    mouse: bool = True
    ascii: bool = False
    theme: Literal["dark", "light", "ansi"] = "dark"
    notify: Literal["off", "bell", "osc9", "osc777"] = "bell"
    keys: tuple[tuple[str, str], ...] = ()
    previews: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Where messages go that people need away from the console; the addresses hold secrets."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    quiet: QuietHours | None = None
    per_minute: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything, resolved. `hub` is an http or https URL that ends in no slash; `source` says where from."""

    hub: str
    source: Mapping[str, str]
    token: str | None = field(repr=False)
    data_dir: Path
    server: ServerSettings
    limits: LimitSettings
    kill: KillSettings
    console: ConsoleOptions
    notify: NotifySettings = NotifySettings()
    gateway: GatewayOptions = field(default_factory=GatewayOptions)
    prices: Prices = field(default_factory=Prices)
    policy: Path | None = None

    @property
    def hub_is_local(self) -> bool:
        """Whether the hub's address is on loopback."""
        return is_loopback(urlsplit(self.hub).hostname or "")


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


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("not a text")
    return value.strip()


def _token(value: Any) -> str:
    text = _text(value)
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("not a token")
    return text


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser().absolute()


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower()
    if word not in _TRUTHS:
        raise ValueError("not a truth value")
    return _TRUTHS[word]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number")
    if not 0 <= (number := float(value)) < math.inf:
        raise ValueError("not a number of at least 0")
    return number


def _whole(value: Any) -> int:
    number = int(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError("not a whole number of at least 0")
    return number


def _between(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if not low <= (number := _whole(value)) <= high:
            raise ValueError("out of range")
        return number

    return parse


def _positive(value: Any) -> float:
    if (number := _number(value)) <= 0:
        raise ValueError("not above 0")
    return number


def _limit(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if isinstance(value, str) and value.lower() in _UNLIMITED else parse(value)


def _texts(separator: str | None, *, fits: str = "") -> Callable[[Any], tuple[str, ...]]:
    def parse(value: Any) -> tuple[str, ...]:
        found = value.split(separator) if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(one, str) and fits in one for one in found):
            raise ValueError("not a list of texts")
        return tuple(one.strip() for one in found if one.strip())

    return parse


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    found = dict(part.split("=", 1) for part in value.split()) if isinstance(value, str) else dict(value)
    return tuple((_text(name), _text(key)) for name, key in found.items())


def _one_of(*words: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError("not one of them")
        return str(value)

    return parse


def hub_url(value: Any) -> str:
    """A hub's address as `http[s]://host[:port][/path]`; ws and wss are accepted too. Raises: ValueError."""
    text = _text(value)
    parts: SplitResult = urlsplit(text if "://" in text else f"http://{text}")
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("not a hub's address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    place = host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    return f"{scheme}://{place}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


_URL = "an address such as http://127.0.0.1:8787 (http, https, ws or wss, no user, no query)"
_PORT = "a whole number from 0 to 65535 (0 = any free port)"
_SECONDS, _MILLISECONDS = "seconds above 0", "whole milliseconds from 0 to 60000"
_TRUTH = "true or false"
_SERVER, _LIMITS, _KILL, _CONSOLE = ServerSettings(), LimitSettings(), KillSettings(), ConsoleOptions()
_GATEWAY, _NOTIFY = GatewayOptions(), NotifySettings()
_BASE_URL = "an API's base URL (http or https, no user, no query)"
_KEY = "one line of printable ASCII without spaces"


def _setting(
    key: str, accepts: str, parse: Callable[[Any], Any], default: Any, *, short: bool = False, secret: bool = False
) -> Setting:
    """Names are derived: `kill.term_ms` is OPSCONSOLE_KILL_TERM_MS and --kill-term-ms; short ones lose their table."""
    name = key.split(".")[-1] if short else key.replace(".", "_")
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
    _setting("token", "one line of printable ASCII without spaces", _token, None, secret=True),
    _setting("data_dir", "a directory", _path, None),
    _setting("policy", "a policy file", _path, None),
    _setting("prices", "a table of prices by the name of a model (as JSON in the environment)", prices_of, Prices()),
    _setting("server.host", "a host name or address", _text, _SERVER.host, short=True),
    _setting("server.port", _PORT, _between(0, 65_535), _SERVER.port, short=True),
    *(_setting(f"server.{name}", "a PEM file", _path, None, short=True) for name in ("tls_cert", "tls_key")),
    _setting("server.insecure_bind", _TRUTH, _boolean, _SERVER.insecure_bind, short=True),
    _setting("server.allowed_origins", "a list of origins", _texts(","), _SERVER.allowed_origins, short=True),
    _setting("server.checkpoint_copy", "a file, best on another disk", _path, None, short=True),
    _setting(
        "server.events_days", 'whole days of at least 1, or "unlimited"', _limit(_between(1, 100_000)), 30, short=True
    ),
    _setting("limits.cost_usd", 'US dollars of at least 0, or "unlimited"', _limit(_number), _LIMITS.cost_usd),
    _setting("limits.turns", 'a whole number of at least 0, or "unlimited"', _limit(_whole), _LIMITS.turns),
    _setting("limits.tokens", 'a whole number of at least 0, or "unlimited"', _limit(_whole), _LIMITS.tokens),
    _setting("limits.approval_ttl_seconds", _SECONDS, _positive, _LIMITS.approval_ttl_seconds),
    _setting("kill.cooperative_ms", _MILLISECONDS, _between(0, 60_000), _KILL.cooperative_ms),
    _setting("kill.term_ms", _MILLISECONDS, _between(0, 60_000), _KILL.term_ms),
    _setting("kill.verify_ms", _MILLISECONDS, _between(0, 60_000), _KILL.verify_ms),
    _setting("gateway.enabled", _TRUTH, _boolean, _GATEWAY.enabled),
    _setting("gateway.host", "a host name or address", _text, _GATEWAY.host),
    _setting("gateway.port", _PORT, _between(0, 65_535), _GATEWAY.port),
    *(_setting(f"gateway.{name}_url", _BASE_URL, base_url, None) for name in ("openai", "anthropic")),
    *(_setting(f"gateway.{name}_key", _KEY, _token, None, secret=True) for name in ("openai", "anthropic")),
    _setting("gateway.deny", '"reask", "strip" or "stop"', _one_of("reask", "strip", "stop"), _GATEWAY.deny),
    _setting("gateway.provider_tools", '"strip", "ask" or "allow"', _one_of("strip", "ask", "allow"), "strip"),
    _setting("gateway.clamp", '"on" or "off"', _one_of("on", "off"), _GATEWAY.clamp),
    _setting("gateway.answer_tokens", "a whole number from 1", _between(1, 10_000_000), _GATEWAY.answer_tokens),
    _setting("gateway.held_mib", "whole mebibytes of at least 16", _between(16, 1_048_576), _GATEWAY.held_mib),
    _setting("gateway.background", _TRUTH, _boolean, _GATEWAY.background),
    _setting("gateway.hub_lost", '"refuse", "wait" or "allow"', _one_of("refuse", "wait", "allow"), _GATEWAY.hub_lost),
    *(
        _setting(f"gateway.{name}_seconds", _SECONDS, _positive, getattr(_GATEWAY, f"{name}_seconds"))
        for name in ("keepalive", "patience", "grace", "idle", "share")
    ),
    _setting("gateway.fallbacks", 'a list of texts such as "openai/gpt-4o=gpt-4o-mini"', fallbacks, _GATEWAY.fallbacks),
    _setting("console.kill_key", '"once" or "twice"', _one_of("once", "twice"), _CONSOLE.kill_key, short=True),
    *(_setting(f"console.{n}", _TRUTH, _boolean, getattr(_CONSOLE, n), short=True) for n in ("mouse", "ascii")),
    _setting("console.theme", '"dark", "light" or "ansi"', _one_of("dark", "light", "ansi"), "dark", short=True),
    _setting("console.notify", '"off", "bell", "osc9" or "osc777"', _one_of("off", "bell", "osc9", "osc777"), "bell"),
    _setting("keys", 'a table of keys by act, such as kill = "ctrl+k"', _pairs, _CONSOLE.keys),
    _setting("previews", 'a table of sources by tool, such as run_sql = "sqlite:/srv/shop.db"', _pairs, ()),
    _setting("notify.urls", "a list of apprise addresses", _texts(None, fits="://"), _NOTIFY.urls, secret=True),
    _setting("notify.quiet", "hours such as 22:00-07:00", lambda value: QuietHours.parse(_text(value)), _NOTIFY.quiet),
    _setting("notify.per_minute", "a whole number from 1 to 600", _between(1, 600), _NOTIFY.per_minute),
)
"""Every setting there is. Flags exist for those that a command offers."""

_TABLES = sorted({setting.key.split(".")[0] for setting in SETTINGS if "." in setting.key})


@dataclass(frozen=True, slots=True)
class _Found:
    value: Any
    source: str


def load(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """The settings. `flags` maps a setting's key (and `config`) to what the command line says; None is not given.

    Raises: ConfigError that names the setting, where its value came from and what is accepted.
    """
    environ = os.environ if environ is None else environ
    written = _read_file(flags, environ)
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


def config_path(flags: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The TOML file, and whether somebody named it (then it must exist)."""
    named = flags.get("config") or environ.get("OPSCONSOLE_CONFIG")
    if named:
        return Path(named).expanduser().absolute(), True
    return Path(user_config_dir("opsconsole")) / "config.toml", False


def _own_hub(server: ServerSettings) -> str:
    scheme = "https" if server.tls_cert else "http"
    host = DEFAULT_HOST if server.host in ("0.0.0.0", "::", "") else server.host
    return hub_url(f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port or DEFAULT_PORT}")


def _table(values: Mapping[str, Any], table: str) -> dict[str, Any]:
    return {key.split(".")[1]: value for key, value in values.items() if key.startswith(f"{table}.")}


def _find(setting: Setting, flags: Mapping[str, Any], environ: Mapping[str, str], written: _Written) -> _Found:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What the TOML file says, by dotted key."""

    path: Path
    values: Mapping[str, Any]
    text: str = ""

    def place(self, key: str) -> str:
        line = _line_of(self.text, key)
        return f"{self.path}:{line}" if line else str(self.path)


def _read_file(flags: Mapping[str, Any], environ: Mapping[str, str]) -> _Written:
    path, named = config_path(flags, environ)
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{path} (the configuration file) does not exist") from None
        return _Written(path=path, values={})
    except OSError as error:
        raise ConfigError(f"{path} (the configuration file) cannot be read: {error.strerror}") from None
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {CONFIG_BYTES_MAX} bytes")
    try:
        text = data.decode()
        written = _Written(path=path, values=dict(_flat(tomllib.loads(text))), text=text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    _check_keys(written)
    for secret in (setting.key for setting in SETTINGS if setting.secret and setting.key in written.values):
        if mode & 0o077:
            raise ConfigError(f"{written.place(secret)} holds a secret but others may read the file: chmod 600 {path}")
    return written


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict) and key in _TABLES:
            yield from ((f"{key}.{inner}", item) for inner, item in value.items())
        else:
            yield key, value


def _check_keys(written: _Written) -> None:
    known = {setting.key for setting in SETTINGS}
    for key in written.values:
        if key not in known:
            raise ConfigError(f"{written.place(key)}: there is no setting {key!r}{_nearest(key, known)}")


def _nearest(key: str, known: set[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    same_name = [setting.key for setting in SETTINGS if setting.key.split(".")[-1] == key.split(".")[-1]]
    best = same_name[:1] or close
    return f"; did you mean {best[0]!r}?" if best else f"; there are: {', '.join(sorted(known))}"


def _line_of(text: str, key: str) -> int | None:
    """The line where `key` is set, read from the text (tomllib gives no places); None when it is written oddly."""
    table, current = key.rpartition(".")[0], ""
    name = re.escape(key.rpartition(".")[2])
    setting = re.compile(rf"\s*[\"']?{name}[\"']?\s*=")
    dotted = re.compile(rf"\s*{re.escape(table)}\s*\.\s*{name}\s*=") if table else setting
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\]]+?)\s*\]", line):
            current = header[1]
        elif (current == table and setting.match(line)) or (not current and dotted.match(line)):
            return number
    return None
