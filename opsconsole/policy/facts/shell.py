"""The fact about a shell command: what it certainly no more than reads, or what it may do besides; it decides nothing.

The promise is `read_only`: understood as a whole, nothing written, nothing outside the workspace named, no network.
It is about the text, as sh, dash, bash and zsh read it in UTF-8: a symbolic link that leads out of the workspace, a
program or an alias that replaced another of its name are not seen, nor which files a search through the whole
workspace comes by. Whatever is not understood is `unclear`; it then counts as writing and as leaving as well.
`destructive` and `network` tell of what was recognised, and serve wording and risk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opsconsole.policy.facts.interface import Fact, FactConfigError, FactMaker, FactValue, History, text_setting
from opsconsole.policy.facts.shell_builtins import BUILTINS, Judge, judge_trusted_git
from opsconsole.policy.facts.shell_find import judge_find
from opsconsole.policy.facts.shell_findings import Findings
from opsconsole.policy.facts.shell_hints import (
    NETWORK_PROGRAMS,
    PROGRAMS_MAX,
    guess_programs,
    is_system_program,
    note_hints,
)
from opsconsole.policy.facts.shell_lexer import COMMAND_CHARS_MAX, GlobWord, SimpleCommand, read
from opsconsole.policy.facts.shell_options import Walk
from opsconsole.policy.facts.shell_paths import NULL_DEVICE, Workspace
from opsconsole.policy.facts.shell_programs import PROGRAMS

FIELDS: Mapping[str, type] = MappingProxyType(
    {
        "read_only": bool,
        "writes": bool,
        "destructive": bool,
        "leaves_workspace": bool,
        "network": bool,
        "unclear": bool,
        "programs": list,
        "why": str,
    }
)
_DIRECTORY_ARGUMENTS = ("cwd", "workdir", "working_dir", "working_directory", "directory", "dir", "path")
"""Names under which tools take the place to start in: it moves every relative path."""
_CHANGING_ARGUMENTS = ("env", "environment", "stdin", "input", "shell", "executable", "user", "host")
"""Names under which tools take what changes the meaning of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellFact:
    """Judges the command in one argument."""

    argument: str
    workspace: Workspace
    builtins: Mapping[str, Judge]

    @property
    def fields(self) -> Mapping[str, type]:
        """The same for every configuration."""
        return FIELDS

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """The values of `FIELDS`; `why` is the first reason why it is not read-only, or empty."""
        text = args.get(self.argument)
        findings = Findings()
        programs: list[str] = []
        if not isinstance(text, str):
            findings.note_unclear(f"the argument {self.argument} is no text")
        else:
            self._judge_surroundings(args, findings)
            programs = self._judge_text(text, findings)
        return {
            "read_only": findings.is_read_only,
            "writes": findings.writes or findings.unclear,
            "destructive": findings.destructive,
            "leaves_workspace": findings.leaves_workspace or findings.unclear,
            "network": findings.network,
            "unclear": findings.unclear,
            "programs": programs,
            "why": findings.why,
        }

    def _judge_surroundings(self, args: Mapping[str, Any], findings: Findings) -> None:
        if len(args) == 1:
            return  # the command alone
        for name in _DIRECTORY_ARGUMENTS:
            place = args.get(name)
            if place and name != self.argument:
                why = self.workspace.why_outside(place) if isinstance(place, str) else "is no text"
                if why:
                    findings.note_leaves(f"{name}: {why}")
        for name in _CHANGING_ARGUMENTS:
            if args.get(name) and name != self.argument:
                findings.note_unclear(f"the argument {name} changes what the command means")

    def _judge_text(self, text: str, findings: Findings) -> list[str]:
        """The names of the programs that the command runs."""
        reading = read(text)
        if reading.unclear:
            findings.note_unclear(reading.unclear)
        for command in reading.commands:
            self._judge_simple(command, findings)
        if findings.unclear:
            beginning = text[:COMMAND_CHARS_MAX]
            note_hints(beginning, self.workspace, findings)
            if reading.unclear:
                return guess_programs(beginning)
        programs = (command.words[0][:80] for command in reading.commands if command.words)
        return list(dict.fromkeys(programs))[:PROGRAMS_MAX]

    def _judge_simple(self, command: SimpleCommand, findings: Findings) -> None:
        for redirect in command.redirects:
            self._judge_redirect(redirect.operator, redirect.target, findings)
        for word in command.words:
            if isinstance(word, GlobWord) and (why := self.workspace.why_outside(word)):
                findings.note_leaves(why)
        if command.words:
            self._judge_words(command.words, self.workspace, findings)

    def _judge_words(self, words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
        name = words[0]
        program = PROGRAMS.get(name)
        if isinstance(name, GlobWord):
            findings.note_unclear("a pattern for a program's name")
        elif program is not None:
            Walk(program, words, workspace, findings).run()
        elif name == "find":
            judge_find(words, workspace, findings, self._judge_words)
        elif name in self.builtins:
            self.builtins[name](words, workspace, findings)
        else:
            _judge_unknown(name, findings)

    def _judge_redirect(self, operator: str, target: str, findings: Findings) -> None:
        if target == NULL_DEVICE:
            return
        why = self.workspace.why_outside(target)
        if why:
            findings.note_leaves(why)
        if operator != "<":
            findings.note_writes(f"writes to {target[:80]}")
            if why:
                findings.note_destructive("writes outside the workspace")


def _judge_unknown(name: str, findings: Findings) -> None:
    last = name.rpartition("/")[2]
    if is_system_program(last):
        findings.note_destructive(f"{last[:40]} is a system program")
    if last in NETWORK_PROGRAMS:
        findings.note_network(f"{last[:40]} speaks to other machines")
    if "/" in name:
        findings.note_leaves(f"runs the file {name[:80]}")
    findings.note_unclear(f"{name[:80]} is not a program that is known to only read")


def make(config: Mapping[str, Any]) -> Fact:
    """`arg` (the command's argument), `workspace` (its directory), `trusts_git_config` (whether git may be read by).

    Raises:
        FactConfigError: a setting is missing or wrong.
    """
    trusts_git = config.get("trusts_git_config", False)
    if not isinstance(trusts_git, bool):
        raise FactConfigError("trusts_git_config", "give true or false")
    builtins = {**BUILTINS, "git": judge_trusted_git} if trusts_git else BUILTINS
    return ShellFact(argument=text_setting(config, "arg"), workspace=Workspace(root=_root(config)), builtins=builtins)


def _root(config: Mapping[str, Any]) -> str | None:
    if "workspace" not in config:
        return None
    root = text_setting(config, "workspace").rstrip("/")
    parts = root.split("/")
    if not root.startswith("/") or {"", ".", ".."} & set(parts[1:]):
        raise FactConfigError("workspace", "give an absolute path without . and .., and not the root")
    return root


MAKER = FactMaker(
    fields=FIELDS, settings=frozenset({"arg", "workspace", "trusts_git_config"}), files=frozenset(), make=make
)
