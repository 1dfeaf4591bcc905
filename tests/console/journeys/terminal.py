"""A console in a real terminal: tmux draws it, types into it and tells what stands on it; nothing is faked."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PATIENCE_SECONDS = 60.0
"""How long anything may take on a machine that does much else."""
LOOK_SECONDS = 0.03
"""Between two looks at a screen."""
AGAIN_SECONDS = 0.9
"""After a key that came too early, nothing is pressed for this long: longer than any time for which the console wants a
call to have been seen, or no other key to have come."""
COLUMNS, LINES = 120, 36
TOO_EARLY = "ignored"
"""A word of every note that says that a key came before what it acts on could be read."""
ANOTHER_NOTE = "C-c"
"""A key that does nothing anywhere, and says so where no words are typed: what stood in the note is gone."""
TAKES_WORDS = "enter give it"
"""Stands in the last line while what is typed is a text."""
CONFIGURATION = "set -g status off\nset -sg escape-time 0\nset -g remain-on-exit on\nset -g history-limit 0\n"

Found = TypeVar("Found")


def until(found: Callable[[], Found], what: Callable[[], str]) -> Found:
    """The first true value of `found`. Raises: AssertionError with `what` was there instead."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < deadline, what()
        time.sleep(LOOK_SECONDS)
    return value


def _lives(pid: int) -> bool:
    """Whether a process has not ended; whoever should collect it may never do so."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Tmux:
    """One server of tmux, of its own socket and without anybody's configuration."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "tmux.conf").write_text(CONFIGURATION)

    def run(self, *command: str, check: bool = True) -> str:
        """What a command of tmux prints."""
        base = ["tmux", "-u", "-S", str(self._directory / "tmux"), "-f", str(self._directory / "tmux.conf")]
        env = {"PATH": os.environ["PATH"], "HOME": str(self._directory), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        done = subprocess.run([*base, *command], env=env, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        assert done.returncode == 0 or not check, done.stderr.decode()
        return done.stdout.decode()

    def open(self, name: str, command: list[str], *, cwd: Path, env: dict[str, str]) -> Terminal:
        """A terminal in which a program runs."""
        given = ["env", *(f"{key}={value}" for key, value in env.items())]  # by -e no tmux before 3.2 takes them
        size = ["-x", str(COLUMNS), "-y", str(LINES)]
        self.run("new-session", "-d", "-s", name, *size, "-c", str(cwd), "--", *given, *command)
        return Terminal(self, name)


class Terminal:
    """A screen and a keyboard."""

    def __init__(self, tmux: Tmux, name: str) -> None:
        self._tmux = tmux
        self.name = name

    @property
    def screen(self) -> str:
        """What stands on it now."""
        return self._tmux.run("capture-pane", "-p", "-t", self.name)

    def close(self) -> None:
        """Hang up, and wait until the program has ended."""
        pid = int(self._tmux.run("display-message", "-p", "-t", self.name, "#{pane_pid}"))
        self._tmux.run("kill-session", "-t", self.name)
        until(lambda: not _lives(pid), lambda: f"{pid} goes on without a terminal")

    def press(self, *keys: str) -> None:
        """Press keys, by their names in tmux."""
        self._tmux.run("send-keys", "-t", self.name, *keys)

    def type(self, words: str) -> None:
        """Type words into what takes words."""
        self._tmux.run("send-keys", "-t", self.name, "-l", words)

    def shows(self, *words: str) -> str:
        """Wait until all of the words stand on the screen; the screen."""
        return self.until(lambda screen: all(word in screen for word in words), f"{words}")

    def no_longer_shows(self, *words: str) -> str:
        """Wait until none of the words stands on the screen; the screen."""
        return self.until(lambda screen: not any(word in screen for word in words), f"none of {words}")

    def until(self, holds: Callable[[str], bool], what: str) -> str:
        """Wait until something holds of the screen; the screen."""
        seen = ""

        def found() -> bool:
            nonlocal seen
            seen = self.screen
            return holds(seen)

        until(found, lambda: f"waited in vain for {what}:\n{seen}")
        return seen

    def act(self, key: str, *words: str) -> str:
        """Press a key that acts, once more whenever it came too early, until the words stand on the screen."""
        what = f"{words} after {key}"

        def done(screen: str) -> bool:
            return all(word in screen for word in words)

        screen = self.screen
        while not done(screen):
            if TOO_EARLY in screen:
                time.sleep(AGAIN_SECONDS)
                self.press(ANOTHER_NOTE)
                if done(self.until(lambda seen: done(seen) or TOO_EARLY not in seen, what)):
                    break
                time.sleep(AGAIN_SECONDS)
            self.press(key)
            screen = self.until(lambda seen: done(seen) or TOO_EARLY in seen, what)
        return self.screen

    def ask(self, key: str, question: str, words: str) -> None:
        """Press a key that asks for words, give them, and wait until no more are taken."""
        self.act(key, question, TAKES_WORDS)
        self.type(words)
        self.shows(words)
        self.press("Enter")
        self.no_longer_shows(TAKES_WORDS)
