"""Words that tell of danger in a command that was not understood: for wording and risk only, never for safety."""

from __future__ import annotations

import re
from collections.abc import Sequence

from opsconsole.policy.facts.shell_findings import Findings, word_set
from opsconsole.policy.facts.shell_paths import Workspace

PROGRAMS_MAX = 32
"""More names than anyone reads."""

SEGMENTS_MAX = 256
"""Parts of one command that are looked at."""
REDIRECTS_MAX = 32

SYSTEM_PROGRAMS = word_set(
    "shutdown reboot halt poweroff init telinit systemctl service mkfs mkswap fdisk parted sfdisk wipefs dd shred mount"
    " umount swapoff insmod rmmod modprobe iptables nft ufw useradd userdel usermod groupdel passwd chpasswd visudo"
    " crontab kill killall pkill sysctl lvremove vgremove zpool hdparm chroot"
)
NETWORK_PROGRAMS = word_set(
    "curl wget ssh scp sftp rsync nc ncat netcat socat telnet ftp ping ping6 traceroute dig nslookup host whois nmap"
    " openssl aria2c http https lynx w3m pip pip3 pipx uv poetry npm npx yarn pnpm bun cargo gem apt apt-get aptitude"
    " dnf yum apk brew snap docker podman kubectl helm aws gcloud az gh gsutil terraform ansible mail sendmail"
)
_ALSO_WORDS = word_set("service init mount host http https az gh mail aws bun snap gem install helm brew")
"""Names that are words as well: they count only where a program's name stands."""
_WRAPPERS = word_set(
    "sudo doas exec xargs env nohup time then do else if while until ! { nice timeout command builtin eval -c -s"
    " -lc -ic bash sh zsh dash su -"
)
_NETWORK_NAMES = NETWORK_PROGRAMS - _ALSO_WORDS
_GIT_NETWORK = word_set("push pull fetch clone ls-remote submodule")
_PUSH_FORCED = word_set("--force --force-with-lease --mirror --delete -f -d")
_GIT_LOSSES = (
    ("reset", word_set("--hard --merge")),
    ("clean", word_set("-f -fd -df -fdx -fx -xf -xdf -xfd -dfx --force")),
    ("checkout", word_set("-- . -f --force")),
    ("restore", word_set(". --worktree -W --source")),
    ("branch", word_set("-D --delete")),
    ("stash", word_set("drop clear")),
    ("reflog", word_set("expire delete")),
)
_RECURSIVE_CHANGES = word_set("chmod chown chgrp")
_SEGMENT_END = re.compile(r"[;|&\n()`]")
_REDIRECT = re.compile(r">\|?+[ \t]*+(/[^\s;|&\"'`()<>]*+)")
_STREAMS = word_set("/dev/null /dev/stdout /dev/stderr /dev/tty")
_PROGRAM = re.compile(r"(?:\A|[;&|(`\n])[ \t]*+([A-Za-z0-9_./+-]+)")
_QUOTES = "\"'{}\\$,"


def note_hints(text: str, workspace: Workspace, findings: Findings) -> None:
    """Note what the words of a command that is not understood tell of; takes time in proportion to the text."""
    for segment in _SEGMENT_END.split(text, maxsplit=SEGMENTS_MAX):
        words = [stripped for word in segment.split() if (stripped := word.strip(_QUOTES) or word)]
        if words:
            _note_segment(words, workspace, findings)
    for count, redirect in enumerate(_REDIRECT.finditer(text)):
        if count >= REDIRECTS_MAX:
            break
        if redirect[1] not in _STREAMS and workspace.why_outside(redirect[1]):
            findings.note_destructive("writes outside the workspace")
    if ":|:" in text.replace(" ", ""):
        findings.note_destructive("a fork bomb")
    if "/dev/tcp/" in text or "/dev/udp/" in text:
        findings.note_network("speaks to another machine")


def guess_programs(text: str) -> list[str]:
    """The names that stand where a program's name would, in a text that is not understood."""
    return list(dict.fromkeys(match[1][:80] for match in _PROGRAM.finditer(text)))[:PROGRAMS_MAX]


def _note_segment(words: Sequence[str], workspace: Workspace, findings: Findings) -> None:
    names = {word.rpartition("/")[2] for word in words}
    why = _why_destructive(words, names, workspace)
    if why:
        findings.note_destructive(why)
    first = _first_program(words)
    if names & _NETWORK_NAMES or first in NETWORK_PROGRAMS or ("git" in names and names & _GIT_NETWORK):
        findings.note_network("speaks to another machine")


def _why_destructive(words: Sequence[str], names: set[str], workspace: Workspace) -> str | None:
    first = _first_program(words)
    if is_system_program(first) and first not in _ALSO_WORDS:
        return f"{first[:40]} is a system program"
    if "rm" in names:
        return _why_rm(words, names, workspace)
    if "git" in names:
        return _why_git(words)
    if names & _RECURSIVE_CHANGES and any(word[:1] == "-" and "R" in word for word in words):
        return "a recursive change"
    if "find" in names and "-delete" in names:
        return "find -delete"
    return "truncate" if first == "truncate" else None


def _why_rm(words: Sequence[str], names: set[str], workspace: Workspace) -> str | None:
    if names & {"find", "xargs"}:
        return "runs rm on what it finds"
    for word in words:
        if word == "--recursive" or (word[:1] == "-" and word[1:2] != "-" and ("r" in word or "R" in word)):
            return "rm -r"
        if word[:1] in "/~" and not word.endswith("/rm") and workspace.why_outside(word):
            return "rm of what is outside"
    return None


def _why_git(words: Sequence[str]) -> str | None:
    given = set(words)
    if "push" in given and (given & _PUSH_FORCED or any(word[:1] == "+" for word in words)):
        return "a forced push"
    if "filter-branch" in given:
        return "git throws work away"
    if any(verb in given and given & options for verb, options in _GIT_LOSSES):
        return "git throws work away"
    return None


def is_system_program(name: str) -> bool:
    """Whether a program of that name changes the system itself."""
    return name in SYSTEM_PROGRAMS or name.startswith("mkfs.")


def _first_program(words: Sequence[str]) -> str:
    for word in words:
        if word not in _WRAPPERS and "=" not in word:
            return word.rpartition("/")[2]
    return ""
