"""Reads the expression of `find`: its tests, its actions, and the program that `-exec` runs; it searches nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opsconsole.policy.facts.shell_findings import Findings, word_set
from opsconsole.policy.facts.shell_lexer import GlobWord
from opsconsole.policy.facts.shell_options import FoundWord
from opsconsole.policy.facts.shell_paths import Workspace, names_credential

JudgeWords = Callable[[Sequence[str], Workspace, Findings], None]

_ALONE = word_set(
    "! -not -a -and -o -or ( ) , -empty -readable -writable -executable -true -false -nouser -nogroup -xdev -mount"
    " -depth -daystart -noleaf -ignore_readdir_race -print -print0 -ls -prune -quit -warn -nowarn"
)
_NAMES = word_set("-name -iname -path -ipath -wholename -iwholename -regex -iregex -lname -ilname")
_WITH_TEXT = word_set(
    "-type -xtype -size -mtime -mmin -atime -amin -ctime -cmin -used -perm -user -group -uid -gid -links -inum"
    " -maxdepth -mindepth -printf -regextype -fstype -newermt -newerat -newerct -newerBt"
)
_WITH_PATH = word_set("-newer -anewer -cnewer -samefile -newermm")
_EXECUTES = frozenset(["-exec", "-execdir"])
_WRITES = word_set("-fprint -fprint0 -fprintf -fls")


def judge_find(words: Sequence[str], workspace: Workspace, findings: Findings, judge: JudgeWords) -> None:
    """Note what this search does; `judge` says what a program does that it runs."""
    position = 1
    while position < len(words) and not _begins_expression(words[position]):
        _judge_start(words[position], workspace, findings)
        position += 1
    while position < len(words):
        word = words[position]
        position += 1
        if isinstance(word, GlobWord):
            findings.note_unclear(f"{word[:40]} may become another expression of find")
        elif word in _ALONE:
            continue
        elif word in _NAMES or word in _WITH_TEXT or word in _WITH_PATH:
            if position >= len(words):
                findings.note_unclear(f"find {word} without its value")
                return
            is_excluded = words[position - 2] in ("!", "-not")
            _judge_value(word, words[position], is_excluded, workspace, findings)
            position += 1
        elif word in _EXECUTES:
            position = _judge_executed(words, position, workspace, findings, judge)
        elif word == "-delete":
            findings.note_destructive("find -delete")
        else:
            if word in _WRITES:
                findings.note_writes(f"find {word} writes")
            findings.note_unclear(f"find with {word[:40]}")


def _begins_expression(word: str) -> bool:
    return word[:1] in ("-", "(", ")", "!", ",")


def _judge_start(word: str, workspace: Workspace, findings: Findings) -> None:
    if isinstance(word, GlobWord) and word[:1] in "*?[":
        findings.note_unclear(f"{word[:40]} may become an expression of find")
    why = workspace.why_outside(word)
    if why:
        findings.note_leaves(why)


def _judge_value(name: str, value: str, is_excluded: bool, workspace: Workspace, findings: Findings) -> None:
    if isinstance(value, GlobWord):
        findings.note_unclear(f"{value[:40]} outside quotes may become an expression of find")
    if name in _NAMES and not is_excluded and names_credential(value):
        findings.note_leaves(f"{value[:80]} may hold credentials")
    if name in _WITH_PATH:
        why = workspace.why_outside(value)
        if why:
            findings.note_leaves(why)


def _judge_executed(
    words: Sequence[str], position: int, workspace: Workspace, findings: Findings, judge: JudgeWords
) -> int:
    """The position after the `;` or `+` that ends the command from `position` on."""
    executed: list[str] = []
    while position < len(words):
        word = words[position]
        position += 1
        if word == ";" or (word == "+" and executed[-1:] == ["{}"]):
            _judge_found([*executed, "{}"] if word == "+" else executed, workspace, findings, judge)
            return position
        executed.append(word)
    findings.note_unclear("find -exec without its end")
    return position


def _judge_found(words: list[str], workspace: Workspace, findings: Findings, judge: JudgeWords) -> None:
    """`+` puts many names: two stand for them."""
    inner = Findings()
    if not words or any("{}" in word and word != "{}" for word in words) or any(isinstance(w, GlobWord) for w in words):
        inner.note_unclear("find -exec with a name inside a word")
    elif words[0] in ("find", "cd", "{}"):
        inner.note_unclear(f"find -exec {words[0]}")
    else:
        judge([FoundWord("./found") if word == "{}" else word for word in words], workspace, inner)
    if words[:1] == ["rm"]:
        findings.note_destructive("find runs rm on what it finds")
    if inner.writes or inner.destructive:
        findings.note_unclear(f"find runs {words[0][:40]} on what it finds")
    if not inner.is_read_only:
        findings.merge(inner)
