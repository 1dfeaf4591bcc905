"""The fact `path`: which files a call names and whether they lie in the workspace, by their names only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opsconsole.policy.facts.given import argument_names, given
from opsconsole.policy.facts.interface import FactConfigError, FactMaker, FactValue, History, text_setting

DECODINGS_MAX = 3
"""Rounds of %-decoding; what is still encoded then was made to deceive."""

FIELDS: Mapping[str, type] = MappingProxyType(
    {"paths": list, "leaves_workspace": bool, "secrets": bool, "unclear": bool, "why": str}
)
"""`paths` are absolute, decoded, without `.` and `..`; `secrets` is whether one names credentials.
`leaves_workspace` and `unclear` are true as soon as they are for one path. Links on the disk are not seen."""

_PLAIN = re.compile(r"[\x20-\x7e]*")
_EXPANDED = re.compile(r"[\\$`*?\[\]{}|;&<>\"'!]|\A\s|\s\Z|\A~")
"""What a shell, a glob or Windows would make something else of."""
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_SECRETS = re.compile(
    r"(?:\.ssh|\.aws|\.azure|\.gnupg|\.kube|\.docker|\.netrc|\.npmrc|\.pypirc|\.pgpass|\.git-credentials|\.htpasswd"
    r"|\.env(?:\..*)?|id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:pem|key|p12|pfx|keystore|kdbx)|credentials|shadow|gshadow)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFact:
    """Judges the paths in some arguments against one workspace; relative paths start there."""

    args: tuple[str, ...]
    workspace: tuple[str, ...]

    @property
    def fields(self) -> Mapping[str, type]:
        """What a call gives."""
        return FIELDS

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """The paths of one call."""
        found = given(args, self.args)
        why = found.doubt
        paths: list[str] = []
        is_outside = has_secrets = False
        for text in found.texts:
            for reading in readings(text):
                why = why or _doubt(reading)
                parts = self._parts(reading)
                is_outside |= parts[: len(self.workspace)] != self.workspace
                has_secrets |= any(_SECRETS.fullmatch(part) for part in parts)
            paths.append("/" + "/".join(parts))
            why = why or ("encoded too often" if _ENCODED.search(reading) else "")
        return {
            "paths": paths,
            "leaves_workspace": is_outside,
            "secrets": has_secrets,
            "unclear": bool(why),
            "why": why,
        }

    def _parts(self, path: str) -> tuple[str, ...]:
        return normal_parts(path, () if path.startswith("/") else self.workspace)


def readings(text: str) -> Iterator[str]:
    """The path as it stands and after each round of decoding that changes it: a tool may do any number of them."""
    yield text
    for _ in range(DECODINGS_MAX):
        decoded = _ENCODED.sub(lambda match: chr(int(match[1], 16)), text)
        if decoded == text:
            return
        yield decoded
        text = decoded


def normal_parts(path: str, start: tuple[str, ...]) -> tuple[str, ...]:
    """The components of a path below `start`, with `.` and `..` worked in; above the root there is the root."""
    parts = list(start)
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return tuple(parts)


def _doubt(path: str) -> str:
    if not path or _PLAIN.fullmatch(path) is None:
        return "empty, or with control characters or letters beyond ASCII"
    if _EXPANDED.search(path):
        return "characters that a shell or a glob expands"
    return "a step up, which a link may lead elsewhere" if ".." in path.split("/") else ""


def _make(config: Mapping[str, Any]) -> PathFact:
    workspace = text_setting(config, "workspace")
    parts = normal_parts(workspace, ())
    if not workspace.startswith("/") or not parts:
        raise FactConfigError("workspace", "give an absolute path below the root")
    return PathFact(args=argument_names(config), workspace=parts)


PATH = FactMaker(fields=FIELDS, settings=frozenset({"arg", "args", "workspace"}), files=frozenset(), make=_make)
"""`path = { tool, arg = "path", workspace = "/srv/work" }`."""
