"""What holds of every text: no error, nothing that makes an unclear command clear, words as real shells read them."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.facts.shell import MAKER
from opsconsole.policy.facts.shell_lexer import GlobWord, read
from tests.policy.facts.shell_commands import READ_ONLY, UNCLEAR, WORKSPACE

PIECES = (
    *"|&;<>()$`\\\"' \t\n*?[]#~=%!{}^-./0a",
    *("ls", "rm", "find", "sed", "awk", "sort", "-exec", "-o", "-i", "{}", "2>", "&&", "||", ">>", "<<", "$(", "'x'"),
    *('"y"', "/etc/passwd", "..", "s/a/b/", "w x", "é", "\x00", "\ud800", "\u202e", "print", "[ ", " ]", "\\;", "-rf"),
)
METACHARACTERS = "|&;>()$`~!{}^\x00\x1b\r"
"""But for `<`, after which any word is only the name of a file."""
SPLIT_WORDS = ("ls 12>/dev/null", "ls < 12>/dev/null", "ls < 2>/dev/null", "echo =ls")
"""A `;` or `|` within their words leaves two commands that only read."""
texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=80)
shell = MAKER({"arg": "command", "workspace": WORKSPACE})


def is_read_only(command: str) -> bool:
    return bool(shell({"command": command}, NO_HISTORY)["read_only"])


@given(texts)
@settings(max_examples=2_000, deadline=None)
def test_every_text_gets_every_field(text: str) -> None:
    said = shell({"command": text}, NO_HISTORY)
    assert set(said) == set(shell.fields)
    assert said["read_only"] == (not any(said[name] for name in said if name not in ("read_only", "programs", "why")))
    assert said["read_only"] == (said["why"] == "")


def test_a_metacharacter_outside_quotes_never_makes_an_unclear_command_clear() -> None:
    texts = [text for text in UNCLEAR if text not in SPLIT_WORDS]
    assert [changed for changed in changed_outside_quotes(texts, METACHARACTERS) if is_read_only(changed)] == []


def test_a_metacharacter_outside_quotes_makes_a_clear_command_unclear() -> None:
    added = "&()$`~{}^\x00\x1b\r"
    assert [changed for changed in changed_outside_quotes(READ_ONLY, added) if is_read_only(changed)] == []


def changed_outside_quotes(texts: Iterable[str], added: str) -> Iterator[str]:
    """Every text with one character more, wherever that does not complete a token of two characters."""
    for text in texts:
        for at in (at for at in range(len(text) + 1) if not is_within_quotes(text, at)):
            for changed in (text[:at] + character + text[at:] for character in added):
                if not completes_a_token(changed, at):
                    yield changed


def completes_a_token(text: str, at: int) -> bool:
    """Whether the character at `at` is part of an operator of two characters, or of the word `{}`."""
    return not {text[max(at - 1, 0) : at + 1], text[at : at + 2]}.isdisjoint({"&&", "||", "{}", ">&"})


def is_within_quotes(text: str, at: int) -> bool:
    """Whether `at` is inside quotes or right after a backslash: a second, slower reading of the same rules."""
    quote = ""
    escaped = False
    for character in text[:at]:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
    return bool(quote) or escaped


WORD_PIECES = (
    *("a", "b.c", "-x", "=", "1", "{}", " ", "  ", "\t", "x=y", "@", "%", "+"),
    *("'s q'", "''", "'\\'", "'\"'", "'\n'", "'a;b'", "'$x`'"),
    *('""', '"d q"', '"\\$x"', '"a\\"b"', '"a\\\\"', '"\\n"', '"x$"', '"\'"', '"#"', '"a|b;c"', '"\\`"'),
    *("\\ ", "\\'", '\\"', "\\\\", "\\$", "\\;", "\\n", "\\#", "\\~", "\\{"),
)
word_texts = st.lists(st.sampled_from(WORD_PIECES), min_size=1, max_size=12).map("".join)


@pytest.mark.process
@pytest.mark.parametrize("name", ["bash", "dash", "zsh", "busybox"])
def test_words_are_those_that_a_real_shell_makes(name: str) -> None:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    script, expected = [], []

    @given(word_texts)
    @settings(max_examples=1_500, deadline=None, database=None)
    def collect(text: str) -> None:
        reading = read(f"show {text}")
        if (
            reading.unclear
            or len(reading.commands) != 1
            or any(isinstance(w, GlobWord) for w in reading.commands[0].words)
        ):
            return
        script.append(f"printf '%s\\0' {text}; printf '\\1'")
        expected.append(reading.commands[0].words[1:] or [""])

    collect()
    arguments = [path, "sh"] if name == "busybox" else [path]
    done = subprocess.run(arguments, input="\n".join(script).encode(), capture_output=True, timeout=60, check=True)
    made = [part.split("\0")[:-1] for part in done.stdout.decode().split("\1")[:-1]]
    assert len(expected) > 300
    assert made == expected
