"""How a known program reads its arguments, as data, and the walk over them; which programs are known, it is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from opsconsole.policy.facts.shell_findings import Findings
from opsconsole.policy.facts.shell_lexer import GlobWord
from opsconsole.policy.facts.shell_paths import NULL_DEVICE, Workspace
from opsconsole.policy.facts.shell_scripts import why_awk_variable_does_more


class FoundWord(str):
    """What `find` puts in the place of `{}`: a path that begins as the place where the search began."""

    __slots__ = ()


class Kind(Enum):
    """What follows an option."""

    FLAG = ""
    ATTACHED = "?"
    """Nothing, or a value in the same word."""
    TEXT = ":"
    """A value, looked at as a path because some systems know the option without one."""
    FREE = "%"
    """A value that is no path, with every program of that name."""
    PATH = "/"
    SCRIPT = "!"
    """A value in the program's own language."""
    VARIABLE = "="
    """An assignment of awk."""


class Operands(Enum):
    """What the words are that are no options."""

    NONE = "none"
    TEXT = "text"
    PATHS = "paths"
    PATTERN = "a pattern, then paths"
    SCRIPT = "a script, then paths"


class Effect(Enum):
    """What an option makes of the program."""

    WRITES = "writes"
    DESTRUCTIVE = "destructive"
    PATTERN_GIVEN = "the pattern or script is given: every operand is a path"


ScriptCheck = Callable[[str], str | None]
"""Why a script may do more than read, in words, or None."""

_OPTION = re.compile(r"(--?)([A-Za-z0-9][A-Za-z0-9-]*)([?:%/!=]?)\Z")
_NUMBER = re.compile(r"[+-]?[0-9]+[bkKmMGTc]?\Z")
_PLAIN_NAME = re.compile(r"(?![0-9,$]*w/)[A-Za-z0-9_./@%+*?-]+\Z")
OPERANDS_MANY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program and every option that is known to be harmless, or to do no more than `effects` says."""

    name: str
    options: Mapping[str, Kind]
    operands: Operands = Operands.PATHS
    operands_max: int = OPERANDS_MANY
    """One more may be the name of a file to write."""
    effects: Mapping[str, Effect] = field(default_factory=dict)
    is_plain: bool = False
    """No option of it, known or not, writes, runs or reads a list of names: names like `-x` do no harm."""
    takes_digits: bool = False
    """`-5` is a number."""
    is_writer: bool = False
    writes_last_only: bool = False
    """A writer that only reads all but its last operand."""
    replaces_target: bool = False
    """A writer that puts another file where the null device was."""
    check_script: ScriptCheck | None = None


def options(text: str) -> Mapping[str, Kind]:
    """From `-abc -n: --long --file/`: letters without a value together, then one a word with the sign of its `Kind`."""
    found: dict[str, Kind] = {}
    for word in text.split():
        match = _OPTION.match(word)
        if match is None:
            raise ValueError(f"not an option: {word}")
        dashes, name, sign = match.groups()
        if dashes == "-" and not sign:
            found.update({f"-{letter}": Kind.FLAG for letter in name})
        elif dashes == "-" and len(name) > 1:
            raise ValueError(f"a letter with a value stands alone: {word}")
        else:
            found[dashes + name] = Kind(sign)
    return MappingProxyType(found)


class Walk:
    """One pass over the arguments of one program."""

    __slots__ = ("effects", "findings", "operands", "program", "scripts", "trailing", "words", "workspace")

    def __init__(self, program: Program, words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
        self.program = program
        self.words = words
        self.workspace = workspace
        self.findings = findings
        self.operands: list[str] = []
        self.scripts: list[str] = []
        self.trailing = 0
        """How many words there are from the first operand on: some programs take them all for operands."""
        self.effects: set[Effect] = set()

    def run(self) -> None:
        """Note what these arguments make the program do."""
        position = 1
        words = self.words
        count = len(words)
        while position < count:
            word = words[position]
            position += 1
            first = word[:1]
            if isinstance(word, GlobWord) and first in "*?[-" and not (self.program.is_plain and first != "-"):
                self.findings.note_unclear(f"{word[:40]} may become an option of {self.program.name}")
            if first != "-" or word == "-":
                self.operands.append(word)
                self.trailing = self.trailing or count - position + 1
            elif word == "--":
                self.operands.extend(words[position:])
                self.trailing = self.trailing or count - position
                break
            elif word[1] == "-":
                position = self._read_long(word, position)
            else:
                position = self._read_short(word, position)
        self._check_operands()

    def _read_long(self, word: str, position: int) -> int:
        name, sign, value = word.partition("=")
        kind = self.program.options.get(name)
        if kind is None or (sign and kind is Kind.FLAG):
            return self._unknown(word, position)
        self._take_effect(name)
        if sign:
            self._check_value(name, kind, value)
        elif kind not in (Kind.FLAG, Kind.ATTACHED):
            return self._read_value(name, kind, position)
        return position

    def _read_short(self, word: str, position: int) -> int:
        if self.program.takes_digits and word[1:].isdigit():
            return position
        for index in range(1, len(word)):
            name = "-" + word[index]
            kind = self.program.options.get(name)
            if kind is None:
                return self._unknown(word, position)
            self._take_effect(name)
            if kind is Kind.FLAG:
                continue
            rest = word[index + 1 :]
            if rest or kind is Kind.ATTACHED:
                self._check_value(name, kind, rest)
                return position
            return self._read_value(name, kind, position)
        return position

    def _read_value(self, name: str, kind: Kind, position: int) -> int:
        if position >= len(self.words):
            self.findings.note_unclear(f"{self.program.name} {name} without its value")
            return position
        value = self.words[position]
        if kind is Kind.TEXT and value[:1] == "-" and not _NUMBER.match(value):
            self.findings.note_unclear(f"{self.program.name} {name} before another option")
        if isinstance(value, GlobWord) and (value[:1] in "*?[-" or kind is Kind.SCRIPT):
            self.findings.note_unclear(f"{value[:40]} may become something else")
        self._check_value(name, kind, value)
        return position + 1

    def _check_value(self, name: str, kind: Kind, value: str) -> None:
        if isinstance(value, FoundWord) and kind is not Kind.PATH:
            self.findings.note_unclear(f"{self.program.name} {name} takes the name of what was found")
        if kind is Kind.SCRIPT:
            self.scripts.append(value)
        elif kind is Kind.ATTACHED:
            if value and not value.replace("-", "").replace(".", "").replace("_", "").isalnum():
                self.findings.note_unclear(f"{self.program.name} {name} with an unusual value")
        elif kind is Kind.VARIABLE and (why := why_awk_variable_does_more(value)):
            self.findings.note_unclear(f"{self.program.name}: {why}")
        if kind in (Kind.TEXT, Kind.PATH) or self.operands:
            # Some systems end the options at the first operand: then what looks like a value is another.
            self.check_path(value)
        if kind is Kind.PATH and self.program.effects.get(name) is Effect.WRITES:
            self._check_written([value])

    def _unknown(self, word: str, position: int) -> int:
        if not self.program.is_plain:
            self.findings.note_unclear(f"{self.program.name} with {word.partition('=')[0][:40]}")
        elif self.program.operands is Operands.PATHS and ("/" in word or ".." in word):
            self.findings.note_unclear(f"{self.program.name} with {word[:40]}")
        return position

    def _take_effect(self, name: str) -> None:
        effect = self.program.effects.get(name)
        if effect is Effect.DESTRUCTIVE:
            self.findings.note_destructive(f"{self.program.name} {name}")
        elif effect is Effect.WRITES:
            self.findings.note_writes(f"{self.program.name} {name} writes")
        if effect is not None:
            self.effects.add(effect)

    def _check_operands(self) -> None:
        program, operands = self.program, self.operands
        if program.operands is Operands.PATHS:
            self.check_paths(operands)
        elif program.operands is Operands.NONE:
            if operands:
                self.findings.note_unclear(f"{program.name} with {operands[0][:40]}")
        elif program.operands in (Operands.PATTERN, Operands.SCRIPT):
            given = Effect.PATTERN_GIVEN in self.effects or bool(self.scripts)
            if not given and operands:
                first = operands[0]
                if isinstance(first, FoundWord) or (
                    isinstance(first, GlobWord) and program.operands is Operands.SCRIPT
                ):
                    self.findings.note_unclear(f"{program.name} takes the name of a file for its script")
                if program.operands is Operands.SCRIPT:
                    self.scripts.append(first)
            self.check_paths(operands if given else operands[1:])
        self._check_scripts()
        if self.trailing > program.operands_max:
            self.findings.note_writes(f"{program.name} writes to a second file")
        if program.is_writer:
            self.findings.note_writes(f"{program.name} writes")
            self._check_written(operands[-1:] if program.writes_last_only else operands)
        elif program.check_script is not None and Effect.WRITES in self.effects:
            self._check_in_place()

    def _check_scripts(self) -> None:
        check = self.program.check_script
        if check is None:
            return
        if not self.scripts:
            self.findings.note_unclear(f"{self.program.name} without a script")
        for script in self.scripts:
            why = check(script)
            if why:
                self.findings.note_unclear(f"{self.program.name}: {why}")

    def _check_in_place(self) -> None:
        """Systems differ on whether the word after `sed -i` is a suffix: a name of a file may be read as a script."""
        if any(not _PLAIN_NAME.match(word) for word in self.operands[1:]):
            self.findings.note_unclear(f"{self.program.name} in place with an unusual name")
        self._check_written(self.operands[1:])

    def _check_written(self, words: Sequence[str]) -> None:
        if any(
            self.workspace.why_outside(word) or (word == NULL_DEVICE and self.program.replaces_target) for word in words
        ):
            self.findings.note_destructive("writes outside the workspace")

    def check_paths(self, words: Sequence[str]) -> None:
        """Note every word that, read as a path, may be outside the workspace."""
        for word in words:
            self.check_path(word)

    def check_path(self, word: str) -> None:
        """As `check_paths`, for one word."""
        why = self.workspace.why_outside(word)
        if why:
            self.findings.note_leaves(why)
