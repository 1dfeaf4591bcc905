"""Says whether a script for sed, awk or jq, or a format of printf, does no more than read what it is given."""

from __future__ import annotations

import re

SCRIPT_CHARS_MAX = 4_096
"""Longer scripts are programs, which a person should read."""

_AWK_WORDS = re.compile(r"system|getline|@|ARG|SYMTAB|FUNCTAB|PROCINFO|ENVIRON|extension|\\\n")
_AWK_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_JQ_WORDS = re.compile(r"env|ENV|include|import|modulemeta|search_list|\$__")

_SED_ADDRESS = r"(?:[0-9]++(?:~[0-9]++)?|\$|/(?P<{name}>(?:[^/\\\n]|\\[^\n])*+)/[I]?)"
_SED_FIRST = re.compile(r"[ \t;\n}]*+" + _SED_ADDRESS.format(name="first"))
_SED_SECOND = re.compile(r",[ \t]*+(?:[+~][0-9]++|" + _SED_ADDRESS.format(name="second") + ")")
_SED_GAP = re.compile(r"[ \t;\n}]*+")
_SED_COMMAND = re.compile(r"[ \t]*+(?:![ \t]*+)?(?P<command>[{pPdDnNhHgGxzlq=sy:bt])")
_SED_END = re.compile(r"[ \t]*+(?:[;\n]|(?=\})|\Z)")
_SED_LABEL = re.compile(r"[ \t]*+[A-Za-z0-9_]*+")
_SED_FLAGS = re.compile(r"[gpiI0-9]*+")
_SED_DELIMITERS = frozenset("/|,#:@!%_+")
_SED_EXIT_CODE = re.compile(r"(?:[ \t]*+[0-9]++)?")

_PRINTF_SPECIFICATION = re.compile(r"%(?:%|[-+ #0']*+(?:[0-9]++|\*)?(?:\.(?:[0-9]++|\*)?)?(?P<kind>[diouxXeEfFgGcsb]))")
_PRINTF_NUMBERS = frozenset("diouxXeEfFgG")


def why_awk_does_more(script: str) -> str | None:
    """Why an awk program may write, run or read another file, in words."""
    if len(script) > SCRIPT_CHARS_MAX:
        return "a long script"
    found = _AWK_WORDS.search(script)
    if found:
        return f"the script holds {found[0]}"
    if "|" in script.replace("||", ""):
        return "the script holds a pipe"
    printing = script.find("print")
    if printing >= 0 and ">" in script[printing:]:
        return "the script may print to a file"
    return None


def why_awk_variable_does_more(text: str) -> str | None:
    """Why the value of awk's `-v` is not a plain assignment."""
    if not _AWK_ASSIGNMENT.match(text) or _AWK_WORDS.search(text):
        return "an unusual variable"
    return None


def why_jq_does_more(script: str) -> str | None:
    """Why a jq filter may read the environment or another file."""
    if len(script) > SCRIPT_CHARS_MAX:
        return "a long script"
    found = _JQ_WORDS.search(script)
    return f"the filter holds {found[0]}" if found else None


def why_printf_does_more(words: list[str]) -> str | None:
    """Why `printf` with these operands may set a variable or evaluate one of them."""
    form, values = words[0], words[1:]
    kinds = {match["kind"] for match in _PRINTF_SPECIFICATION.finditer(form)}
    if "%" in _PRINTF_SPECIFICATION.sub("", form):
        return "a format that is not a plain one"
    if kinds & _PRINTF_NUMBERS or "*" in form:
        strange = [value for value in values if not value.isascii() or any(sign in value for sign in "$`[(")]
        if strange:
            return "a number that some shells evaluate"
    return None


def why_sed_does_more(script: str) -> str | None:
    """Why a sed script may write, run or read another file: it is not made of the known commands alone."""
    if len(script) > SCRIPT_CHARS_MAX:
        return "a long script"
    position = 0
    while True:
        gap = _SED_GAP.match(script, position)
        position = gap.end() if gap else position
        if position >= len(script):
            return None
        after = _sed_command(script, position)
        if after is None:
            return f"the script at {script[position : position + 20]!r} is not one that only prints and replaces"
        position = after


def _sed_command(script: str, position: int) -> int | None:
    """The position after one command, or None when it is not a known one."""
    first = _SED_FIRST.match(script, position)
    if first:
        if not _is_whole_pattern(first["first"]):
            return None
        position = first.end()
        second = _SED_SECOND.match(script, position)
        if second:
            if not _is_whole_pattern(second["second"]):
                return None
            position = second.end()
    found = _SED_COMMAND.match(script, position)
    if found is None:
        return None
    position = found.end()
    command = found["command"]
    if command == "{":
        return position
    if command in "sy":
        return _sed_substitution(script, position)
    ending = {":": _SED_LABEL, "b": _SED_LABEL, "t": _SED_LABEL, "q": _SED_EXIT_CODE, "l": _SED_EXIT_CODE}.get(command)
    return _sed_end(script, _end_of(ending, script, position) if ending else position)


def _sed_substitution(script: str, position: int) -> int | None:
    delimiter = script[position : position + 1]
    if delimiter not in _SED_DELIMITERS or not delimiter:
        return None
    middle = _next_delimiter(script, position + 1, delimiter)
    last = _next_delimiter(script, middle + 1, delimiter) if middle is not None else None
    if middle is None or last is None or not _is_whole_pattern(script[position + 1 : middle]):
        return None
    return _sed_end(script, _end_of(_SED_FLAGS, script, last + 1))


def _next_delimiter(script: str, position: int, delimiter: str) -> int | None:
    while position < len(script):
        character = script[position]
        if character == delimiter:
            return position
        if character == "\n" or script.startswith("\\\n", position):
            return None
        position += 2 if character == "\\" else 1
    return None


def _end_of(pattern: re.Pattern[str], script: str, position: int) -> int:
    found = pattern.match(script, position)
    return found.end() if found else position


def _sed_end(script: str, position: int) -> int | None:
    found = _SED_END.match(script, position)
    return found.end() if found else None


def _is_whole_pattern(pattern: str | None) -> bool:
    """Whether every bracket in `pattern` is closed: systems differ on a delimiter, or a backslash, inside one."""
    position = 0
    text = pattern or ""
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == "[":
            closing = _closing_bracket(text, position + 1)
            if closing is None:
                return False
            position = closing + 1
        else:
            position += 1
    return True


def _closing_bracket(text: str, position: int) -> int | None:
    """Where the bracket expression ends that begins before `position`; None when its end is not certain."""
    if text[position : position + 1] == "^":
        position += 1
    if text[position : position + 1] == "]":
        position += 1
    while position < len(text):
        character = text[position]
        if character == "]":
            return position
        if character == "\\" and not text[position + 1 : position + 2].isalpha():
            return None
        if character == "[" and text[position + 1 : position + 2] in (":", ".", "="):
            end = text.find(text[position + 1] + "]", position + 2)
            if end < 0:
                return None
            position = end + 2
        else:
            position += 1
    return None
