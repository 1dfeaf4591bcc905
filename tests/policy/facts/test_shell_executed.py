"""Runs generated commands that are said to only read, in a scratch directory, and looks whether anything changed."""

import hashlib
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.facts.shell import MAKER

SEED = 7
COMMANDS_RUN = 250
CANARY = "this stands outside the workspace"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "KEY": CANARY}
NAMES = (
    "a.txt",
    "b.txt",
    "src",
    "src/c.py",
    "./a.txt",
    "w",
    "-o",
    "-x.txt",
    "data.json",
    "n.csv",
    "new.txt",
    "s*",
    "./*",
    "*",
)
AWAY = ("..", "../out.txt", "src/../../out.txt", "~", "~/out.txt", ".env", "$HOME/out.txt", ".*")
SEDS = (
    "p",
    "1d",
    "s/a/b/",
    "s/a/b/w new.txt",
    "w new.txt",
    "1e touch new.txt",
    "s/.*/touch new.txt/e",
    "r ../out.txt",
    "/a/p",
)
SEDS_MORE = (
    "$!d",
    ":x;s/a/b/;tx",
    "s/[/]/w new.txt/",
    "s/[/]w new.txt/x/",
    "y/a/b/;w new.txt",
    "1,2{p;w new.txt\n}",
    "n;=",
    "R w",
)
AWKS = (
    "{print}",
    "{print $1}",
    "NR>1",
    "{print > $1}",
    '{print|"sh"}',
    'BEGIN{system("touch new.txt")}',
    "$1>1{print $2}",
)
AWKS_MORE = (
    'BEGIN{while((getline x<"../out.txt")>0)print x}',
    "END{print NR||1}",
    'BEGIN{ARGV[1]="../out.txt"}{print}',
)
SCRIPTS = {
    "sed": (*SEDS, *SEDS_MORE),
    "awk": (*AWKS, *AWKS_MORE),
    "grep": ("a", "-r", "-f", "-c", "-e"),
    "tr": ("a", "b", "-d"),
}
PROGRAMS = {
    "ls": ("-l", "-a", "-R", "-1"),
    "cat": ("-n", "-A"),
    "head": ("-n", "2", "-1", "-c"),
    "tail": ("-n", "+1", "-2"),
    "sort": (
        "-o",
        "-u",
        "-k",
        "2",
        "-onew.txt",
        "--output=new.txt",
        "-T",
        "-t",
        "--compress-program=touch",
        "-r",
        "--",
    ),
    "uniq": ("-c", "-d", "-f", "1", "--"),
    "wc": ("-l", "--files0-from=w", "-c"),
    "cut": ("-d", ",", "-f", "1", "-f1"),
    "paste": ("-d", ",", "-s"),
    "tee": ("-a",),
    "diff": ("-u", "-r", "-l", "-q"),
    "cmp": ("-l",),
    "comm": ("-12",),
    "join": ("-t", ",", "-1", "1"),
    "nl": ("-b", "a"),
    "od": ("-c", "-A", "n"),
    "xxd": ("-r", "-p", "-l", "4"),
    "base64": ("-d", "-w", "0"),
    "md5sum": ("-c", "-b"),
    "stat": ("-c", "%s", "-f"),
    "du": ("-s", "-a", "-h"),
    "file": ("-b", "-C", "-m", "-f", "-z"),
    "tac": ("-s", ","),
    "fold": ("-w", "3"),
    "basename": ("-a",),
    "echo": ("-n", "-e", "'\\0'"),
    "printf": ("'%s'", "'%d'", "-v", "'%n'", "x", "1"),
    "test": ("-f", "-d", "=", "-v", "-eq", "'a[$(touch new.txt)]'"),
    "date": ("-u", "+%s", "-r", "-f", "-s"),
    "seq": ("1", "3"),
    "cd": ("-", "src", "--"),
    "rm": ("-f", "-r", "-rf"),
    "cp": ("-r", "-t"),
    "mv": ("-f",),
    "touch": ("-c",),
    "mkdir": ("-p",),
    "truncate": ("-s", "0"),
    "sed": ("-n", "-i", "-e", "-E", "-i.bak", "-ni", "-f", "-s"),
    "awk": ("-F", ",", "-v", "x=1", "-f", "-i", "inplace"),
    "grep": ("-r", "-n", "-c", "-f", "-e", "a", "-o", "-R"),
    "tr": ("-d", "-s", "a", "b"),
    "find": (),
    "xargs": ("rm", "cat", "touch"),
    "env": ("touch",),
    "sh": ("-c",),
}
SEARCHES = (
    *(
        "-name a.txt",
        "-name '*.txt'",
        "-name *.txt",
        "-type f",
        "-print",
        "-ls",
        "! -name w",
        "-newer a.txt",
        "-maxdepth 1",
    ),
    *(
        "-delete",
        "-fprint new.txt",
        "-fls new.txt",
        "-o -print0",
        "\\( -name a -o -name b \\)",
        "-printf '%p'",
        "2>/dev/null",
    ),
    *(
        "-exec cat {} \\;",
        "-exec wc -l {} +",
        "-exec rm {} \\;",
        "-exec uniq {} +",
        "-exec uniq {} \\;",
        "-exec grep -l a {} +",
    ),
    *(
        "-exec touch {}x \\;",
        "-exec sed -i p {} \\;",
        "-exec sed -n p {} +",
        "-exec awk {} \\;",
        "-exec sort -o {} {} \\;",
    ),
    *(
        "-exec basename {} \\;",
        "-exec xxd {} +",
        "-execdir head -n 1 {} \\;",
        "-exec sh -c 'touch new.txt' \\;",
        "-exec sort {} +",
    ),
)
REDIRECTS = (
    "",
    "",
    "",
    " 2>/dev/null",
    " >new.txt",
    " </dev/null",
    " >/dev/null",
    " 2>&1",
    " >>a.txt",
    " <a.txt",
    " >&2",
    " 2>/dev/null -delete",
    " 2>/dev/null -o new.txt",
)
JOINTS = (" | ", " && ", " ; ", " || ", "\n", " & ", "|", ";", " |& ")
NOISE = (
    "",
    "",
    "",
    "",
    "",
    "",
    " 'q r'",
    ' "x"',
    " $KEY",
    " `touch new.txt`",
    " {a,b}",
    " ~",
    " #",
    " (",
    " \\",
    " !",
    " --",
    " ''",
)
FILES = {
    "a.txt": "touch new.txt\nb a\n1 2\n",
    "b.txt": "a,b\nnew.txt\n",
    "src/c.py": "a = 1\n",
    "w": "../out.txt\x00",
    "-o": "x\n",
    "-x.txt": "a\n",
    "data.json": "{}\n",
    "n.csv": "1,2\n",
    ".env": "named by nobody\n",
}


def simple_command(dice: random.Random) -> str:
    name = dice.choice((*PROGRAMS, "find", "find", "find", *SCRIPTS, *SCRIPTS))
    words: list[str] = []
    for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4))):
        kind = dice.random()
        pool = PROGRAMS[name] or NAMES if kind < 0.45 else NAMES if kind < 0.93 else AWAY
        words.append(dice.choice(pool))
    if name in SCRIPTS and dice.random() < 0.8:
        words.insert(dice.randint(0, 1 if words else 0), f"'{dice.choice(SCRIPTS[name])}'")
    if name == "find":
        words = [
            dice.choice((".", "src", "./", "*", "..")),
            *(dice.choice(SEARCHES) for _ in range(dice.randint(0, 3))),
        ]
    return " ".join((name, *words)) + dice.choice(NOISE) + dice.choice(REDIRECTS)


def said_to_only_read(count: int) -> Iterator[str]:
    shell = MAKER({"arg": "command"})
    dice = random.Random(SEED)
    seen: set[str] = set()
    while len(seen) < count:
        parts = [simple_command(dice) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
        command = "".join(part + dice.choice(JOINTS) for part in parts[:-1]) + parts[-1]
        if command not in seen and shell({"command": command}, NO_HISTORY)["read_only"]:
            seen.add(command)
            yield command


def tree_of(root: Path) -> dict[str, tuple[int, int, str]]:
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, content)
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    place = tmp_path / "home" / "one" / "desk"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    for outside in (tmp_path / "home", tmp_path / "home" / "one"):
        (outside / "out.txt").write_text(CANARY)
    return place


@pytest.mark.process
@pytest.mark.parametrize("name", ["bash", "dash"])
def test_what_is_said_to_only_read_changes_nothing_and_shows_nothing_from_outside(name: str, workspace: Path) -> None:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    home = workspace.parent.parent
    before = tree_of(home)
    for command in said_to_only_read(COMMANDS_RUN):
        done = subprocess.run(
            [path, "-c", command],
            cwd=workspace,
            env=ENVIRONMENT | {"HOME": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert CANARY.encode() not in done.stdout + done.stderr, command
        assert tree_of(home) == before, command
