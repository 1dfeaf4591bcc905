"""Colours for SQL, shell and JSON in arguments: spans whose text is exactly what came in; it judges nothing.

Ours on purpose: what an agent wrote is never given to a native parser here. Patterns look at each character once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Literal

from opsconsole.console.view.line import Span, Tone

Language = Literal["sql", "shell", "json", "text"]
CHARS_MAX = 16_384
"""Characters of one text that are coloured; the rest is shown plain."""

_NAMES: dict[str, Language] = {
    **dict.fromkeys(("sql", "query", "statement"), "sql"),
    **dict.fromkeys(("command", "cmd", "script", "shell", "bash"), "shell"),
    **dict.fromkeys(("json", "body", "payload"), "json"),
}
_SQL_STARTS = re.compile(
    r"\s{0,40}(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|TRUNCATE|MERGE|GRANT|REVOKE|EXPLAIN)\s", re.I
)


def language_of(name: str, value: Any) -> Language:
    """What an argument probably is, by its name and its look; a wrong guess costs colours only."""
    if not isinstance(value, str):
        return "json"
    named = _NAMES.get(name.lower().rsplit("_", 1)[-1])
    if named == "json" or (named is None and value[:1] in ("{", "[")):
        return "json" if value.lstrip()[:1] in ("{", "[") else "text"
    if named == "sql" or (named is None and _SQL_STARTS.match(value)):
        return "sql"
    return named or "text"


def highlight(text: str, language: Language) -> list[Span]:
    """`text` in spans; put together they are `text` again, whatever it is."""
    head, rest = text[:CHARS_MAX], text[CHARS_MAX:]
    spans = _HIGHLIGHT[language](head)
    return [*spans, (rest, "plain")] if rest else spans


_SQL = re.compile(
    r"(?P<comment>--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?)"
    r"|(?P<string>'(?:[^']|'')*'?)"
    r'|(?P<name>"[^"]*"?|`[^`]*`?)'
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z_0-9$]*)"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SQL_WRITES = _words(
    "ALTER CALL COPY CREATE DELETE DROP EXEC EXECUTE GRANT INSERT MERGE REPLACE REVOKE TRUNCATE UPDATE VACUUM"
)
_SQL_WORDS = _words(
    """ALL AND ANY AS ASC BEGIN BETWEEN BY CASCADE CASE CAST COLUMN COMMIT CONSTRAINT CROSS DEFAULT DESC DISTINCT ELSE
    END EXCEPT EXISTS EXPLAIN FALSE FOREIGN FROM FULL GROUP HAVING IF IN INDEX INNER INTERSECT INTO IS JOIN KEY LEFT
    LIKE LIMIT NOT NULL OFFSET ON OR ORDER OUTER PRIMARY REFERENCES RETURNING RIGHT ROLLBACK SELECT SET TABLE THEN TO
    TRUE UNION UNIQUE USING VALUES VIEW WHEN WHERE WITH"""
)


def _sql(text: str) -> list[Span]:
    def tone(kind: str, token: str) -> Tone:
        if kind != "word":
            return _TONES[kind]
        word = token.upper()
        return "bad" if word in _SQL_WRITES else "title" if word in _SQL_WORDS else "plain"

    return _spans(_SQL, text, tone)


_JSON = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*"?)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>true|false|null)', re.DOTALL
)


def _json(text: str) -> list[Span]:
    spans = _spans(_JSON, text, lambda kind, token: "hold" if kind == "word" else _TONES[kind])
    return [
        (part, "title" if tone == "good" and place + 1 < len(spans) and spans[place + 1][0][:1] == ":" else tone)
        for place, (part, tone) in enumerate(spans)
    ]


_SHELL = re.compile(
    r"(?P<string>'[^']*'?|\"(?:[^\"\\]|\\.)*\"?)"
    r"|(?P<variable>\$\{[^}\n]*\}?|\$[A-Za-z_][A-Za-z_0-9]*|\$[0-9@*#?$!-])"
    r"|(?P<operator>[|;&<>()\n]+|\$\()"
    r"|(?P<comment>(?<![^\s;|&])#[^\n]*)"
    r"|(?P<word>(?:[^\s'\"$|;&<>()\\]|\\.)+)",
    re.DOTALL,
)
_SHELL_HEAVY = _words(
    """chmod chown crontab curl dd eval halt kill killall mkfs mount mv nc nohup pkill poweroff reboot rm rmdir scp
    shred shutdown ssh su sudo systemctl truncate umount useradd userdel wget"""
)
"""Commands that remove, stop, fetch or run as somebody else; a colour, not a judgement."""
_ASSIGNS = re.compile(r"[A-Za-z_][A-Za-z_0-9]*=")


def _shell(text: str) -> list[Span]:
    first = True

    def tone(kind: str, token: str) -> Tone:
        nonlocal first
        if kind == "operator":
            first = "<" not in token and ">" not in token
            return "key"
        if kind != "word":
            first = False if kind != "comment" else first
            return _TONES[kind]
        if first and not _ASSIGNS.match(token):
            first = token in ("sudo", "env", "nohup", "time", "exec")
            return "bad" if token.rsplit("/", 1)[-1] in _SHELL_HEAVY else "title"
        return "hold" if token.startswith("-") else "plain"

    return _spans(_SHELL, text, tone)


_TONES: dict[str, Tone] = {
    "comment": "dim",
    "string": "good",
    "name": "plain",
    "number": "hold",
    "variable": "hold",
}


def _spans(pattern: re.Pattern[str], text: str, tone: Callable[[str, str], Tone]) -> list[Span]:
    spans: list[Span] = []
    at = 0
    for match in pattern.finditer(text):
        if match.start() > at:
            spans.append((text[at : match.start()], "plain"))
        spans.append((match.group(), tone(match.lastgroup or "", match.group())))
        at = match.end()
    if at < len(text):
        spans.append((text[at:], "plain"))
    return spans


_HIGHLIGHT: dict[Language, Callable[[str], list[Span]]] = {
    "sql": _sql,
    "shell": _shell,
    "json": _json,
    "text": lambda text: [(text, "plain")] if text else [],
}


def argument_spans(name: str, value: Any, written: Callable[[Any], str]) -> list[Span]:
    """One argument as the approval view writes it: `name: value`; a text of several lines stands on lines of its own.

    `name` and the texts in `value` are safe to show; `written` gives what is no text.
    """
    language = language_of(name, value)
    head: Span = (f"{name}: ", "dim")
    if not isinstance(value, str):
        text = written(value) if isinstance(value, dict | list) else json.dumps(value)
        return [head, *highlight(text, "json")]
    if "\n" not in value:
        text = json.dumps(value, ensure_ascii=False)
        inner = highlight(text[1:-1], language)
        return [head, ('"', "plain"), *inner, ('"', "plain")]
    spans: list[Span] = [head, (f"(text of {value.count(chr(10)) + 1} lines)\n  | ", "dim")]
    for part, tone in highlight(value, language):
        for place, piece in enumerate(part.split("\n")):
            if place:
                spans.append(("\n  | ", "dim"))
            if piece:
                spans.append((piece, tone))
    return spans
