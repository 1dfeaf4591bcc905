"""The configuration file: which it is, what it says by dotted key, and at which line; its values are read elsewhere."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_config_dir

from opsconsole.config.table import SETTINGS, TABLES
from opsconsole.errors import ConfigError

CONFIG_BYTES_MAX = 1_048_576
"""A configuration file is written by hand; a larger one is not one of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the TOML file says, by dotted key."""

    path: Path
    values: Mapping[str, Any]
    text: str = ""

    def place(self, key: str) -> str:
        """Where the key stands: the file, and its line where that is known."""
        line = _line_of(self.text, key)
        return f"{self.path}:{line}" if line else str(self.path)


def config_path(flags: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The TOML file, and whether somebody named it (then it must exist)."""
    named = flags.get("config") or environ.get("OPSCONSOLE_CONFIG")
    if named:
        return Path(named).expanduser().absolute(), True
    return Path(user_config_dir("opsconsole")) / "config.toml", False


def read_written(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Written:
    """The configuration file, checked but for its values. Raises: ConfigError that names the place."""
    path, named = config_path(flags, environ)
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{path} (the configuration file) does not exist") from None
        return Written(path=path, values={})
    except OSError as error:
        raise ConfigError(f"{path} (the configuration file) cannot be read: {error.strerror}") from None
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {CONFIG_BYTES_MAX} bytes")
    try:
        text = data.decode()
        written = Written(path=path, values=dict(_flat(tomllib.loads(text))), text=text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    _check_keys(written)
    for secret in (setting.key for setting in SETTINGS if setting.secret and setting.key in written.values):
        if mode & 0o077:
            raise ConfigError(f"{written.place(secret)} holds a secret but others may read the file: chmod 600 {path}")
    return written


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict) and key in TABLES:
            yield from ((f"{key}.{inner}", item) for inner, item in value.items())
        else:
            yield key, value


def _check_keys(written: Written) -> None:
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
