"""Splits the part of the shell language that every shell reads alike into simple commands, and refuses all the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

COMMAND_CHARS_MAX = 4_096
"""Longer texts are scripts, which a person should read; it bounds the time of a verdict as well."""
SIMPLE_COMMANDS_MAX = 64
"""More parts than anyone reads before saying yes."""
WORDS_MAX = 300
"""Of all parts together; bounds the time of what follows."""

_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
"""Never plain text, not even in quotes: a terminal acts on them, NUL ends strings, half a surrogate is no character."""
_PLAIN = r"[A-Za-z0-9_./:,+@%=\-]++"
_SINGLE = rf"'[^'{_CONTROL}]*+'"
_DOUBLE = rf'"(?>[^"\\$`!{_CONTROL}]++|\\["\\$`#-\[\]-_a-~% ]|\$(?=[" |)]))*+"'
_ESCAPED = r"\\[ -~]"
_GLOB = r"[*?\[\]]++"
_PIECE = rf"{_PLAIN}|{_SINGLE}|{_DOUBLE}|{_ESCAPED}|{_GLOB}|\{{\}}"
_END = r"(?=[ \t\n;|&<>]|\Z)"
_TOKEN = re.compile(
    rf"[ \t]*+(?:(?P<operator>\n[ \t\n]*+|;|&&|\|\|?+)"
    rf"|(?P<duplicate>[0-9]?>&[0-9]){_END}"
    rf"|(?P<redirect>[0-9]?(?:>>|>(?![>&|(])|<(?![<>&(])))"
    rf"|(?P<plain>{_PLAIN}){_END}"
    rf"|(?P<word>(?>{_PIECE})++){_END}"
    rf"|(?P<bang>!)(?=[ \t])"
    rf"|(?P<end>\Z))"
)
_PIECES = re.compile(
    rf"(?P<plain>{_PLAIN}|\{{\}})|'(?P<single>[^']*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|\\(?P<escaped>.)|(?P<glob>{_GLOB})"
)
_READABLE = re.compile(rf"[ \t]*+(?:{_PIECE})*+")
_UNESCAPED = re.compile(r"\\([\\\"$`])")

_OBSTACLES = {
    "$": "a variable or a substitution",
    "`": "a command substitution",
    "(": "a subshell, a function or an array",
    ")": "a subshell, a function or an array",
    "{": "a group or a brace expansion",
    "}": "a group or a brace expansion",
    "~": "a home directory",
    "#": "a comment, which not every shell reads as one",
    "!": "a history expansion",
    "&": "a job in the background or a redirection of both streams",
    "^": "a character that some shells expand",
    "\\": "a continued line",
    "'": "a quotation without its end or with control characters",
    '"': "a quotation without its end, with something expanded in it or with control characters",
    "<": "a here-document or an unusual redirection",
    ">": "an unusual redirection",
    "|": "an operator without a command",
}


class GlobWord(str):
    """A word that the shell replaces by the names of files that match it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """A stream and where it goes to or comes from; `operator` is `<`, `>` or `>>`."""

    operator: str
    target: str


@dataclass(slots=True)
class SimpleCommand:
    """A program with its arguments, quotes removed, and its redirections."""

    words: list[str] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read."""
        return not self.words and not self.redirects


@dataclass(frozen=True, slots=True)
class Reading:
    """The simple commands that were read; `unclear` says in words what stopped it, or is empty."""

    commands: list[SimpleCommand]
    unclear: str = ""


def read(text: str) -> Reading:
    """The simple commands of `text`, whatever joins them: pipes, `&&`, `||`, `;` and newlines."""
    if len(text) > COMMAND_CHARS_MAX:
        return Reading([], f"longer than {COMMAND_CHARS_MAX:,} characters")
    commands: list[SimpleCommand] = []
    unclear = _read_into(commands, text)
    return Reading([command for command in commands if not command.is_empty], unclear)


def _read_into(commands: list[SimpleCommand], text: str) -> str:
    match_at = _TOKEN.match
    current = SimpleCommand()
    commands.append(current)
    is_awaited = True
    """Whether a command must follow: at the beginning, and after `|`, `&&`, `||`."""
    position = words = 0
    while found := match_at(text, position):
        position = found.end()
        kind = found.lastgroup
        if kind == "plain":
            word = found["plain"]
            if text[position : position + 1] in ("<", ">") and word.isdigit():
                return "a redirection of a stream above nine"
            if word[0] == "=" and word not in ("=", "=="):
                return "a word that begins with ="
            current.words.append(word)
        elif kind == "word":
            word = _unquoted(found["word"])
            if found["word"][0] == "=":
                return "a word that begins with ="
            current.words.append(word)
        elif kind == "operator":
            operator = found["operator"]
            if current.is_empty:
                if operator[0] != "\n":
                    return "an operator without a command"
                continue
            if len(commands) >= SIMPLE_COMMANDS_MAX:
                return f"more than {SIMPLE_COMMANDS_MAX} commands"
            current = SimpleCommand()
            commands.append(current)
            is_awaited = operator in ("|", "||", "&&")
        elif kind == "redirect":
            target = match_at(text, position)
            if target is None or target.lastgroup not in ("plain", "word"):
                return "a redirection without a plain target"
            name = target["plain"] or _unquoted(target["word"])
            if isinstance(name, GlobWord) or name[:1] == "=":
                return "a redirection to a pattern"
            if text[target.end() : target.end() + 1] in ("<", ">") and name.isdigit():
                return "a redirection to a number before another"
            current.redirects.append(Redirect(found["redirect"].lstrip("0123456789"), name))
            position = target.end()
        elif kind == "bang":
            if not current.words:
                return "a negated command"
            current.words.append("!")
        elif kind == "end":
            return "an operator without a command" if current.is_empty and is_awaited else ""
        words += 1
        if words > WORDS_MAX:
            return f"more than {WORDS_MAX:,} words"
    return _obstacle(text, position)


def _unquoted(raw: str) -> str:
    """The text of a word; each piece of it was matched before."""
    pieces: list[str] = []
    is_glob = False
    for piece in _PIECES.finditer(raw):
        kind = piece.lastgroup
        text = piece[kind] if kind else ""
        if kind == "double" and "\\" in text:
            text = _UNESCAPED.sub(r"\1", text)
        is_glob = is_glob or kind == "glob"
        pieces.append(text)
    word = "".join(pieces)
    return GlobWord(word) if is_glob and word not in ("[", "]") else word


def _obstacle(text: str, position: int) -> str:
    readable = _READABLE.match(text, position)
    at = readable.end() if readable else position
    character = text[at : at + 1]
    if not character:
        return "the end of the text comes too early"
    if not character.isascii() or not character.isprintable():
        return "a character outside quotes that is not printable ASCII"
    return _OBSTACLES.get(character, f"the character {character}")
