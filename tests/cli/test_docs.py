"""The tables of docs/ hold what the code holds: exit codes, commands and options, settings, requests, files, errors."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click

from opsconsole.cli.exits import MEANINGS
from opsconsole.cli.program import COMMANDS, Program
from opsconsole.config import SETTINGS
from opsconsole.domain.command import Role
from opsconsole.gateway.attribution import AGENT_HEADER, RUN_HEADER
from opsconsole.gateway.keys import RUN_TOKEN_HEADER
from opsconsole.hub.accounts import BOOTSTRAP

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"[a-z-]+\.(json|db|key|pub|secret|revoked|lock|checkpoint|token|log)")
"""What names a file of the data directory: tokens have one row of the table, logs another."""


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def part(text: str, title: str) -> str:
    """What stands under a heading."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each line of its tables, heads left out."""
    lines = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    cells = [re.split(r" (?<!\\)\| ", line) for line in lines]
    return [row for row, below in zip(cells, [*cells[1:], [""]], strict=True) if not {row[0], below[0]} & {"---"}]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


TEXT = page("cli")


def test_the_table_of_exit_codes_is_the_programs() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, re.MULTILINE))
    assert table == {str(int(code)): meaning for code, meaning in MEANINGS.items()}


def test_every_command_is_named() -> None:
    first_cells = " ".join(re.findall(r"^\| (`[a-z].*?) \|", TEXT, re.MULTILINE))
    assert [name for name in COMMANDS if f"`{name}" not in first_cells] == []


def test_every_setting_is_named_with_its_variable() -> None:
    found = re.findall(r"^\| `([a-z_.]+)` \| `(OPSCONSOLE_\w+)` \|", TEXT, re.MULTILINE)
    assert found == [(setting.key, setting.variable) for setting in SETTINGS]


def command_of(words: list[str], group: click.Group, context: click.Context) -> click.Command:
    """The command that some words begin with; the group itself where no command of it follows."""
    inner = group.get_command(context, words[0]) if words else None
    if isinstance(inner, click.Group):
        return command_of(words[1:], inner, context)
    return inner or group


def options_named() -> Iterator[tuple[str, click.Command, set[str]]]:
    """Each command as the table writes it, what it is, and the options named with it."""
    program = Program("opsconsole")
    context, last = click.Context(program), program
    for row in rows(TEXT.split("## Exit codes", 1)[0]):
        last = program
        for written in quoted(row[0]):
            words = written.split()
            found = command_of(words, program, context)
            if found is program:  # `tokens create …`, `list`, `revoke ID`: the later ones go on with the first's group
                found = command_of(words, last, context)
            group = program.get_command(context, words[0])
            last = group if isinstance(group, click.Group) else last
            yield written, found, set(re.findall(r"--[a-z][a-z-]+", written))


def test_every_option_that_is_named_with_a_command_is_one_of_it() -> None:
    wrong = {
        written: sorted(unknown)
        for written, command, named in options_named()
        if (unknown := named - {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)})
    }
    assert wrong == {}


def test_what_stands_first_in_the_table_of_commands_is_a_command() -> None:
    assert [written for written, command, _ in options_named() if isinstance(command, Program)] == []


def test_the_requests_of_the_protocol_are_the_hubs() -> None:
    table = [tuple(cell.strip("`") for cell in row[:3]) for row in rows(part(page("protocol"), "Over HTTP"))]
    source = (ROOT / "opsconsole" / "hub" / "http.py").read_text(encoding="utf-8")
    routes = re.findall(r'\("([A-Z]+)", "(/v1/[^"]+)", Role\.([A-Z]+), ', source)
    assert sorted(table) == sorted((method, path, str(Role[role])) for method, path, role in routes)


def constants() -> Iterator[str]:
    """Names of files that a constant of a module holds: `SOMETHING_FILE`, `SOMETHING_NAME` or `NAME`."""
    places = [ROOT / "opsconsole" / name for name in ("cli", "gateway", "hub")] + [ROOT / "storage"]
    for path in (path for place in places for path in place.glob("**/*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))):
                    if re.fullmatch(r"(\w+_)?(FILE|NAME)", name) and FILE.fullmatch(value):
                        yield value


def test_every_file_of_the_data_directory_is_told() -> None:
    told = {name for row in rows(part(page("operations"), "Data directory")) for name in quoted(row[0])}
    assert {"hub.db", "audit.db", "gateway.secret"} <= set(constants())
    kept = {name for name in constants() if not name.endswith((".log", ".token"))}
    assert sorted(kept - told) == []
    assert {"*.token", "logs/"} <= told
    assert all(name.endswith(".token") for name in BOOTSTRAP)


def texts(node: ast.expr, module: str) -> list[str]:
    """What an expression may be where it is a text, a constant of its module, or one of two of these."""
    match node:
        case ast.Constant(value=str(value)):
            return [value]
        case ast.IfExp(body=body, orelse=orelse):
            return texts(body, module) + texts(orelse, module)
        case ast.Name(id=name):
            value = getattr(importlib.import_module(module), name, None)
            return [value] if isinstance(value, str) else []
    return []


def codes() -> Iterator[str]:
    """Codes that a gateway's failures have: `code=` of a failure, or what stands behind the status of a refusal."""
    for path in sorted((ROOT / "opsconsole" / "gateway").glob("**/*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Failure" | "Uncovered"), keywords=keywords):
                    for keyword in keywords:
                        yield from texts(keyword.value, module) if keyword.arg == "code" else ()
                case ast.Call(func=ast.Name(id="BodyRefused") | ast.Attribute(attr="_refuse"), args=[_, code, *_]):
                    yield from texts(code, module)


def test_every_error_of_the_gateway_is_told() -> None:
    found = set(codes())
    assert {"run_token", "gateway_full", "rate_limited", "upstream_down", "request_too_large", "bad_http"} <= found
    told = {code for row in rows(part(page("gateway"), "When something is wrong")) for code in quoted(row[0])}
    assert (sorted(found - told), sorted(told - found)) == ([], ["denied:…", "opsconsole: no gateway of this hub runs"])


def test_every_header_that_the_gateway_reads_of_ours_is_told() -> None:
    told = {header for row in rows(page("gateway")) for header in quoted(row[0]) if header.startswith("x-opsconsole")}
    assert told == {RUN_HEADER, AGENT_HEADER, RUN_TOKEN_HEADER}
