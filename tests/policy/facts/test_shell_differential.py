"""Our reading of a command beside that of shfmt and tree-sitter-bash, which need only be there while developing."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.facts.shell import MAKER
from opsconsole.policy.facts.shell_lexer import read
from tests.policy.facts import shell_commands
from tests.policy.facts.shell_commands import WORKSPACE

SIMPLE = frozenset(
    [
        "program",
        "command",
        "command_name",
        "word",
        "string",
        "raw_string",
        "string_content",
        "pipeline",
        "list",
        "redirected_statement",
        "file_redirect",
        "file_descriptor",
        "concatenation",
        "number",
        "test_command",
        "unary_expression",
        "binary_expression",
        "test_operator",
        "negation_expression",
        "parenthesized_expression",
        "extglob_pattern",
        "regex",
    ]
)
"""The named nodes of tree-sitter-bash that only plain commands are made of."""
COMMANDS = [
    command
    for name in ("READ_ONLY", "WRITES", "WRITES_DESTRUCTIVE", "LEAVES", "LEAVES_DESTRUCTIVE", "UNCLEAR")
    for command in getattr(shell_commands, name)
]
_shell = MAKER({"arg": "command", "workspace": WORKSPACE})


def understood() -> list[str]:
    return [command for command in COMMANDS if not _shell({"command": command}, NO_HISTORY)["unclear"]]


def our_words(command: str) -> list[list[str]]:
    return [[str(word) for word in each.words] for each in read(command).commands if each.words]


def text_of(parts: list[dict[str, Any]], is_double: bool = False) -> str:
    made = ""
    for part in parts:
        if part["Type"] == "Lit":
            made += re.sub(r"\\([\\\"$`])" if is_double else r"(?s)\\(.)", r"\1", part["Value"])
        elif part["Type"] == "SglQuoted" and not part.get("Dollar"):
            made += part.get("Value", "")
        elif part["Type"] == "DblQuoted" and not part.get("Dollar"):
            made += text_of(part.get("Parts", []), is_double=True)
        else:
            raise AssertionError(part["Type"])
    return made


def simple_commands(statement: dict[str, Any]) -> Iterator[list[str]]:
    assert not statement.keys() & {"Background", "Negated", "Coprocess"}
    command = statement.get("Cmd")
    if command is None:
        return
    if command["Type"] == "BinaryCmd":
        yield from simple_commands(command["X"])
        yield from simple_commands(command["Y"])
        return
    assert command["Type"] == "CallExpr"
    assert "Assigns" not in command
    yield [text_of(word["Parts"]) for word in command["Args"]]


@pytest.mark.process
def test_shfmt_reads_the_same_words() -> None:
    shfmt = shutil.which("shfmt", path=str(Path(sys.executable).parent)) or shutil.which("shfmt")
    if shfmt is None:
        pytest.skip("shfmt is not installed")
    for command in understood():
        done = subprocess.run([shfmt, "--to-json"], input=command.encode(), capture_output=True, timeout=60, check=True)
        statements = json.loads(done.stdout)["Stmts"]
        assert [words for each in statements for words in simple_commands(each)] == our_words(command), command


def test_tree_sitter_finds_only_plain_commands() -> None:
    tree_sitter = pytest.importorskip("tree_sitter")
    bash = pytest.importorskip("tree_sitter_bash")
    parser = tree_sitter.Parser(tree_sitter.Language(bash.language()))
    for command in understood():
        nodes = [parser.parse(command.encode()).root_node]
        kinds = set()
        while nodes:
            node = nodes.pop()
            nodes += node.children
            kinds |= {node.type} if node.is_named else set()
        assert kinds <= SIMPLE, command
