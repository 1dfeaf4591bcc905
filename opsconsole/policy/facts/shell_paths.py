"""Says whether a path as it is written stays in the workspace; it looks at the text alone, never at a disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opsconsole.policy.facts.shell_lexer import GlobWord

NULL_DEVICE = "/dev/null"
_ORDINARY = re.compile(r"(?:\.|(?:\./)?+(?>[A-Za-z0-9_@%,+\-][A-Za-z0-9_@%,+\-]*+(?:\.[A-Za-z0-9_@%,+\-]++)*+/?+)++)\Z")
"""The paths that need no further look but for the names of keys."""
_CREDENTIAL = re.compile(
    r"(?i)(?:\A|/)(?:\.env[^/]*+|\.(?:ssh|aws|azure|gcloud|gnupg|kube|docker|git|git-credentials|netrc|pgpass|my\.cnf|npmrc"
    r"|pypirc|htpasswd|vault-token|password-store|[a-z_]{0,20}history)(?=/|\Z)"
    r"|_netrc(?=/|\Z)|id_(?:rsa|dsa|ecdsa|ed25519)(?![^/])|[^/]*\.(?:pem|key|p12|pfx|kdbx|jks|keystore)(?=/|\Z))"
)
"""Names that hold credentials, or, in `.git`, programs that run by themselves."""
_HIDING_GLOB = re.compile(r"(?:\A|/)(?:\.[^/]*[*?\[]|\[[^\]/]*\.)")
"""Patterns that may match `..` or a hidden name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The directory that commands start in and should stay in; without a root every absolute path is outside."""

    root: str | None = None

    def why_outside(self, path: str) -> str | None:
        """Why `path` may be outside, in words; None when it is inside or the null device."""
        if _ORDINARY.match(path) and not isinstance(path, GlobWord):
            return _why_credential(path)
        if path in ("", "-", NULL_DEVICE):
            return None
        if path[0] == "~":
            return "names a home directory"
        if path[0] == "/" and not self._holds(path):
            return f"{path[:80]} is outside the workspace"
        if ".." in path.split("/"):
            return "goes up with .."
        if not path.isprintable():
            return "a name with characters that do not show"
        if isinstance(path, GlobWord) and _HIDING_GLOB.search(path):
            return "a pattern that may match .. or a hidden file"
        return _why_credential(path)

    def _holds(self, path: str) -> bool:
        return self.root is not None and (path == self.root or path.startswith(self.root + "/"))


def _why_credential(path: str) -> str | None:
    found = _CREDENTIAL.search(path)
    return f"{found[0].strip('/')[:80]} may hold credentials or run by itself" if found else None


def names_credential(pattern: str) -> bool:
    """Whether a pattern for names, as of `find -name`, asks for such a file."""
    return (
        _CREDENTIAL.search(pattern.replace("*", "").replace("?", "")) is not None
        or _CREDENTIAL.search(pattern) is not None
    )
