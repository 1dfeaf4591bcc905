"""Programs whose arguments are no options and operands: each is a small grammar of its own, git a list of verbs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from opsconsole.policy.facts.shell_findings import Findings, word_set
from opsconsole.policy.facts.shell_lexer import GlobWord
from opsconsole.policy.facts.shell_options import FoundWord
from opsconsole.policy.facts.shell_paths import NULL_DEVICE, Workspace
from opsconsole.policy.facts.shell_scripts import why_printf_does_more

Judge = Callable[[Sequence[str], Workspace, Findings], None]

_TEST_OPERATORS = word_set("! = == != -a -o -e -f -d -r -w -x -s -L -h -n -z -b -c -p -S -nt -ot -ef ( )")
_TEST_NUMERIC = word_set("-eq -ne -gt -ge -lt -le")
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_DATE_OPTIONS = word_set("-u --utc --universal -R -I --rfc-email --iso-8601 -Iseconds -Idate")
_PS_ARGUMENTS = word_set("aux ax -e -A -ef -aux -f -a auxww axu -eF")
_NAME = re.compile(r"[A-Za-z0-9_.+\[-]+\Z")

_GIT_VERBS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        verb: word_set(allowed)
        for verb, allowed in {
            "version": "",
            "rev-parse": "--show-toplevel --abbrev-ref --verify --is-inside-work-tree --show-prefix -q",
        }.items()
    }
)
"""These run no program and rewrite nothing, whatever the repository's configuration says, if of no commit but HEAD:
to look at another may fetch it."""
_GIT_SHARED = (
    " --stat --oneline --name-only --name-status --no-color --color --graph --decorate --all --no-merges --merges -p -s"
    " --shortstat --numstat --summary --patch --no-patch --reverse --first-parent --abbrev-commit --follow --cached"
    " --staged --word-diff -w -b --ignore-space-change --ignore-all-space --no-ext-diff --no-textconv -M -C --check"
)
_GIT_TRUSTED_VERBS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        verb: word_set(allowed + shared)
        for verb, allowed, shared in (
            ("status", "-s -b --short --branch --porcelain -u -uno --ignored -sb --long", ""),
            ("log", "", _GIT_SHARED),
            ("diff", "", _GIT_SHARED),
            ("show", "", _GIT_SHARED),
            ("blame", "-w -s -e -l", ""),
            ("shortlog", "-s -n -e -sn -sne", ""),
            ("ls-files", "-c -d -m -o -s --cached --modified --others --exclude-standard", ""),
            ("ls-tree", "-r -d -l --name-only --full-tree", ""),
            ("describe", "--tags --always --dirty --long", ""),
            ("rev-list", "--all --count", ""),
        )
    }
)
"""These run what the configuration names (a monitor, a filter, a pager) and refresh the index."""
_GIT_COUNT = re.compile(r"-(?:[0-9]+|n[0-9]+|U[0-9]+)\Z")
_GIT_WORD = re.compile(r"(?![+:])[A-Za-z0-9_./^@{}~:+-]+\Z")


def judge_test(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`test` and `[`: some shells evaluate what stands by a numeric operator, and `-v`."""
    arguments = list(words[1:])
    if words[0] == "[":
        if arguments[-1:] != ["]"]:
            findings.note_unclear("[ without ]")
        arguments = arguments[:-1]
    is_numeric = any(word in _TEST_NUMERIC for word in arguments)
    for word in arguments:
        if word in _TEST_OPERATORS or word in _TEST_NUMERIC:
            continue
        if isinstance(word, GlobWord) or (word[:1] == "-" and not _INTEGER.match(word)):
            findings.note_unclear(f"{words[0]} with {word[:40]}")
        elif is_numeric and not _INTEGER.match(word):
            findings.note_unclear("a number that some shells evaluate")
        _note_path(word, workspace, findings)


def judge_printf(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`printf FORMAT VALUES`."""
    operands = list(words[2:] if words[1:2] == ["--"] else words[1:])
    if not operands or operands[0][:1] == "-" or any(isinstance(word, GlobWord | FoundWord) for word in operands):
        findings.note_unclear("printf with an option, a pattern or nothing")
        return
    why = why_printf_does_more(operands)
    if why:
        findings.note_unclear(f"printf: {why}")


def judge_date(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`date`: an operand without `+` sets the clock."""
    position = 1
    while position < len(words):
        word = words[position]
        position += 1
        if word in ("-d", "--date") and position < len(words) and not isinstance(words[position], GlobWord | FoundWord):
            _note_path(words[position], workspace, findings)
            position += 1
        elif not (word in _DATE_OPTIONS or word[:1] == "+" or word.startswith("--date=")) or isinstance(word, GlobWord):
            findings.note_unclear(f"date with {word[:40]}")


def judge_ps(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`ps`: only the forms that do not show the environment of processes."""
    for word in words[1:]:
        if word not in _PS_ARGUMENTS:
            findings.note_unclear(f"ps with {word[:40]}")


def judge_command(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`command -v NAME` looks a program up; any other form runs one."""
    if words[1:2] not in (["-v"], ["-V"]) or not all(_NAME.match(word) and word[0] != "-" for word in words[2:]):
        findings.note_unclear("command runs a program")


def judge_cd(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`cd DIRECTORY`: no word means home, `-` the place before."""
    if len(words) != 2 or isinstance(words[1], GlobWord) or words[1][:1] == "-" or not words[1]:
        findings.note_unclear("cd to a place that is not written out")
        findings.note_leaves("cd to a place that is not written out")
        return
    if words[1] == NULL_DEVICE:
        findings.note_unclear("cd to a device")
    _note_path(words[1], workspace, findings)


def judge_git(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`git`, in a repository whose configuration anybody may have written."""
    _judge_git(words, workspace, findings, _GIT_VERBS)


def judge_trusted_git(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    """`git`, in a repository whose configuration and attributes are trusted."""
    _judge_git(words, workspace, findings, {**_GIT_VERBS, **_GIT_TRUSTED_VERBS})


def _judge_git(
    words: Sequence[str], workspace: Workspace, findings: Findings, verbs: Mapping[str, frozenset[str]]
) -> None:
    arguments = list(words[2:] if words[1:2] == ["--no-pager"] else words[1:])
    allowed = verbs.get(arguments[0]) if arguments else None
    if allowed is None:
        known = arguments and arguments[0] in _GIT_TRUSTED_VERBS
        cause = "may run what the repository's configuration names" if known else "is not known to only read"
        findings.note_unclear(f"git {arguments[0][:40] if arguments else ''} {cause}")
        return
    for word in arguments[1:]:
        if word[:1] == "-":
            if word not in allowed and word != "--" and not (_GIT_COUNT.match(word) and "--stat" in allowed):
                findings.note_unclear(f"git {arguments[0]} with {word[:40]}")
        elif word == "HEAD":
            continue
        elif arguments[0] in _GIT_VERBS or isinstance(word, GlobWord) or not _GIT_WORD.match(word):
            findings.note_unclear(f"git {arguments[0]} with {word[:40]}")
        else:
            for part in word.split(":"):
                if part.strip(".^") or part[:1] == "/" or "/" in part:
                    _note_path(part, workspace, findings)


def _note_path(word: str, workspace: Workspace, findings: Findings) -> None:
    why = workspace.why_outside(word)
    if why:
        findings.note_leaves(why)


BUILTINS: Mapping[str, Judge] = MappingProxyType(
    {
        "test": judge_test,
        "[": judge_test,
        "printf": judge_printf,
        "date": judge_date,
        "ps": judge_ps,
        "command": judge_command,
        "cd": judge_cd,
        "git": judge_git,
    }
)
